"""The streams of a judgement as the detectability map needs them: their traffic, rates, tolerances and budget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unquiet.app.seeing import RECENT_DAYS, YES
from unquiet.counts import RecentSessions
from unquiet.detectors import Watch
from unquiet.detectors.watch import CELL_SESSIONS
from unquiet.model.detectability import Direction, Point
from unquiet.model.history import LATEST_US
from unquiet.model.slices import Slice
from unquiet.pipeline.judging import DAY_US, Judge
from unquiet.pipeline.plan import Plan
from unquiet.stats.edetector import DEFAULT_WEIGHT_LEVELS, weight_level
from unquiet.stats.heard import Heard

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MOST_CELLS = 6
"""Cells of a stream that are told apart; more are taken together with those of the most similar rates."""

LONGEST_BEFORE_DAYS = 28.0


@dataclass(frozen=True, slots=True)
class Recent:
    """The sessions of the last days of the record: `member` and `where` are parallel, session and slice.

    `y` (n, E) are the answers of the sessions, `stratum` and `level` (n,) their strata and weight levels.
    """

    days: float
    member: IntArray
    where: IntArray
    y: npt.NDArray[np.int8]
    stratum: IntArray
    level: IntArray


@dataclass(frozen=True, slots=True)
class Stream:
    """A point before it is computed: its stream with its cells, one row."""

    slice: Slice
    signal: str
    direction: Direction
    sessions_per_day: float
    rate: float
    cells: Heard


def recent_sessions(judge: Judge, plan: Plan) -> Recent:
    """The sessions of the last RECENT_DAYS of the record."""
    recorded = judge.history.upto(LATEST_US)
    users = [None if user in plan.shared_users else user for user in recorded.user.tolist()]
    level = weight_level(RecentSessions().ranks(users, recorded.tick_us))
    last = int(recorded.started_us.max())
    first = max(int(recorded.started_us.min()), last - RECENT_DAYS * DAY_US)
    kept = recorded.started_us[recorded.member_session] >= first
    return Recent(
        days=max((last - first) / DAY_US, 1.0 / 24.0),
        member=recorded.member_session[kept].astype(np.int64),
        where=recorded.member_slice[kept].astype(np.int64),
        y=recorded.y,
        stratum=recorded.stratum,
        level=level,
    )


def streams_of_slice(judge: Judge, recent: Recent, where: int) -> Iterator[Stream | Point]:
    """The streams of a slice; a point that says why where nothing is known of one."""
    plan, watch = judge.plan, judge.watch
    if plan is None or watch is None:
        return
    member = recent.member[recent.where == where]
    for event, asked in enumerate(plan.events):
        if not (asked.test == "flag" or (asked.test, asked.level) == ("level", YES)):
            continue
        name = plan.lattice.slices[where]
        answers = recent.y[member, event]
        applies = int((answers >= 0).sum())
        if not applies or not watch.rates.slice_sessions[where, event]:
            why = "it was never read there" if len(member) else f"no session of the last {RECENT_DAYS} days is in it"
            yield Point(name, asked.signal, "up", why=why)
            continue
        counted = member[(answers >= 0) & (recent.level[member] < len(DEFAULT_WEIGHT_LEVELS))]
        cells = _cells(judge, watch, recent, where, event, counted)
        if cells is None:
            yield Point(name, asked.signal, "up", why="too few sessions were seen there for a bet yet")
            continue
        rate = float((cells.per_day * cells.rate).sum() / cells.per_day.sum())
        yield Stream(name, asked.signal, "up", applies / recent.days, rate, cells)


def _cells(judge: Judge, watch: Watch, recent: Recent, where: int, event: int, counted: IntArray) -> Heard | None:
    """The cells of one stream that bet, taken together to MOST_CELLS at most; None where none does."""
    per_day = np.bincount(recent.stratum[counted], minlength=watch.rates.row_of.shape[1]) / recent.days
    row_of = watch.rates.row_of[where][: len(per_day)]
    stratum = np.flatnonzero((row_of >= 0) & (per_day[: len(row_of)] > 0))
    rows = row_of[stratum]
    bets = watch.rates.sessions[rows, event] >= CELL_SESSIONS
    stratum, rows = stratum[bets], rows[bets]
    if not len(rows):
        return None
    rate = watch.rates.expected(rows, np.full(len(rows), where), stratum)[:, event]
    widened = watch.days.widened[where, event] + watch.days.mix_margin(np.array([where]))[0, event]
    delta = watch.delta + float(widened)
    frozen = _frozen(watch, rows, event, rate)
    group = _alike(rate, per_day[stratum])
    n = per_day[stratum]
    levels = np.bincount(recent.level[counted], minlength=len(DEFAULT_WEIGHT_LEVELS)) / max(len(counted), 1)
    share = watch.weight[event] * np.array([watch.share[where], watch.frozen_share[where]])
    return Heard(
        per_day=_summed(n, group)[None],
        rate=_mean(rate, n, group)[None],
        sessions=_summed(watch.rates.sessions[rows, event], group)[None],
        cells=np.maximum(np.bincount(group, minlength=MOST_CELLS), 1.0)[None],
        delta=np.array([delta]),
        share=share[:1],
        levels=levels[None],
        frozen_rate=_mean(frozen[0], n, group)[None],
        frozen_delta=delta + _mean(frozen[1], n, group)[None],
        frozen_bets=_mean(frozen[2], n, group)[None],
        frozen_share=share[1:],
        weights=np.array(DEFAULT_WEIGHT_LEVELS),
        watched_days=_watched_days(judge),
    )


def _frozen(watch: Watch, rows: IntArray, event: int, rate: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Rate, margin and whether it bets, of each cell in the frozen reference (n,); nothing where it did not know the cell."""
    margin, bets, own = np.zeros(len(rows)), np.zeros(len(rows)), rate.copy()
    if watch.frozen is not None:
        known = rows < len(watch.frozen.rate)
        own[known] = watch.frozen.rate[rows[known], event]
        margin[known] = watch.frozen.margin[rows[known], event]
        bets[known] = watch.frozen.bets[rows[known], event]
    return own, margin, bets


def _alike(rate: FloatArray, per_day: FloatArray) -> IntArray:
    """A group for each cell, by its rate; the groups have about the same traffic."""
    order = np.argsort(rate, kind="stable")
    before = np.cumsum(per_day[order]) - per_day[order]
    group = np.empty(len(rate), np.int64)
    group[order] = np.minimum(before / per_day.sum() * MOST_CELLS, MOST_CELLS - 1).astype(np.int64)
    return group


def _summed(values: FloatArray, group: IntArray) -> FloatArray:
    return np.bincount(group, values, minlength=MOST_CELLS).astype(np.float64)


def _mean(values: FloatArray, per_day: FloatArray, group: IntArray) -> FloatArray:
    """The mean of each group by traffic; one half where a group is empty: it has no sessions."""
    total = _summed(per_day, group)
    return np.divide(_summed(values * per_day, group), total, out=np.full(MOST_CELLS, 0.5), where=total > 0)


def _watched_days(judge: Judge) -> float:
    first, last = judge.span_us
    watched = ((last or 0) - (first or 0)) / DAY_US - judge.settings.learn.total_seconds() / 86_400
    return float(np.clip(watched, 0.0, LONGEST_BEFORE_DAYS))
