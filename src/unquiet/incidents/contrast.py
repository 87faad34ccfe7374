"""Before against after: what every slice and event did since a moment, compared within strata.

The expected count after the moment is what the same mix of requests would have brought at the rates before it
(direct standardisation, Kitagawa 1955); the score of a slice is the log-likelihood ratio of the best common odds ratio
(a scan statistic: Kulldorff 1997; Neill 2012), discounted for what the rates before are themselves uncertain of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unquiet.incidents.expected import cautious, expected_rates
from unquiet.model.history import Recorded
from unquiet.stats.runs import run_sums
from unquiet.stats.shrinkage import lift, rate_of, shrunk

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

TRUSTED_SESSIONS = 1.0
"""What an expected rate is worth, in sessions, where a cell has no history of its own: such cells err together."""

ODDS_RATIOS = np.exp(np.concatenate([-np.geomspace(0.1, 5.0, 14)[::-1], np.geomspace(0.1, 6.0, 16)]))


@dataclass(frozen=True, slots=True)
class Contrast:
    """Per slice and event, shape (S, E): sessions before and after, events observed and expected after, and evidence.

    `score` is the log evidence of a change in `direction` (+1 up, -1 down).
    """

    before_n: FloatArray
    before_x: FloatArray
    after_n: FloatArray
    observed: FloatArray
    expected: FloatArray
    score: FloatArray
    direction: IntArray


def stream_score(
    recorded: Recorded, where: int, event: int, direction: int, onset_us: int, leave_out: BoolArray | None = None
) -> float:
    """The evidence of one stream that it moved in `direction` at `onset_us`, as `contrast` scores it."""
    rows = recorded.member_session[recorded.member_slice == where].astype(np.int64)
    if leave_out is not None:
        rows = rows[~leave_out[rows]]
    rate = expected_rates(recorded, rows, event, onset_us)
    y, after, stratum = recorded.y[rows, event], recorded.started_us[rows] >= onset_us, recorded.stratum[rows]
    size = int(recorded.stratum.max(initial=0)) + 1
    known = np.bincount(stratum[(y >= 0) & ~after], minlength=size)
    later = np.bincount(stratum[(y >= 0) & after], minlength=size)
    trust = ((known + TRUSTED_SESSIONS) / (known + TRUSTED_SESSIONS + later))[stratum]
    use = (y >= 0) & after
    ratios = ODDS_RATIOS[ODDS_RATIOS > 1.0] if direction > 0 else ODDS_RATIOS[ODDS_RATIOS < 1.0]
    hit, rate, trust = y[use] == 1, cautious(rate[use], direction), trust[use]
    gain = hit[:, None] * np.log(ratios) - np.log1p((ratios - 1.0) * rate[:, None])
    return float(np.max((trust[:, None] * gain).sum(axis=0), initial=0.0))


def contrast(recorded: Recorded, onset_us: int, slice_count: int, leave_out: BoolArray | None = None) -> Contrast:
    """Compare all sessions that began before `onset_us` with those since; `leave_out` (n,) marks sessions to ignore."""
    cell_slice, cell_stratum, before, since = _cell_sums(recorded, onset_us, slice_count, leave_out)
    (n0, x0), (n1, x1) = before, since
    rate = _expected_rate(n0, x0, cell_slice, cell_stratum, slice_count)
    trust = (n0 + TRUSTED_SESSIONS) / (n0 + TRUSTED_SESSIONS + n1)
    per_slice = np.searchsorted(cell_slice, np.arange(slice_count))
    present = np.unique(cell_slice)
    shape = (slice_count, recorded.y.shape[1])

    def by_slice(values: FloatArray) -> FloatArray:
        out = np.zeros(shape)
        if len(values):
            out[present] = np.add.reduceat(values, per_slice[present], axis=0)
        return out

    observed, expected = by_slice(x1), by_slice(n1 * rate)
    score = np.zeros(shape)
    up, down = cautious(rate, 1), cautious(rate, -1)
    for ratio in ODDS_RATIOS:
        gain = trust * (x1 * np.log(ratio) - n1 * np.log1p((ratio - 1.0) * (up if ratio > 1.0 else down)))
        rising = (observed >= expected) == (ratio > 1.0)
        score = np.maximum(score, np.where(rising, by_slice(gain), 0.0))
    direction = np.where(observed >= expected, 1, -1)
    return Contrast(by_slice(n0), by_slice(x0), by_slice(n1), observed, expected, score, direction)


Sums = tuple[FloatArray, FloatArray]


def _cell_sums(
    recorded: Recorded, onset_us: int, slice_count: int, leave_out: BoolArray | None
) -> tuple[IntArray, IntArray, Sums, Sums]:
    """Slice and stratum of each cell, and its sums (n, x) before and since.

    Sessions in the same slices, stratum and side of the onset are added up first: most sessions are like many others.
    """
    session, where = recorded.member_session.astype(np.int64), recorded.member_slice.astype(np.int64)
    if leave_out is not None:
        keep = ~leave_out[session]
        session, where = session[keep], where[keep]
    after = recorded.started_us >= onset_us
    first, order, starts = _alike(recorded, session, where, after, slice_count)
    n, x = run_sums(recorded.y, order, starts)
    kind = np.full(len(recorded), -1, np.int64)
    kind[first] = np.arange(len(first))
    one = kind[session] >= 0
    session, where = session[one], where[one]
    wide = int(recorded.stratum.max(initial=0)) + 1
    cell = where * wide + recorded.stratum[session]
    ordered = np.argsort(cell, kind="stable")
    unique, begins = np.unique(cell[ordered], return_index=True)
    rows = kind[session[ordered]]
    before, since = (_of_side(n, x, rows, begins, (after[first] == side)[:, None]) for side in (False, True))
    return unique // wide, unique % wide, before, since


def _of_side(n: FloatArray, x: FloatArray, rows: IntArray, starts: IntArray, side: BoolArray) -> Sums:
    return (
        np.add.reduceat(np.where(side, n, 0.0)[rows], starts, axis=0),
        np.add.reduceat(np.where(side, x, 0.0)[rows], starts, axis=0),
    )


def _alike(
    recorded: Recorded, session: IntArray, where: IntArray, after: BoolArray, slice_count: int
) -> tuple[IntArray, IntArray, IntArray]:
    """A first session of each kind, all sessions kind by kind, and where each kind begins in them.

    A set of slices is told by the sum of random 64-bit marks: two sets share one with a chance of 2^-64.
    """
    marks = np.random.default_rng(0).integers(0, 2**64, slice_count, dtype=np.uint64)
    key = np.zeros((len(recorded), 2), np.uint64)
    np.add.at(key[:, 0], session, marks[where])
    key[:, 1] = recorded.stratum * 2 + after
    order = np.lexsort((key[:, 1], key[:, 0]))
    new = np.ones(len(order), bool)
    new[1:] = (key[order[1:]] != key[order[:-1]]).any(axis=1)
    starts = np.flatnonzero(new)
    return order[starts], order, starts


def _expected_rate(
    n: FloatArray, x: FloatArray, cell_slice: IntArray, cell_stratum: IntArray, slice_count: int
) -> FloatArray:
    """The rate before, per cell and event, shrunk toward what its stratum and its slice let expect."""
    events = n.shape[1]
    slice_n, slice_x = np.zeros((slice_count, events)), np.zeros((slice_count, events))
    np.add.at(slice_n, cell_slice, n)
    np.add.at(slice_x, cell_slice, x)
    strata = int(cell_stratum.max(initial=0)) + 1
    stratum_n, stratum_x = np.zeros((strata, events)), np.zeros((strata, events))
    root = cell_slice == 0
    np.add.at(stratum_n, cell_stratum[root], n[root])
    np.add.at(stratum_x, cell_stratum[root], x[root])
    overall = rate_of(slice_x[0], slice_n[0], 0.01)
    stratum = rate_of(stratum_x, stratum_n, overall)
    usual = np.zeros((slice_count, events))
    np.add.at(usual, cell_slice, n * stratum[cell_stratum])
    lifted = lift(rate_of(slice_x, slice_n, overall), rate_of(usual, slice_n, overall))
    return shrunk(x, n, stratum[cell_stratum], lifted[cell_slice])
