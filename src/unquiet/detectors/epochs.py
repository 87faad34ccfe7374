"""A new baseline epoch: what has become normal is what is expected from then on, in some events."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unquiet.detectors.frozen import Frozen
from unquiet.detectors.watch import Watch
from unquiet.model.history import Recorded

IntArray = npt.NDArray[np.int64]


def begin_epoch(watch: Watch, recorded: Recorded, events: IntArray, since_us: int) -> None:
    """Base rates of `events` (k,) anew from the sessions that began at `since_us` or later; evidence from nothing.

    The frozen reference is frozen anew in them. A cell bets again once it has seen enough sessions of the new epoch.
    """
    if not len(events):
        return
    _count_anew(watch, recorded, events, since_us)
    moved = np.flatnonzero(np.isin(watch.shifts[:, 1], events)) + watch.rates.events.shape[1]
    watch.restarts[:, np.concatenate([events, moved])] = 0.0
    watch.days.past[..., events] = 0.0
    watch.days.today[..., events] = 0.0
    watch.days.older[..., events] = 0.0
    watch.days.widened[:, events] = 0.0
    if watch.frozen is not None:
        _freeze_anew(watch, watch.frozen, events)


def _count_anew(watch: Watch, recorded: Recorded, events: IntArray, since_us: int) -> None:
    rates = watch.rates
    new = recorded.started_us[recorded.member_session] >= since_us
    session, where = recorded.member_session[new], recorded.member_slice[new]
    stratum = recorded.stratum[session]
    y = recorded.y[session][:, events]
    rows = rates.rows(where.astype(np.int64), stratum)
    for place, event in enumerate(events.tolist()):
        applies, happened = (y[:, place] >= 0).astype(float), (y[:, place] == 1).astype(float)
        rates.sessions[:, event] = np.bincount(rows, applies, minlength=len(rates.sessions))
        rates.events[:, event] = np.bincount(rows, happened, minlength=len(rates.events))
        size = len(rates.slice_events)
        rates.slice_sessions[:, event] = np.bincount(where, applies, minlength=size)
        rates.slice_events[:, event] = np.bincount(where, happened, minlength=size)
        usual = rates.stratum_rates(stratum)[:, event]
        rates.slice_usual[:, event] = np.bincount(where, applies * usual, minlength=size)


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
