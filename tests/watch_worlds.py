"""Simulated traffic for the product's detector: worlds in which nothing changes, or one thing does.

Replicas are events: every event of a `Watch` has its own counts, rates and wobble, and nothing is shared between two of
them but the clock. So E events are E independent worlds, each with all slices of the `Watch`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from unquiet.detectors import Watch
from unquiet.detectors.watch import DAY_US
from unquiet.model.counts import TickCounts
from unquiet.stats.edetector import DEFAULT_WEIGHT_LEVELS, BetTables, weight_level

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

BUDGET_PER_DAY = 1 / 30
TABLES = BetTables.build()
LEARN_DAYS = 7
START_US = 20_000 * DAY_US


@dataclass
class World:
    """Cells of traffic: `rate` (C, E) and `traffic` (C,) in sessions a day, in `slice` and `stratum` (C,).

    Slice 0 is all traffic: the sum of the cells of other slices, unless there are none. `share` (S,) is the budget
    of each slice, per event and day. `rates_of` and `traffic_of` give those of a day (0: the first that is judged).
    """

    rate: FloatArray
    traffic: FloatArray
    slice: IntArray
    share: FloatArray
    days: int
    stratum: IntArray | None = None
    ticks: int = 24
    delta: float = 0.07
    learn_days: int = LEARN_DAYS
    guarded: bool = True
    rates_of: Callable[[np.random.Generator, int], FloatArray] | None = None
    traffic_of: Callable[[int], FloatArray] | None = None

    @property
    def events(self) -> int:
        """Number of replicas E."""
        return self.rate.shape[1]


@dataclass
class Found:
    """Alarms of `days` judged days: one row (day, slice, event, up, frozen) each, in order of time."""

    share: FloatArray
    days: int
    events: int
    watch: Watch
    rows: list[tuple[int, int, int, bool, bool]] = field(default_factory=list[tuple[int, int, int, bool, bool]])
    tick_us: list[int] = field(default_factory=list[int])

    def table(self) -> IntArray:
        """The rows as an array (alarms, 5)."""
        return np.array(self.rows, np.int64).reshape(-1, 5)

    def spent(self, part: float = 1.0, streams: float = 1.0) -> tuple[float, float]:
        """(share of the budget spent, its standard error); `part` of it, `streams` for each event."""
        bound = self.share.sum() * self.days * part * streams
        alarms = np.bincount(self.table()[:, 2], minlength=self.events)
        error = max(np.sqrt(bound / self.events), alarms.std(ddof=1) / np.sqrt(self.events))
        return float(alarms.mean() / bound), float(error / bound)

    def hazard(self, parts: int = 3) -> FloatArray:
        """Share of the budget spent in each part of the horizon."""
        per_day = np.bincount(self.table()[:, 0], minlength=self.days) / self.events / self.share.sum()
        return np.array([part.mean() for part in np.array_split(per_day, parts)])


def one_stream(
    rate: float, traffic: float, replicas: int, days: int, share: float = BUDGET_PER_DAY, ticks: int = 24
) -> World:
    """All traffic and nothing else."""
    cell = np.zeros(1, np.int64)
    return World(np.full((1, replicas), rate), np.array([traffic]), cell, np.array([share]), days, ticks=ticks)


def slices_of(rate: FloatArray, traffic: FloatArray, days: int, replicas: int, ticks: int = 4) -> World:
    """Slices that share the budget, one cell each; all traffic is counted and has no part of it."""
    count = len(rate)
    share = np.append(0.0, np.full(count, BUDGET_PER_DAY / count))
    return World(np.tile(rate[:, None], replicas), traffic, np.arange(1, count + 1), share, days, ticks=ticks)


def told(world: World, sessions: float = 1e7) -> Watch:
    """A `Watch` that has learned the rates of the world from so many sessions that it learns nothing more."""
    watch = Watch(world.share, world.events, TABLES, world.delta)
    cell, n = np.zeros(len(world.slice), np.int64), np.full(world.rate.shape, sessions)
    learned = counts_with_all_traffic(end_of(world, 0, -1), world.slice, cell, cell, n, n * world.rate)
    watch.learn(learned)
    watch.days.turn(learned.tick_us)
    watch.freeze()
    return watch


def odds_times(rate: FloatArray, ratio: FloatArray | float) -> FloatArray:
    """The rate whose odds are `ratio` times those of `rate`."""
    return rate * ratio / (1.0 + rate * (ratio - 1.0))


def wobbling(
    rate: FloatArray, deviation: float, *, common: bool = False
) -> Callable[[np.random.Generator, int], FloatArray]:
    """Rates whose odds are log-normal, anew every day: for each cell, or the same for all (`common`)."""
    shape = (1, rate.shape[1]) if common else rate.shape
    return lambda rng, _: odds_times(rate, np.exp(deviation * rng.standard_normal(shape)))


def end_of(world: World, day: int, tick: int) -> int:
    """When a tick ends; -1 is the last of the day before."""
    return START_US + (day + world.learn_days) * DAY_US + (tick + 1) * DAY_US // world.ticks


def counts_of(world: World, rng: np.random.Generator, day: int, tick: int, rate: FloatArray) -> TickCounts:
    """The counts of one tick: Poisson sessions, and events at `rate` (C, E)."""
    traffic = (world.traffic if world.traffic_of is None else world.traffic_of(day))[:, None] / world.ticks
    x = rng.poisson(traffic * rate).astype(float)
    n = x + rng.poisson(traffic * (1.0 - rate))
    stratum = np.zeros(len(x), np.int64) if world.stratum is None else world.stratum
    cell = np.zeros(len(x), np.int64)
    return counts_with_all_traffic(end_of(world, day, tick), world.slice, stratum, cell, n, x)


def counts_with_all_traffic(
    tick_us: int, where: IntArray, stratum: IntArray, weight: IntArray, n: FloatArray, x: FloatArray
) -> TickCounts:
    """Counts with slice 0 added where the cells are of other slices."""
    if where.any():
        keys, row = np.unique(np.stack([stratum, weight]), axis=1, return_inverse=True)
        sums = np.zeros((2, keys.shape[1], n.shape[1]))
        np.add.at(sums, (slice(None), row.reshape(-1)), np.stack([n, x]))
        where = np.concatenate([np.zeros(keys.shape[1], np.int64), where])
        stratum, weight = np.concatenate([keys[0], stratum]), np.concatenate([keys[1], weight])
        n, x = np.concatenate([sums[0], n]), np.concatenate([sums[1], x])
    return counted(tick_us, where, stratum, weight, n, x)


def counted(
    tick_us: int, where: IntArray, stratum: IntArray, weight: IntArray, n: FloatArray, x: FloatArray
) -> TickCounts:
    """Counts in order, without rows that hold no session."""
    seen = np.flatnonzero(n.any(axis=1))
    order = seen[np.lexsort((weight[seen], stratum[seen], where[seen]))]
    return TickCounts(tick_us, where[order], stratum[order], weight[order], n[order], x[order])


def ticks_of(world: World, rng: np.random.Generator) -> Iterator[tuple[int, TickCounts]]:
    """(day, counts) of all ticks that hold sessions; days of the learning period are negative."""
    for day in range(-world.learn_days, world.days):
        rate = world.rate if world.rates_of is None else world.rates_of(rng, day)
        for tick in range(world.ticks):
            counts = counts_of(world, rng, day, tick, rate)
            if len(counts.slice):
                yield day, counts


def judge(world: World, seed: int, watch: Watch | None = None) -> Found:
    """Learn, then judge, as the pipeline does."""
    return judge_ticks(world, ticks_of(world, np.random.default_rng(seed)), watch)


def judge_ticks(world: World, ticks: Iterator[tuple[int, TickCounts]], watch: Watch | None = None) -> Found:
    """The same for ticks that are made elsewhere."""
    watch = watch or Watch(world.share, world.events, TABLES, world.delta)
    found = Found(world.share, world.days, world.events, watch)
    learned: list[TickCounts] = []
    for day, counts in ticks:
        if day < 0:
            learned.append(counts)
            watch.learn(counts)
            continue
        if learned:
            for past in learned:
                watch.look_back(past)
            watch.freeze()
            learned = []
        if not world.guarded:
            watch.days.past = watch.days.past[:, :0]
        alarms = watch.step(counts)
        found.rows.extend((day, a.slice, a.event, a.direction == "up", a.reference == "frozen") for a in alarms)
        found.tick_us.extend(a.tick_us for a in alarms)
    return found


def user_ticks(
    world: World, seed: int, concentration: float, *, weighted: bool = True
) -> Iterator[tuple[int, TickCounts]]:
    """Ticks of one stream with about 100 users a day, up to 300 sessions each, number of sessions Pareto(1.3).

    Users have own rates, Beta(c rate, c (1 - rate)): correlation 1 / (1 + c) between two sessions of one user.
    """
    rng, levels = np.random.default_rng(seed), len(DEFAULT_WEIGHT_LEVELS)
    rate = float(world.rate[0, 0])
    for day in range(-world.learn_days, world.days):
        sessions = np.minimum(np.floor(rng.pareto(1.3, rng.poisson(100)) + 1), 300).astype(int)
        own = rng.beta(concentration * rate, concentration * (1 - rate), (len(sessions), world.events))
        key, user = _user_day(rng, sessions, world.ticks, weighted=weighted)
        cells, count = np.unique(key * 1_000 + user, return_counts=True)
        x = rng.binomial(count[:, None], own[cells % 1_000])
        starts = np.flatnonzero(np.concatenate([[True], np.diff(cells // 1_000) != 0]))
        n, x = np.add.reduceat(count, starts).astype(float), np.add.reduceat(x, starts, axis=0).astype(float)
        tick, weight = np.divmod((cells // 1_000)[starts], levels)
        for at in np.unique(tick):
            rows = np.flatnonzero(tick == at)
            zero = np.zeros(len(rows), np.int64)
            counts = np.repeat(n[rows][:, None], world.events, axis=1)
            yield day, TickCounts(end_of(world, day, int(at)), zero, zero, weight[rows], counts, x[rows])


def _user_day(rng: np.random.Generator, sessions: IntArray, ticks: int, *, weighted: bool) -> tuple[IntArray, IntArray]:
    """(tick and weight level in one key, user) of every session that counts, the user's sessions spread over the day."""
    levels, user = len(DEFAULT_WEIGHT_LEVELS), np.repeat(np.arange(len(sessions)), sessions)
    rank = np.arange(len(user)) - np.repeat(np.cumsum(sessions) - sessions, sessions) + 1
    begin = rng.random(len(sessions)) * 0.8
    span = rng.random(len(sessions)) * (1 - begin)
    when = begin[user] + span[user] * (rank - 0.5) / sessions[user]
    level = weight_level(rank) if weighted else np.zeros(len(rank), np.int64)
    key = np.minimum((when * ticks).astype(int), ticks - 1) * levels + level
    return key[level < levels], user[level < levels]
