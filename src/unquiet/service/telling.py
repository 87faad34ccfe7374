"""What a service says to who started it: what is in force when it begins, what is kept when it ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from unquiet import __version__
from unquiet.model.wording import counted, sized
from unquiet.service.checks import warnings
from unquiet.service.config import Config


@dataclass(frozen=True, slots=True)
class Parting:
    """How a judgement was left: `judged_us` is how far it came, `waiting` turns come next, `undrained_bytes` of the log too.

    `undrained_bytes` is None where the log cannot be asked. `judging` is False while it learns.
    """

    judging: bool
    judged_us: int
    waiting: int
    undrained_bytes: int | None


def greeting(
    config: Config, known: Mapping[str, Any], doors: Mapping[str, Any], url: str, now: datetime
) -> Iterator[str]:
    """Lines for the start.

    Args:
        config: what is in force.
        known: the status of the folder, as it was found (`app.status`).
        doors: the ports that the doors have, by name; None where a door is closed.
        url: where API, metrics and health are.
        now: the present.
    """
    folder, incidents = config.service.folder, known["open_incidents"]
    said = f"open incidents: {', '.join(incidents)}" if incidents else "no open incident"
    yield f"unquiet {__version__} keeps everything in {folder}: {counted(known['turns'], 'turn')}, {said}"
    yield _judging(config, known, now)
    yield f"takes OTLP {' and '.join(_doors(config, doors))}; {_tokens(len(config.doors.tokens))}"
    people = len({*config.read_tokens, *config.act_tokens})
    yield f"API, metrics and health at {url}; {_tokens(people)}"
    if config.alerts:
        each = (f"{alert.name} ({alert.kind}, {alert.min_severity} and worse)" for alert in config.alerts)
        yield f"alerts go to {', '.join(each)}"
    yield _privacy(config)
    notes = [*warnings(config), *(f"{name} is set and used by nothing" for name in config.unused)]
    yield from (f"note: {note}" for note in notes)


def _judging(config: Config, known: Mapping[str, Any], now: datetime) -> str:
    budget = counted(config.detection.budget, "false incident")
    if known["judged"]:
        return f"judges every five minutes; alarm budget {budget} per 30 days"
    settings = config.settings
    needs = f"{counted(config.detection.learn_days, 'day')} and {counted(settings.least_sessions, 'finished session')}"
    if known["first"] is None:
        return f"learns first, {needs} at least; nothing is judged before. The days begin with the first turn"
    until = datetime.fromisoformat(known["first"]) + settings.learn
    if until > now:
        return f"learns until {until:%a %d %b %H:%M} UTC at the earliest ({needs}); nothing is judged before"
    return f"learns until the turns of the folder cover {needs}; nothing is judged before"


def _doors(config: Config, ports: Mapping[str, Any]) -> Iterator[str]:
    kinds = (("HTTP", "http", config.doors.http), ("gRPC", "grpc", config.doors.grpc))
    tls = " with TLS" if config.doors.tls_cert is not None else ""
    for kind, name, address in kinds:
        if address is not None and ports.get(name) is not None:
            host = f"[{address.host}]" if ":" in address.host else address.host
            yield f"over {kind}{tls} at {host}:{ports[name]}"


def _tokens(count: int) -> str:
    return f"asks for a token ({count} known)" if count else "asks for no token"


def _privacy(config: Config) -> str:
    privacy = config.privacy
    redacted = ", ".join([*privacy.redact, *privacy.patterns]) or "nothing"
    users = "user ids are hashed" if privacy.hash_users else "user ids are kept as they come"
    others = [name for name, taken in privacy.content_of.items() if taken != privacy.content]
    but = f"{'but' if privacy.content else 'but for'} {'not of ' if privacy.content else ''}{', '.join(others)}"
    texts = "texts are taken" if privacy.content else "texts are not taken"
    return f"redacts {redacted} before anything is written; {users}; {texts}{f', {but}' if others else ''}"


def farewell(config: Config, parting: Parting | None, error: str) -> Iterator[str]:
    """Lines for the end; `parting` is None where the judgement was not open, and `error` why it could not be saved."""
    yield f"stopped; everything that was acknowledged is in {config.service.folder}"
    if error:
        yield f"the judgement could not be saved: {error} The next start judges again what came since it was saved last."
        return
    if parting is None:
        return
    if parting.judged_us:
        until = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=parting.judged_us)
        yield f"{'judged' if parting.judging else 'learned from what came'} up to {until:%a %d %b %H:%M} UTC, and saved"
    left = parting.undrained_bytes
    log = "an unknown part of the log" if left is None else f"{sized(left)} of the log" if left else ""
    rest = [f"{counted(parting.waiting, 'turn')} that came after"] if parting.waiting else []
    if log:
        rest.append(log)
    if rest:
        yield f"the next start goes on with {' and '.join(rest)}"
