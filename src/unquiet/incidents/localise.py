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
ALIKE = 1.0
"""Of slices whose evidence differs by less than this (nats), the one with the fewest conditions is named."""

OTHER_EVENT_COST = 2.0
"""Nats that another event than the one that rang must be better by, for the choice that there is among events."""

OVERLAP = 0.5
"""A change is looked for in slices that share this much with the slice that rang: of the smaller one's sessions since."""

NAMED, RISING = 1.15, 1.13
"""Of events with about the same evidence a named behaviour tells more than a number, and more of it more than less."""

WORDED = 0.6
"""A feature of answers tells least: one phrase of several that came, or a word in it. The behaviour is told if it has a name."""


@dataclass(frozen=True, slots=True)
class Part:
    """One slice of an incident: index into the lattice, the event that shows it best, its direction and log evidence."""

    slice: int
    event: int
    direction: int
    score: float


def choice_cost(slices: Sequence[Slice]) -> FloatArray:
    """The log number of slices with as many conditions (one or none): what picking the best is worth by chance alone."""
    depth = np.array([max(len(where.conditions), 1) for where in slices])
    return np.log(np.maximum(np.bincount(depth), 1))[depth]


def best_part(found: Contrast, slices: Sequence[Slice], telling: FloatArray, near: BoolArray, rang: Part) -> Part:
    """The slice and event that explain what rang: those with the most evidence after paying for the choice.

    The evidence of a slice is the likelihood of "this slice changed, and nothing else": a slice that is too wide pays for
    its sessions that did not change, one that is too narrow leaves out sessions that did. `near` (S,) marks the slices to
    choose from; `telling` (E,) what the evidence of each event counts (see `telling`). `rang` is the answer if nothing is better.
    """
    score = found.score - choice_cost(slices)[:, None] - OTHER_EVENT_COST
    score[:, rang.event] += OTHER_EVENT_COST
    score[~near] = -np.inf
    score[rang.slice, rang.event] = max(rang.score, score[rang.slice, rang.event])
    told = score * telling * np.where((telling > 1.0) & (found.direction > 0), RISING, 1.0)
    where, event = (int(i) for i in np.unravel_index(int(told.argmax()), score.shape))
    where = _simplest(score[:, event], slices, where)
    if (where, event) == (rang.slice, rang.event):
        return rang
    return Part(where, event, int(found.direction[where, event]), float(found.score[where, event]))


def telling(named: BoolArray, worded: BoolArray) -> FloatArray:
    """What the evidence of events (E,) counts when one is chosen to tell a change: behaviours, numbers, features of answers."""
    return np.where(named, NAMED, np.where(worded, WORDED, 1.0))


def _simplest(score: FloatArray, slices: Sequence[Slice], where: int) -> int:
    """Of the slices with about as much evidence as `where`, the one with the fewest conditions, then the clearest."""
    rivals = np.flatnonzero(score >= score[where] - ALIKE)
    return min((max(len(slices[i].conditions), 1), -float(score[i]), int(i)) for i in rivals.tolist())[2]


def near_slices(recorded: Recorded, where: int, slice_count: int, onset_us: int) -> BoolArray:
    """Which slices (S,) share at least OVERLAP with slice `where`, of the smaller one's sessions since the onset."""
    since = recorded.started_us >= onset_us
    inside = np.zeros(len(recorded), bool)
    inside[recorded.member_session[recorded.member_slice == where]] = True
    counted = since[recorded.member_session]
    size = np.bincount(recorded.member_slice[counted], minlength=slice_count)
    both = np.bincount(recorded.member_slice[counted & inside[recorded.member_session]], minlength=slice_count)
    near = both >= OVERLAP * np.minimum(size, size[where])
    near[where] = True
    return near


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
