"""Before against after: what every slice and event did since a moment, compared within strata.

The expected count after the moment is what the same mix of requests would have brought at the rates before it
(direct standardisation, Kitagawa 1955); the score of a slice is the log-likelihood ratio of the best common odds ratio
(a scan statistic: Kulldorff 1997; Neill 2012), discounted for what the rates before are themselves uncertain of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unquiet.incidents.expected import LOWEST_RATE, PRIOR_SESSIONS, expected_rates, odds_of
from unquiet.model.history import Recorded

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
    hit, rate, trust = y[use] == 1, rate[use], trust[use]
    gain = hit[:, None] * np.log(ratios) - np.log1p((ratios - 1.0) * rate[:, None])
    return float(np.max((trust[:, None] * gain).sum(axis=0), initial=0.0))


def contrast(recorded: Recorded, onset_us: int, slice_count: int, leave_out: BoolArray | None = None) -> Contrast:
    """Compare all sessions that began before `onset_us` with those since; `leave_out` (n,) marks sessions to ignore."""
    session, where = recorded.member_session.astype(np.int64), recorded.member_slice.astype(np.int64)
    if leave_out is not None:
        keep = ~leave_out[session]
        session, where = session[keep], where[keep]
    cell_slice, cell_stratum, order, starts = _cells(recorded, session, where)
    rows = session[order]
    after = recorded.started_us[rows] >= onset_us
    y = recorded.y[rows]
    n1, x1 = _sums(y, after, starts)
    n0, x0 = _sums(y, ~after, starts)
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
    for ratio in ODDS_RATIOS:
        gain = trust * (x1 * np.log(ratio) - n1 * np.log1p((ratio - 1.0) * rate))
        rising = (observed >= expected) == (ratio > 1.0)
        score = np.maximum(score, np.where(rising, by_slice(gain), 0.0))
    direction = np.where(observed >= expected, 1, -1)
    return Contrast(by_slice(n0), by_slice(x0), by_slice(n1), observed, expected, score, direction)


def _cells(recorded: Recorded, session: IntArray, where: IntArray) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    wide = int(recorded.stratum.max(initial=0)) + 1
    cell = where * wide + recorded.stratum[session]
    order = np.argsort(cell, kind="stable")
    ordered = cell[order]
    starts = np.flatnonzero(np.concatenate([[True], np.diff(ordered) != 0])) if len(ordered) else np.zeros(0, np.int64)
    unique = ordered[starts]
    return unique // wide, unique % wide, order, starts


def _sums(y: npt.NDArray[np.int8], use: BoolArray, starts: IntArray) -> tuple[FloatArray, FloatArray]:
    if not len(starts):
        return np.zeros((0, y.shape[1])), np.zeros((0, y.shape[1]))
    known = (y >= 0) & use[:, None]
    hit = (y == 1) & use[:, None]
    n = np.add.reduceat(known, starts, axis=0, dtype=np.float64)
    x = np.add.reduceat(hit, starts, axis=0, dtype=np.float64)
    return n, x


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
    overall = (slice_x[0] + 0.01) / (slice_n[0] + 1.0)
    stratum = (stratum_x + overall) / (stratum_n + 1.0)
    usual = np.zeros((slice_count, events))
    np.add.at(usual, cell_slice, n * stratum[cell_stratum])
    inside, standard = (slice_x + overall) / (slice_n + 1.0), (usual + overall) / (slice_n + 1.0)
    odds = odds_of(stratum[cell_stratum]) * (odds_of(inside) / odds_of(standard))[cell_slice]
    prior = odds / (1.0 + odds)
    rate = (x + PRIOR_SESSIONS * prior) / (n + PRIOR_SESSIONS)
    return np.clip(rate, LOWEST_RATE, 1.0 - LOWEST_RATE)
