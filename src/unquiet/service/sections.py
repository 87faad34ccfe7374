"""The sections of the configuration: every key with its default, what it may be, and what it means."""

# ruff: noqa: RUF009 - the calls make the fields
from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from datetime import time, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar, cast

from unquiet.model.nights import LEAST_SEEDS
from unquiet.service import kinds
from unquiet.service.kinds import Address, Kind
from unquiet.service.secrets import Token

T = TypeVar("T")

REDACTIONS = ("email", "phone", "card", "iban", "key", "ip")
REDACTED = ("email", "phone", "card", "iban", "key")
SEVERITIES = ("info", "warning", "error", "critical")
SINKS = ("webhook", "slack", "pagerduty", "alertmanager", "email", "github")

MinSeverity = Literal["info", "warning", "error", "critical"]


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of one key. `default` stands as in the file; None where the key is not set unless it is given.

    `kind` is None where the key is a table, which comes from the file only; `meaning` is then all there is to say.
    """

    meaning: str
    kind: Kind[Any] | None = None
    default: object = None

    @property
    def default_text(self) -> str:
        """The default as it stands in the file."""
        if self.kind is None:
            return "none"
        return "not set" if self.default is None else self.kind.show(self.kind.parse(self.default))


def _key(default: object, kind: Kind[T], meaning: str) -> T:
    known = Key(meaning, kind, default)
    return cast("T", field(default=None if default is None else kind.parse(default), metadata={"key": known}))


def _table(default: T, meaning: str) -> T:
    return field(default_factory=lambda: default, metadata={"key": Key(meaning)})


@dataclass(frozen=True, slots=True)
class Service:
    """The folder, and who may read."""

    folder: Path = _key(
        "./unquiet-data", kinds.path(), "Where everything is kept. `UNQUIET_DB` and `unquiet serve --db` name it too."
    )
    read: Address = _key(
        "127.0.0.1:8321", kinds.address(), "Where API, `/metrics`, `/healthz` and `/readyz` are served."
    )
    public_url: str | None = _key(
        None, kinds.optional(kinds.url()), "The address under which people reach `read`: for the links in alerts."
    )
    hosts: tuple[str, ...] = _key(
        [],
        kinds.hosts(),
        "Further names under which `read` is called, without port. Those of this machine and of `public_url` are known.",
    )
    read_tokens_file: Path | None = _key(
        None,
        kinds.optional(kinds.path()),
        "File with the tokens that may read, one a line: `TOKEN` or `NAME TOKEN`. They may act too (acknowledge, mute, mark a "
        "change) where no token is there for that.",
    )
    act_tokens_file: Path | None = _key(
        None, kinds.optional(kinds.path()), "The same, of tokens that may read and act."
    )


@dataclass(frozen=True, slots=True)
class Doors:
    """Where telemetry comes in."""

    http: Address | None = _key("127.0.0.1:4318", kinds.or_off(kinds.address()), "Where OTLP over HTTP is taken.")
    grpc: Address | None = _key("127.0.0.1:4317", kinds.or_off(kinds.address()), "Where OTLP over gRPC is taken.")
    body_mb_max: int = _key(64, kinds.whole(1, 1024), "Largest body, MiB, compressed and after inflating.")
    attribute_kb_max: int = _key(
        1024, kinds.whole(1, 65_536), "Longest value of an attribute, KiB; what is longer is cut, and that is counted."
    )
    tls_cert: Path | None = _key(
        None, kinds.optional(kinds.path()), "Certificate chain (PEM): the doors then speak TLS only. Needs `tls_key`."
    )
    tls_key: Path | None = _key(None, kinds.optional(kinds.path()), "Its key (PEM), readable by its owner only.")
    tokens: tuple[Token, ...] = _table(
        (),
        "`[doors.tokens.NAME]` with `file` or `env`: a bearer token. With one, nobody gets in without. NAME is the source "
        "that its traffic is known by.",
    )


@dataclass(frozen=True, slots=True)
class Detection:
    """What is a session, and how often an alarm may be false."""

    budget: float = _key(1.0, kinds.number(0.001, 1000), "False incidents accepted per 30 days.")
    learn_days: float = _key(7.0, kinds.number(0.5, 60), "Length of the learning period; nothing is judged before.")
    idle: timedelta = _key("30m", kinds.duration("1m", "24h"), "A session without a turn for so long is over.")
    lateness: timedelta = _key(
        "5m", kinds.duration("0s", "2h"), "How long a tick waits for turns that arrive late before it is judged."
    )
    trace_quiet: timedelta = _key(
        "10s", kinds.duration("1s", "10m"), "A trace without a new span for so long is complete."
    )
    trace_longest: timedelta = _key(
        "15m", kinds.duration("1m", "24h"), "A trace is taken as it is after so long, complete or not."
    )
    end_marker: str | None = _key(
        None,
        kinds.optional(kinds.text("the name of an attribute or facet")),
        "A turn that carries this attribute or facet closes its session at once.",
    )
    changes: tuple[Path, ...] = _key([], kinds.paths(), "Files of deploy markers: `time`, `kind`, `from`, `to`.")


@dataclass(frozen=True, slots=True)
class Privacy:
    """What must not reach the disk."""

    redact: tuple[str, ...] = _key(
        list(REDACTED), kinds.words(REDACTIONS), "What is replaced in texts before they are written."
    )
    hash_users: bool = _key(
        True, kinds.flag(), "Keep user ids only as hashes, made with a key that stays in the folder."
    )
    content: bool = _key(
        True,
        kinds.flag(),
        "Take prompts, answers, tool arguments and tool results; false: of no source but those below.",
    )
    content_of: Mapping[str, bool] = _table(
        MappingProxyType({}),
        "`NAME = false` in `[privacy.content_of]`: the same for one source, a NAME of `[doors.tokens]`.",
    )
    patterns: Mapping[str, str] = _table(
        MappingProxyType({}), "`NAME = 'PATTERN'` in `[privacy.patterns]`: more to redact, as RE2 regular expressions."
    )


@dataclass(frozen=True, slots=True)
class Storage:
    """How much is kept, and when to stop taking more."""

    retention_days: int | None = _key(
        90, kinds.or_off(kinds.whole(1, 3650)), "How long turns and sessions are kept, texts included; false: for ever."
    )
    retention_gb: float | None = _key(
        False, kinds.or_off(kinds.number(0.1, 100_000)), "Largest size of kept turns, GiB; the oldest go first."
    )
    counts_days: int | None = _key(
        400, kinds.or_off(kinds.whole(30, 3650)), "How long counts are kept; there is no text in them. False: for ever."
    )
    undrained_mb_max: int = _key(
        2048,
        kinds.whole(16, 1_048_576),
        "Log that waits to be drained, MiB; beyond it doors answer 429 or 503, with Retry-After.",
    )
    disk_free_mb_min: int = _key(
        512, kinds.whole(16, 1_048_576), "Free disk, MiB; below it doors answer 503, with Retry-After."
    )
    memory_mb: int = _key(1000, kinds.whole(256, 1_048_576), "Memory that the service stays below, MiB.")


@dataclass(frozen=True, slots=True)
class Drills:
    """Regular drills: known failures in the traffic of the last days, in a process of its own."""

    nightly: time | None = _key(
        False,
        kinds.or_off(kinds.time_of_day()),
        "When known failures are rehearsed on the latest traffic, every night. Nothing of it becomes an incident; a drill that was "
        "found in the last month and is not any more is the condition `drill-lost`.",
    )
    seeds: int = _key(5, kinds.whole(LEAST_SEEDS, 100), "How often each drill is rehearsed in a night.")


@dataclass(frozen=True, slots=True)
class Alert:
    """Where alerts go.

    `options` are those of its kind as they stand in the file, for `unquiet.alerts.make_sink`. A secret among them is a
    reference, `{"env": NAME}` or `{"file": PATH}` with an absolute path, and was there when the configuration was read.
    """

    name: str
    kind: str
    min_severity: MinSeverity = "info"
    options: Mapping[str, object] = field(default_factory=lambda: MappingProxyType[str, object]({}))


SECTIONS: Mapping[str, type[Any]] = MappingProxyType(
    {
        "service": Service,
        "doors": Doors,
        "detection": Detection,
        "privacy": Privacy,
        "storage": Storage,
        "drills": Drills,
    }
)
"""Sections with a fixed set of keys, in the order in which they are told. `[alerts.NAME]` is the one without."""

ALERTS = "alerts"


def keys_of(section: str) -> dict[str, Key]:
    """The keys of a section, in order."""
    named: Iterator[Field[Any]] = iter(fields(SECTIONS[section]))
    return {each.name: each.metadata["key"] for each in named}


def variable(section: str, key: str) -> str:
    """The environment variable that sets a key."""
    return f"UNQUIET_{section}_{key}".upper()
