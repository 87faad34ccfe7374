"""What a condition is made of: a rule over the facts, and what its states mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from unquiet.model.conditions import Severity, State
from unquiet.selfwatch.facts import Facts

MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Seen:
    """What a rule says now. `severity` is None where it is the usual one of the condition."""

    state: State
    detail: str = ""
    todo: str = ""
    severity: Severity | None = None


OK = Seen("ok")

ASK_LOG = "Wait a minute; if it stays unknown, look into the log of the service for the part that does not report."


@dataclass(frozen=True, slots=True)
class Watch:
    """One condition: its name and severity, its rule, and in words when it fails and when it is unknown.

    `check` takes the facts and the present moment, microseconds since 1970.
    """

    name: str
    severity: Severity
    fails_when: str
    unknown_when: str
    check: Callable[[Facts, int], Seen]


def failing(detail: str, todo: str, severity: Severity | None = None) -> Seen:
    """It fails; `detail` says what was seen, `todo` what to do next."""
    return Seen("failing", detail, todo, severity)


def unknown(detail: str, todo: str = ASK_LOG) -> Seen:
    """Nobody knows; `detail` says what is missing."""
    return Seen("unknown", detail, todo)


def listed(names: Iterable[str]) -> str:
    """Names in order, the first few of many."""
    every = sorted(names)
    more = f" and {len(every) - MOST_NAMED} more" if len(every) > MOST_NAMED else ""
    return ", ".join(every[:MOST_NAMED]) + more


def duration(seconds: float) -> str:
    """A duration as a person says it: 45 s, 12 min, 5 h, 3 days."""
    for unit, size, least in (("days", 86_400, 2), ("h", 3600, 2), ("min", 60, 2)):
        if seconds >= least * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def said(error: str) -> str:
    """An error's text as the end of a sentence, nothing where there is none."""
    return f" ({error.rstrip('.')})" if error else ""
