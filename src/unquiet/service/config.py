"""The configuration of the live service: one file and the environment, checked as a whole, then frozen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from unquiet.model.errors import ConfigError
from unquiet.model.settings import Settings
from unquiet.service.checks import check, warnings
from unquiet.service.kinds import quoted
from unquiet.service.reading import CONFIG, Reading, check_sections, check_variables, read_toml, values_of
from unquiet.service.secrets import Secret, Token
from unquiet.service.sections import (
    SECTIONS,
    Alert,
    Detection,
    Doors,
    Drills,
    Privacy,
    Service,
    Storage,
    keys_of,
)
from unquiet.service.tables import alerts, content_sources, door_tokens, people_tokens, redaction_patterns

FILE = "unquiet.toml"


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that is set. Its `repr` shows no secret.

    `read_tokens` may read pages and API, and act where `act_tokens` is empty; those may do both. Where there is neither,
    everybody who reaches `service.read` may do everything. `origins` says of each plain key (`detection.budget`) whether
    its value is the default, or which file or variable it came from; `unused` names variables `UNQUIET_...` that set nothing.
    """

    service: Service = field(default_factory=Service)
    doors: Doors = field(default_factory=Doors)
    detection: Detection = field(default_factory=Detection)
    privacy: Privacy = field(default_factory=Privacy)
    storage: Storage = field(default_factory=Storage)
    drills: Drills = field(default_factory=Drills)
    alerts: tuple[Alert, ...] = ()
    read_tokens: tuple[Token, ...] = ()
    act_tokens: tuple[Token, ...] = ()
    origins: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType[str, str]({}), compare=False, repr=False
    )
    unused: tuple[str, ...] = field(default=(), compare=False, repr=False)

    @property
    def settings(self) -> Settings:
        """The settings of the judgement, the same as those of `unquiet scan`."""
        detection = self.detection
        return Settings(
            budget=detection.budget,
            learn=timedelta(days=detection.learn_days),
            idle=detection.idle,
            end_marker=detection.end_marker,
        )


def find(environ: Mapping[str, str], here: Path) -> Path | None:
    """The file to load where none is named: that of UNQUIET_CONFIG, else `unquiet.toml` in the folder `here`, else none."""
    named = environ.get(CONFIG, "").strip()
    if named:
        return Path(named)
    usual = here / FILE
    return usual if usual.exists() else None


def load(
    path: Path | None,
    environ: Mapping[str, str],
    folder: Path | None = None,
    checks: Iterable[Callable[[Config], None]] = (),
) -> Config:
    """Read the configuration; `path` None takes the defaults. The environment wins over the file, `folder` over both.

    Relative paths of the file start at its folder, all others at the current one. `checks` are asked too: each raises
    ConfigError about what it alone can tell, the options of a receiver for one.

    Raises:
        ConfigError: the file cannot be read, or one or more settings are wrong; the text lists all of them.
    """
    reading = Reading(environ)
    if path is not None:
        reading = Reading(environ, read_toml(path), path.parent, path.name)
    check_sections(reading)
    config = _tables(_sections(reading), reading)
    if folder is not None:
        config = replace(config, service=replace(config.service, folder=folder))
        reading.origins["service.folder"] = "--db"
    check(config, reading)
    for further in checks:
        try:
            further(config)
        except ConfigError as error:
            reading.problems.append(str(error))
    unused = check_variables(reading)
    reading.check()
    return replace(config, origins=MappingProxyType(reading.origins), unused=unused)


def _sections(reading: Reading) -> Config:
    made: dict[str, Any] = {name: kind(**values_of(reading, name)) for name, kind in SECTIONS.items()}
    return Config(**made)


def _tables(config: Config, reading: Reading) -> Config:
    """The configuration with the tables whose keys the user names."""
    return replace(
        config,
        doors=replace(config.doors, tokens=door_tokens(reading)),
        privacy=replace(config.privacy, patterns=redaction_patterns(reading), content_of=content_sources(reading)),
        alerts=alerts(reading),
        read_tokens=people_tokens(reading, config.service, "read"),
        act_tokens=people_tokens(reading, config.service, "act"),
    )


def describe(config: Config) -> str:
    """What is in force and where it came from, in the notation of the file; secrets by their source only."""
    lines: list[str] = []
    for section in SECTIONS:
        lines += [f"[{section}]", *_plain(config, section), ""]
    lines += _named("doors.tokens", ((token.name, token.secret) for token in config.doors.tokens))
    lines += _named("read tokens", ((token.name, token.secret) for token in config.read_tokens))
    lines += _named("act tokens", ((token.name, token.secret) for token in config.act_tokens))
    lines += _named("privacy.content_of", config.privacy.content_of.items())
    lines += _named("privacy.patterns", config.privacy.patterns.items())
    for alert in config.alerts:
        facts = [("kind", alert.kind), ("min_severity", alert.min_severity), *alert.options.items()]
        lines += _named(f"alerts.{alert.name}", facts)
    notes = [*warnings(config), *(f"{name} is set and used by nothing" for name in config.unused)]
    lines += [f"note: {note}" for note in notes]
    return "\n".join(lines).rstrip("\n") + "\n"


def _plain(config: Config, section: str) -> Iterator[str]:
    for name, key in keys_of(section).items():
        if key.kind is not None:
            value = key.kind.show(getattr(getattr(config, section), name))
            origin = config.origins.get(f"{section}.{name}", "default")
            yield f"{name} = {value}".ljust(44) + f" # {origin}"


def _named(title: str, entries: Iterator[tuple[str, object]] | Any) -> list[str]:
    told = [f"{name} = {_told(value)}" for name, value in entries]
    return [f"[{title}]", *told, ""] if told else []


def _told(value: object) -> str:
    """A value of a table; of a secret only where it came from."""
    if isinstance(value, Secret):
        return f"(secret from {value.source})"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_told(each)}' for key, each in value.items())} }}"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(_told(each) for each in value)}]"
    if isinstance(value, str):
        # What follows the host of a receiver's address may be as good as a password.
        return quoted(re.sub(r"(://[^/?#]*[/?#]).+", r"\1...", value))
    return str(value).lower() if isinstance(value, bool) else str(value)
