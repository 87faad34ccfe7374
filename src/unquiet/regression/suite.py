"""What is exported: cases, each with its requests and assertions, and how well these were seen to separate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `n` answers."""

    count: int
    n: int

    @property
    def rate(self) -> float:
        """The share; 0 of none."""
        return self.count / self.n if self.n else 0.0


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of assertion that tells before from after: sessions held out that fail it, `before` wrongly, `after` rightly.

    `assertion` is without what differs from case to case (the length, the script).
    """

    name: str
    said: str
    assertion: Mapping[str, Any]
    before: Share
    after: Share

    @property
    def needs_unquiet(self) -> bool:
        """Whether unquiet must be installed where it is checked."""
        return self.assertion["kind"] == "signal"


@dataclass(frozen=True, slots=True)
class Given:
    """A recorded answer, with the tools that were called, None where they were not recorded."""

    output: str
    calls: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Case:
    """One request with those before it in the conversation, and what is expected of the answer.

    `before` are the answers to the nearest requests before the onset and those that pass; `after` are answers of the
    incident to this request and the nearest, and those that fail. `sources` names the sessions and turns of both, and `given`
    holds these answers, nearest first, under `before` and `after`: formats write neither.
    """

    id: str
    requests: tuple[str, ...]
    assertions: tuple[Mapping[str, Any], ...]
    before: Share
    after: Share
    similarity: float
    sources: Mapping[str, tuple[tuple[str, int], ...]]
    given: Mapping[str, tuple[Given, ...]]


@dataclass(frozen=True, slots=True)
class Suite:
    """The regression cases of an incident; `before` and `after` are sessions held out that fail any rule."""

    incident: str
    title: str
    onset: str
    rules: tuple[Rule, ...]
    cases: tuple[Case, ...]
    before: Share
    after: Share

    @property
    def needs_unquiet(self) -> bool:
        """Whether any case needs unquiet where it is checked."""
        return any(each["kind"] == "signal" for case in self.cases for each in case.assertions)
