"""The product's detector on a point of the detectability map: replicas of its stream in which the failure of the map happens."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unquiet.detectors import Watch
from unquiet.detectors.watch import DAY_US
from unquiet.model.counts import TickCounts
from unquiet.stats.heard import Heard
from watch_worlds import START_US, TABLES

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def share_heard(stream: Heard, share: float, days: int, *, up: bool, replicas: int, seed: int, ticks: int) -> float:
    """Which part of the replicas hears, within `days`, a failure that meets `share` of the sessions of a stream (one row).

    Every event of one `Watch` is a replica. It has learned the stream's rates and is told its tolerance and its share of the
    budget. The true rates are drawn from what the learned ones leave open (Beta, with the weight of the sessions that they were
    learned from). Sessions are Poisson, `ticks` times a day; the watch runs for a day, then the failure begins, at noon.
    """
    rng = np.random.default_rng(seed)
    cells = np.repeat(np.arange(stream.cells.shape[1]), np.where(stream.per_day[0] > 0, stream.cells[0], 0).astype(int))
    alike = stream.cells[0, cells][:, None]
    per_day, rate, known = (part[0, cells][:, None] for part in (stream.per_day, stream.rate, stream.sessions))
    per_day, known = per_day / alike, known / alike
    watch = learned(stream, cells, replicas)
    true = rng.beta(known * rate + 1e-9, known * (1.0 - rate) + 1e-9, (len(cells), replicas))
    failing = true + share * (1.0 - true) if up else true * (1.0 - share)
    heard = np.zeros(replicas, bool)
    for number in range((days + 1) * ticks):
        day_share = per_day[:, None] * stream.levels[0][None, :, None] / ticks
        now = (true if number < ticks else failing)[:, None, :]
        x = rng.poisson(day_share * now).astype(float)
        n = x + rng.poisson(day_share * (1.0 - now))
        tick_us = START_US + DAY_US // 2 + (number + 1) * DAY_US // ticks
        for alarm in watch.step(counts(tick_us, n, x)):
            heard[alarm.event] |= number >= ticks and (alarm.direction == "up") == up
    return float(heard.mean())


def learned(stream: Heard, cells: IntArray, replicas: int) -> Watch:
    """A `Watch` of one slice that has learned the cells of a stream, the same in all replicas, by the noon of a day."""
    budget = float(stream.share[0] + stream.frozen_share[0])
    watch = Watch(np.array([budget]), replicas, TABLES, float(stream.delta[0]))
    sessions = stream.sessions[0, cells] / stream.cells[0, cells]
    n = np.broadcast_to(sessions[:, None, None], (len(cells), 1, replicas))
    x = n * stream.rate[0, cells][:, None, None]
    watch.learn(counts(START_US + DAY_US // 2, n, x))
    watch.days.turn(START_US + DAY_US // 2)
    watch.freeze()
    frozen = watch.frozen
    if frozen is None:
        raise ValueError("a watch that was frozen has a frozen reference")
    frozen.rate[:] = stream.frozen_rate[0, cells][:, None]
    frozen.margin[:] = (stream.frozen_delta[0, cells] - stream.delta[0])[:, None]
    place = np.arange(len(cells)) - np.searchsorted(cells, cells)
    frozen.bets[:] = (place < np.rint(stream.frozen_bets * stream.cells)[0, cells])[:, None]
    return watch


def counts(tick_us: int, n: FloatArray, x: FloatArray) -> TickCounts:
    """Counts (cells, weight levels, replicas) of one slice, without rows that hold no session."""
    stratum, weight = np.nonzero(n.any(axis=2))
    return TickCounts(
        tick_us, np.zeros(len(stratum), np.int64), stratum, weight, n[stratum, weight], x[stratum, weight]
    )
