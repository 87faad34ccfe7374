"""What holds between settings: doors that are open to others need tokens, ports differ, limits fit each other."""

from __future__ import annotations

import ssl
import stat
from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING

from unquiet.service.kinds import Address, quoted
from unquiet.service.reading import DOORS_TOKEN, READ_TOKEN, Reading, nearest
from unquiet.service.secrets import MAKE_ONE, OTHERS

if TYPE_CHECKING:
    from unquiet.service.config import Config

OPEN_DOOR = (
    "listens on {}, which others can reach, and there is no token: write [doors.tokens.NAME] with file or env, or set "
    f"{DOORS_TOKEN} ({MAKE_ONE}); or listen on 127.0.0.1"
)
OPEN_READING = (
    "listens on {}, which others can reach, and there is no token: set "
    f"{READ_TOKEN} or `service.read_tokens_file` ({MAKE_ONE}); or listen on 127.0.0.1"
)


def check(config: Config, reading: Reading) -> None:
    """Note what does not fit; keys that were wrong in themselves are left out, they are noted already."""
    for involved, problem in _misfits(config):
        if not reading.bad.intersection(involved):
            reading.problems.append(f"{_from(reading, involved[0])}: {problem}")


def _from(reading: Reading, key: str) -> str:
    """Where the value of a key came from, and its name."""
    origin = reading.origins.get(key, reading.named)
    return f"{origin}: {key}"


def listening(config: Config) -> list[tuple[str, Address]]:
    """Every address that is listened on, by key."""
    places = [
        ("service.read", config.service.read),
        ("doors.http", config.doors.http),
        ("doors.grpc", config.doors.grpc),
    ]
    return [(key, address) for key, address in places if address is not None]


def _misfits(config: Config) -> Iterator[tuple[tuple[str, ...], str]]:
    """The keys concerned, the one to blame first, and what is wrong."""
    yield from _access(config)
    yield from _tls(config)
    yield from _tokens(config)
    yield from _sizes(config)
    detection = config.detection
    if detection.trace_quiet >= detection.trace_longest:
        yield ("detection.trace_quiet", "detection.trace_longest"), "must be shorter than detection.trace_longest"
    if config.doors.http is None and config.doors.grpc is None:
        yield ("doors.http", "doors.grpc"), "both doors are off: nothing could come in. Open http or grpc"
    for path in detection.changes:
        if not path.is_file():
            yield ("detection.changes",), f"{path} is no file"


def _access(config: Config) -> Iterator[tuple[tuple[str, ...], str]]:
    for key, address in listening(config):
        if address.is_loopback:
            continue
        if key == "service.read" and not config.read_tokens and not config.act_tokens:
            yield (key, "people"), OPEN_READING.format(address)
        if key != "service.read" and not config.doors.tokens:
            yield (key, "doors.tokens"), OPEN_DOOR.format(address)
    for (first, one), (second, other) in combinations(listening(config), 2):
        if one.collides(other):
            yield (second, first), f"listens on {other}, where {first} listens. Take another port"


def _tls(config: Config) -> Iterator[tuple[tuple[str, ...], str]]:
    cert, key = config.doors.tls_cert, config.doors.tls_key
    involved = ("doors.tls_key", "doors.tls_cert")
    if cert is None or key is None:
        if cert is not key:
            yield involved[:: 1 if key else -1], "TLS needs both doors.tls_cert and doors.tls_key"
        return
    missing = [(name, path) for name, path in zip(involved, (key, cert), strict=True) if not path.is_file()]
    if missing:
        for name, path in missing:
            yield (name,), f"{path} is not there, or no file that this user may see"
        return
    mode = key.stat().st_mode
    if mode & OTHERS:
        yield ("doors.tls_key",), f"{key} is open to everybody (mode {stat.S_IMODE(mode):04o}): run `chmod o-rwx {key}`"
        return
    try:
        # An encrypted key would ask for its password on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=lambda: b"")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        yield (
            involved,
            f"certificate and key cannot be used together ({reason}); both are PEM, the key without a password",
        )


def _tokens(config: Config) -> Iterator[tuple[tuple[str, ...], str]]:
    named = [(f"doors.tokens.{token.name}", token) for token in config.doors.tokens]
    named += [(f"the token {token.name} of people", token) for token in (*config.read_tokens, *config.act_tokens)]
    for (first, one), (second, other) in combinations(named, 2):
        if one.secret == other.secret:
            yield ("doors.tokens",), f"{second} is the same secret as {first}; each needs its own"
        elif first == second:
            yield (
                ("service.read_tokens_file", "service.act_tokens_file"),
                f"{second} is there twice; each needs its own name",
            )
    sources = [token.name for token in config.doors.tokens]
    for name in config.privacy.content_of:
        if name not in sources:
            close = nearest(name, sources)
            known = f"there are {', '.join(map(quoted, sources))}" if sources else "there are none"
            hint = f"the nearest is {quoted(close)}" if close else known
            yield ("privacy.content_of", "doors.tokens"), f"{quoted(name)} is no name of [doors.tokens]; {hint}"


def _sizes(config: Config) -> Iterator[tuple[tuple[str, ...], str]]:
    storage, doors, detection = config.storage, config.doors, config.detection
    if storage.undrained_mb_max < 2 * doors.body_mb_max:
        yield ("storage.undrained_mb_max", "doors.body_mb_max"), "must be at least twice doors.body_mb_max"
    if storage.memory_mb < 4 * doors.body_mb_max:
        yield ("storage.memory_mb", "doors.body_mb_max"), "must be at least four times doors.body_mb_max"
    if doors.attribute_kb_max > 1024 * doors.body_mb_max:
        yield ("doors.attribute_kb_max", "doors.body_mb_max"), "is larger than a whole body, doors.body_mb_max"
    days, counts = storage.retention_days, storage.counts_days
    if days is not None and days <= detection.learn_days:
        yield ("storage.retention_days", "detection.learn_days"), "must be longer than detection.learn_days"
    if counts is not None and (days is None or counts < days):
        yield ("storage.counts_days", "storage.retention_days"), "must be at least storage.retention_days"


def warnings(config: Config) -> Iterator[str]:
    """What is allowed and yet worth a look."""
    for key, address in listening(config):
        has_tls = key != "service.read" and config.doors.tls_cert is not None
        if not address.is_loopback and not has_tls:
            yield f"{key} speaks without TLS on {address}: tokens travel in the clear unless a proxy in front encrypts"
    if not config.alerts:
        yield (
            "there is no [alerts.NAME]: incidents and failures are only shown where somebody looks, in `unquiet incidents` and "
            "`unquiet status`, the API and the metrics"
        )
    elif config.service.public_url is None:
        yield "service.public_url is not set: alerts carry no link"
    if not config.privacy.redact and not config.privacy.patterns and config.privacy.content:
        yield "privacy.redact is empty: texts are kept as they come"
