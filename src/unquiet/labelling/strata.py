"""Which turns are asked about: strata by score, and a random order inside each.

Most is learned from turns whose score is near the threshold, and from those that are said to be clear and are not. So
every stratum gets a share of the questions, those near the threshold first; inside a stratum the order is random, for a
label whose chance of being chosen is unknown says nothing of a rate. A turn's place in that order is a number made of
its id (a permanent random number: Ohlsson 1995, "Coordination of samples using permanent random numbers"), so a later
run goes on where the last one stopped, also when turns have been added.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unquiet.model.signals import FloatArray, SignalInfo

IntArray = npt.NDArray[np.int64]

THRESHOLD = 0.5
"""From this score on a turn is said to show the behaviour."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """Turns with a score of at least `low`, below the next stratum's, and their share of the questions."""

    name: str
    low: float
    share: float

    @property
    def flagged(self) -> bool:
        """Whether the signal says yes."""
        return self.low >= THRESHOLD


OF_SCORE = (
    Stratum("clear no", 0.0, 0.40),
    Stratum("near no", 0.25, 0.20),
    Stratum("near yes", 0.5, 0.20),
    Stratum("clear yes", 0.75, 0.20),
)
"""By the levels that events have too. What is missed hides among the many clear ones: they get most."""

OF_FLAG = (Stratum("no", 0.0, 0.5), Stratum("yes", 0.5, 0.5))


def strata_of(info: SignalInfo) -> tuple[Stratum, ...]:
    """The strata of a signal by rising score; ValueError for a signal that is no yes-or-no question."""
    if info.kind not in ("score", "flag"):
        raise ValueError(f"{info.name} is a {info.kind}; only a flag or a score can be labelled yes or no")
    return OF_SCORE if info.kind == "score" else OF_FLAG


def stratum_index(scores: FloatArray, strata: Sequence[Stratum]) -> IntArray:
    """The stratum of each score (n,); -1 for NaN."""
    edges = np.array([stratum.low for stratum in strata[1:]])
    return np.where(np.isnan(scores), -1, np.searchsorted(edges, scores, side="right")).astype(np.int64)


def ranks(turn_ids: Sequence[str], signal: str, seed: int) -> FloatArray:
    """A number in [0, 1) for every turn, uniform and the same each time, shape (n,)."""
    salt = hashlib.blake2b(f"{signal}/{seed}".encode(), digest_size=16).digest()
    digests = b"".join(
        hashlib.blake2b(turn_id.encode("utf-8", "surrogatepass"), digest_size=8, salt=salt).digest()
        for turn_id in turn_ids
    )
    return np.frombuffer(digests, np.uint64).astype(np.float64) / 2.0**64


def turn_to(served: Sequence[int], open_: Sequence[bool], strata: Sequence[Stratum]) -> int | None:
    """The stratum to ask about next: the one that is furthest behind its share, of equals the nearest to the threshold.

    `served` counts the turns that were taken from each, `open_` says where there are more; None where there are none.
    """
    left = [i for i, more in enumerate(open_) if more]
    if not left:
        return None
    return min(left, key=lambda i: (served[i] / strata[i].share, abs(_middle(i, strata) - THRESHOLD)))


def _middle(index: int, strata: Sequence[Stratum]) -> float:
    high = strata[index + 1].low if index + 1 < len(strata) else 1.0
    return (strata[index].low + high) / 2.0
