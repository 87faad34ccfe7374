"""Where a change is: the slices that explain the excess, narrowest first choice, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unquiet.incidents.contrast import Contrast, contrast
from unquiet.model.history import Recorded
from unquiet.model.slices import Slice

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

CLEAR = 6.0
"""Log evidence, after paying for the choice among slices, that a further slice of the same incident needs."""

MOST_PARTS = 4
EXPLAINS = 0.9
"""A narrower slice is preferred if it holds this share of the wider one's evidence."""

NAMED_SHARE = 0.6
"""A named behaviour is preferred to a mere number (length, tokens) if it has this share of the number's evidence."""


@dataclass(frozen=True, slots=True)
class Part:
    """One slice of an incident: index into the lattice, the event that shows it best, its direction and log evidence."""

    slice: int
    event: int
    direction: int
    score: float


def choice_cost(slices: Sequence[Slice]) -> FloatArray:
    """The log number of slices of the same depth: what picking the best of them is worth by chance alone."""
    depth = np.array([len(where.conditions) for where in slices])
    return np.log(np.bincount(depth))[depth]


def best_part(
    found: Contrast, slices: Sequence[Slice], named: BoolArray, directions: FloatArray | None = None
) -> Part | None:
    """The slice and event with the most evidence; `named` (E,) marks events that are behaviours, not mere numbers.

    `directions` (E,), where given, asks for changes in that direction (0: either).
    """
    score = found.score - choice_cost(slices)[:, None]
    if directions is not None:
        score = np.where((directions == 0) | (found.direction == directions), score, -np.inf)
    where, event = np.unravel_index(int(score.argmax()), score.shape)
    if score[where, event] <= 0:
        return None
    if not named[event]:
        rivals = np.where(named, score[where], -np.inf)
        if rivals.max() >= NAMED_SHARE * score[where, event]:
            event = rivals.argmax()
            where = score[:, event].argmax()
    where, event = _narrowest(found, slices, int(where), int(event)), int(event)
    return Part(where, event, int(found.direction[where, event]), float(found.score[where, event]))


def _narrowest(found: Contrast, slices: Sequence[Slice], where: int, event: int) -> int:
    """The narrowest slice inside `where` that holds nearly all of its evidence; of equally narrow ones the clearest."""
    enough = EXPLAINS * found.score[where, event]
    inside = [
        (-len(other.conditions), -float(found.score[i, event]), i)
        for i, other in enumerate(slices)
        if slices[where].contains(other) and found.score[i, event] >= enough
    ]
    return min(inside)[2]


def further_parts(
    recorded: Recorded, onset_us: int, slices: Sequence[Slice], first: Part, signal_of: Sequence[str]
) -> list[Part]:
    """The incident's slices: the first, and those that still move the same signal once the earlier are left out."""
    parts = [first]
    left_out = np.zeros(len(recorded), bool)
    same_signal = np.array([signal == signal_of[first.event] for signal in signal_of])
    while len(parts) < MOST_PARTS and parts[-1].slice != 0:
        left_out[recorded.member_session[recorded.member_slice == parts[-1].slice]] = True
        rest = contrast(recorded, onset_us, len(slices), left_out)
        score = np.where(same_signal, rest.score - choice_cost(slices)[:, None], -np.inf)
        where, event = np.unravel_index(int(score.argmax()), score.shape)
        if score[where, event] < CLEAR:
            break
        part = Part(int(where), int(event), int(rest.direction[where, event]), float(rest.score[where, event]))
        parts.append(part)
    return parts


def members(recorded: Recorded, parts: Sequence[Part]) -> BoolArray:
    """Which sessions (n,) are in any of the parts' slices."""
    inside = np.zeros(len(recorded), bool)
    for part in parts:
        inside[recorded.member_session[recorded.member_slice == part.slice]] = True
    return inside
