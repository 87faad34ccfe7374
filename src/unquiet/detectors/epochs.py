"""A new baseline epoch: what has become normal is what is expected from then on, in some events."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unquiet.detectors.frozen import Frozen
from unquiet.detectors.watch import Watch
from unquiet.model.history import Recorded

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def begin_epoch(watch: Watch, recorded: Recorded, counted: BoolArray, events: IntArray, since_us: int) -> None:
    """Base rates of `events` (k,) anew from the sessions that began at `since_us` or later; evidence from nothing.

    `counted` (n,) marks the recorded sessions that are evidence: those that the watch has learned from. The frozen reference
    is frozen anew in the events. A cell bets again once it has seen enough sessions of the new epoch. The events of one
    number belong together: its halves are told from the rates of all three.
    """
    if not len(events):
        return
    _count_anew(watch, recorded, counted & (recorded.started_us >= since_us), events)
    moved = np.flatnonzero(np.isin(watch.shifts[:, 1], events)) + watch.rates.events.shape[1]
    watch.restarts[:, np.concatenate([events, moved])] = 0.0
    watch.days.past[..., events] = 0.0
    watch.days.today[..., events] = 0.0
    watch.days.older[..., events] = 0.0
    watch.days.widened[:, events] = 0.0
    if watch.frozen is not None:
        _freeze_anew(watch, watch.frozen, events)


def _count_anew(watch: Watch, recorded: Recorded, counted: BoolArray, events: IntArray) -> None:
    """Count the marked sessions (n,) as if they were all that was ever learned of the events."""
    rates = watch.rates
    new = counted[recorded.member_session]
    session, where = recorded.member_session[new], recorded.member_slice[new].astype(np.int64)
    stratum = recorded.stratum[session]
    rows = rates.rows(where, stratum)
    size, known = len(rates.slice_events), np.arange(rates.row_of.shape[1])
    for event in events.tolist():
        y = recorded.y[session, event]
        applies, happened = (y >= 0).astype(float), (y == 1).astype(float)
        rates.sessions[:, event] = np.bincount(rows, applies, minlength=len(rates.sessions))
        rates.events[:, event] = np.bincount(rows, happened, minlength=len(rates.events))
        rates.slice_sessions[:, event] = np.bincount(where, applies, minlength=size)
        rates.slice_events[:, event] = np.bincount(where, happened, minlength=size)
    usual = rates.stratum_rates(known)[:, events]
    for place, event in enumerate(events.tolist()):
        applies = (recorded.y[session, event] >= 0).astype(float)
        rates.slice_usual[:, event] = np.bincount(where, applies * usual[stratum, place], minlength=size)


def _freeze_anew(watch: Watch, frozen: Frozen, events: IntArray) -> None:
    where, stratum = watch.rates.cells()
    known = np.arange(len(frozen.rate))
    rate = watch.rates.expected(known, where[: len(known)], stratum[: len(known)])
    fresh = Frozen(frozen.slice_of, rate, watch.rates.sessions[known], frozen.share)
    for part in ("rate", "bets", "margin"):
        getattr(frozen, part)[:, events] = getattr(fresh, part)[:, events]
    frozen.n[:, events] = 0.0
    frozen.x[:, events] = 0.0
    frozen.restarts[:, events] = 0.0
