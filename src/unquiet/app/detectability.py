"""The detectability map: how big a failure must be to be heard, for each slice and signal of a judgement's own traffic."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from unquiet.app.map_streams import Stream, recent_sessions, streams_of_slice
from unquiet.app.seeing_more import finer, remedies
from unquiet.model.detectability import WITHIN_DAYS, DetectabilityMap, Point
from unquiet.model.errors import UnquietError
from unquiet.model.slices import Slice
from unquiet.pipeline.judging import Judge
from unquiet.stats.heard import Heard, smallest_heard

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Progress = Callable[[str, float], None]

MOST_SLICES = 24


def detectability(
    judge: Judge,
    progress: Progress,
    *,
    within: Sequence[int] = WITHIN_DAYS,
    most_slices: int = MOST_SLICES,
    also: Sequence[Slice] = (),
    helps: bool = True,
) -> DetectabilityMap:
    """The map of what a judgement has learned: all yes-or-no signals, in the slices with most sessions and those in `also`.

    Without `helps` it is not computed what would make more visible.

    Raises:
        UnquietError: it has not learned yet.
    """
    slices, streams = map_streams(judge, most_slices, also)
    known = [each for each in streams if isinstance(each, Stream)]
    seed = judge.settings.seed
    shares: list[FloatArray] = []
    for number, days in enumerate(within):
        progress(f"how big a failure must be, {days} days", number / (len(within) + 1))
        found = smallest_of(known, days, seed)
        # What is heard within a day is heard within a week.
        shares.append(np.fmin(found, shares[-1]) if shares else found)
    points = iter(_points(known, within, shares))
    progress("what would help", len(within) / (len(within) + 1))
    helping = (
        remedies(known, lambda some, days: smallest_of(some, days, seed), within, judge.settings.delta) if helps else ()
    )
    return DetectabilityMap(
        points=tuple(next(points) if isinstance(each, Stream) else each for each in streams),
        slices=slices,
        budget=judge.settings.budget,
        delta=judge.settings.delta,
        remedies=(*helping, finer(known, shares, within)),
    )


def map_streams(
    judge: Judge, most_slices: int = MOST_SLICES, also: Sequence[Slice] = ()
) -> tuple[tuple[tuple[Slice, float], ...], list[Stream | Point]]:
    """The slices with their sessions a day, those with most first, and all their streams; points where nothing is known.

    Raises:
        UnquietError: nothing was learned yet.
    """
    plan = judge.plan
    if plan is None or judge.watch is None:
        raise UnquietError(
            "nothing was judged yet, so how big a failure must be is unknown: the map is computed from what was learned of "
            "the traffic. Name more of it with --traffic, or shorten --learn-days."
        )
    recent = recent_sessions(judge, plan)
    per_day = np.bincount(recent.where, minlength=len(plan.lattice.slices)) / recent.days
    order = [0, *(i for i in np.argsort(-per_day, kind="stable").tolist() if i)]
    wanted = set(also)
    kept = [i for n, i in enumerate(order) if n < most_slices or plan.lattice.slices[i] in wanted]
    slices = tuple((plan.lattice.slices[i], round(float(per_day[i]), 2)) for i in kept)
    return slices, [each for i in kept for each in streams_of_slice(judge, recent, i)]


def smallest_of(streams: Sequence[Stream], days: int, seed: int) -> FloatArray:
    """The smallest share of each stream's sessions that is heard within so many days, NaN where none is; (len(streams),)."""
    out = np.full(len(streams), np.nan)
    for up in (True, False):
        own = [i for i, each in enumerate(streams) if (each.direction == "up") == up]
        if own:
            rows, back = _distinct([streams[i].cells for i in own])
            out[own] = smallest_heard(joined([streams[own[i]].cells for i in rows]), days, up=up, seed=seed)[back]
    return out


def joined(parts: Sequence[Heard]) -> Heard:
    """Streams of one row each as one value of as many rows."""
    columns = zip(*(part.numbers() for part in parts), strict=True)
    return Heard(
        *(np.concatenate(column) for column in columns), weights=parts[0].weights, watched_days=parts[0].watched_days
    )


def _points(streams: Sequence[Stream], within: Sequence[int], shares: Sequence[FloatArray]) -> list[Point]:
    points: list[Point] = []
    for i, each in enumerate(streams):
        points.append(
            Point(
                each.slice,
                each.signal,
                each.direction,
                round(each.sessions_per_day, 2),
                round(each.rate, 5),
                {days: _share(share[i]) for days, share in zip(within, shares, strict=True)},
            )
        )
    return points


def _share(value: float) -> float | None:
    return None if np.isnan(value) or value > 1.0 else float(f"{value:.3g}")


def _distinct(streams: Sequence[Heard]) -> tuple[list[int], IntArray]:
    """The first of all streams that are alike in numbers, and for each stream which of these it is."""
    first, rows, back = dict[bytes, int](), list[int](), list[int]()
    for i, each in enumerate(streams):
        key = b"".join(np.round(part, 9).tobytes() for part in each.numbers())
        if key not in first:
            first[key] = len(rows)
            rows.append(i)
        back.append(first[key])
    return rows, np.array(back, np.int64)
