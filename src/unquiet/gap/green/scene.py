"""What a cause is judged from, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from unquiet.gap.near import Topic
from unquiet.model.incidents import Onset

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

HOLDS, NOT, UNKNOWN, MOOT = "holds", "does not hold", "unknown", "not asked"
"""What is said of a cause. Not asked: another cause leaves nothing to ask about."""

MISSED = 0.2
"""Cases are too few if, with this chance or more, none of them would have met the change (a power of 80 %: Cohen 1988)."""

YES, NO, UNTOLD = 1, 0, -1
"""Whether a case is under a condition; UNTOLD where the case tells nothing of it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is said of one cause: verdict, one sentence, evidence that can be written as JSON, strength from 0 to 1."""

    cause: str
    verdict: str
    said: str
    evidence: Mapping[str, Any] = field(default_factory=dict[str, Any])
    strength: float = 0.0


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of the affected traffic: `facet=value`. `shown` is how it is said: "locale=de-DE", "several turns"."""

    facet: str
    value: str
    shown: str


@dataclass(frozen=True, slots=True)
class Place:
    """One slice that the incident reached, as conditions that hold together; `status` (conditions, cases) of YES, NO, UNTOLD."""

    conditions: tuple[Condition, ...]
    status: npt.NDArray[np.int8]

    @property
    def under(self) -> BoolArray:
        """Which cases are under all of the conditions."""
        return (self.status == YES).all(axis=0)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What was answered to affected requests, parallel to the rows of the topic.

    `after` are the answers of affected sessions, `before` those to the nearest requests before the onset; null where not
    captured.
    """

    after: pa.Array
    before: pa.Array


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """An incident and the evals beside it.

    `results` (n rows, EVAL_RESULTS, by time) with `case` (n,), the number of each result's case, `case_names` and
    `case_inputs` of the c cases. `asked` (c',) numbers the cases that have an input, parallel to the columns of `topic`.
    `no_topic` says why there is no topic. `beyond_share` is the share of the affected sessions that is beyond what was
    expected: the others would have gone the same way anyway. `places` have statuses of all c cases. `served` holds, for each
    facet that tells the path (model, prompt_hash, a version), the values of affected sessions with their counts. `shows`
    (n,): whether the recorded answer of a result shows what the incident counts, NaN where that cannot be told; `shift`
    (n,): the distance (1 - cosine) between a result's recorded answer and the one before of the same case, NaN for the
    first. Times are microseconds since 1970; `end_us` is the end of the incident or of the traffic.
    """

    onset: Onset
    raised_us: int
    end_us: int
    results: pa.Table
    case: IntArray
    case_names: Sequence[str]
    case_inputs: Sequence[str | None]
    asked: IntArray
    topic: Topic | None
    no_topic: str
    beyond_share: float
    places: tuple[Place, ...]
    answers: Answers | None
    served: Mapping[str, Mapping[str, int]]
    shows: FloatArray
    shift: FloatArray
    behaviour: str

    @property
    def time_us(self) -> IntArray:
        """When each result was obtained."""
        return self.results.column("time").cast(pa.int64()).to_numpy()

    @property
    def status(self) -> npt.NDArray[np.object_]:
        """What became of each result, one of STATUSES."""
        return self.results.column("status").to_numpy(zero_copy_only=False)

    @property
    def after(self) -> BoolArray:
        """Which results are of the time of the incident: since the onset, or at least within its interval, to its end."""
        at = self.time_us
        since = (at >= self.onset.at_us) & (at <= self.end_us)
        return since if since.any() else (at >= self.onset.earliest_us) & (at <= self.end_us)

    @property
    def near_cases(self) -> IntArray:
        """Numbers of the cases that are near an affected request."""
        if self.topic is None:
            return np.zeros(0, np.int64)
        return self.asked[self.topic.near.any(axis=0)]

    def chance_missed(self, cases: IntArray) -> float:
        """The chance that none of some near cases met the change, had each gone as production requests next to it went."""
        if self.topic is None:
            return 1.0
        hit = self.topic.case_hit[np.isin(self.asked, cases)] * self.beyond_share
        return float(np.prod(1.0 - hit))

    @property
    def covering(self) -> IntArray:
        """The near cases that are under the conditions of the incident: those that could have seen it."""
        near = self.near_cases
        if not self.places or not any(place.conditions for place in self.places):
            return near
        under: BoolArray = np.asarray(np.stack([place.under for place in self.places]).any(axis=0))
        return near[under[near]]


class Cause(Protocol):
    """One reason why the evals stayed green."""

    name: str

    def judge(self, scene: Scene) -> Finding:
        """Whether the cause holds for an incident, and what shows it."""
        ...
