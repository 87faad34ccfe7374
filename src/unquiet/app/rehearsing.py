"""Rehearsal: drills through the pipeline of production, on recorded turns. Nothing is kept, and nobody is told."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.app.copies import in_copies
from unquiet.app.stack import Replayed, Stack
from unquiet.app.watchers.watching import Kit
from unquiet.drills import FAILURES, choose_slice, reach, sessions_of, touched
from unquiet.drills.deaths import DEATHS
from unquiet.drills.dosing import dose_at
from unquiet.model.drills import Before, Failure, Preset, Rehearsed
from unquiet.model.errors import ConfigError
from unquiet.model.incidents import Incident
from unquiet.model.settings import Settings
from unquiet.model.slices import Slice
from unquiet.pipeline.judging import Judge
from unquiet.pipeline.measuring import measure_turn_table
from unquiet.stats.oracle import oracle_delays

BoolArray = npt.NDArray[np.bool_]
Progress = Callable[[str, float], None]
Stream = tuple[Slice, str, str]

DAY_US = 86_400_000_000
PIECE_US = DAY_US // 4
"""Turns are pushed for so long at a time: a rehearsal ends with the piece in which it was heard."""

LEAST_DAYS, MOST_DAYS = 2, 7
"""Days after the onset for which a rehearsal goes on, as far as the record reaches."""

MOST_BEFORE = 20_000
"""Turns before the onset that a failure may draw on."""


@dataclass(frozen=True, slots=True)
class Drill:
    """One rehearsal to do: what, with which seed, on which day of the record (days since 1970)."""

    preset: Preset
    seed: int
    day: int


@dataclass(frozen=True, slots=True)
class _Scene:
    """A drill set up: the turns from the beginning of its day to its horizon, and whom the failure meets."""

    drill: Drill
    onset_us: int
    horizon_us: int
    where: Slice
    window: pa.Table
    met: BoolArray
    before: Before


class Rehearsal:
    """The record, in order of time, its readings, and what it raises by itself; `judged` has seen all of it undisturbed."""

    def __init__(self, turns: pa.Table, settings: Settings, kit: Kit | None = None) -> None:
        self.turns = turns.sort_by([("time", "ascending"), ("turn_id", "ascending")]).combine_chunks()
        self.at = self.turns.column("time").cast(pa.int64()).to_numpy()
        self.settings, self.kit = settings, kit or Kit()
        if not len(self.at):
            raise ConfigError(
                "no turns to rehearse on. Name recorded traffic with --traffic, or a scanned folder with --db."
            )
        self.first_day, self.last_day = int(self.at[0] // DAY_US), int(self.at[-1] // DAY_US)
        self.base: tuple[Incident, ...] = ()
        self.judged: Judge | None = None
        self.readings: dict[str, npt.NDArray[np.float64]] = {}
        self.stack: Stack | None = None

    def days(self) -> list[int]:
        """The days on which a failure can begin: a day after the learning period at the earliest.

        Raises:
            ConfigError: the record is too short.
        """
        first = self.first_day + int(np.ceil(self.settings.learn.total_seconds() / 86_400)) + 1
        last = self.last_day - LEAST_DAYS
        if last < first:
            need = first - self.first_day + LEAST_DAYS + 1
            raise ConfigError(
                f"the record holds {self.last_day - self.first_day + 1} days, and a rehearsal needs {need}: the learning "
                f"period, a day, and {LEAST_DAYS} days after the onset. Name more traffic, or shorten --learn-days."
            )
        return list(range(first, last + 1))

    def drills(self, presets: Sequence[Preset], seeds: Sequence[int]) -> list[Drill]:
        """Every preset with every seed, each on a day that the seed draws.

        Raises:
            ConfigError: there are presets, and the record is too short for them.
        """
        if not presets:
            return []
        days = self.days()
        return [
            Drill(each, seed, days[int(drill_rng(each, seed).integers(len(days)))])
            for each in presets
            for seed in seeds
        ]

    def run(self, drills: Sequence[Drill], workers: int, progress: Progress) -> list[Rehearsed]:
        """Do all of them; the same drills give the same results in the same order."""
        names = {name for drill in drills for name in failure_of(drill.preset).signals}
        measured = measure_turn_table(self.turns)
        self.readings = {name: measured.column(name).to_numpy() for name in names if name in measured.column_names}
        self.base = self._undisturbed(progress)
        self.stack = Stack(self.turns, self.settings, self.kit)
        judge, found = Judge(self.settings), dict[int, Rehearsed]()
        for day in range(self.first_day, self.last_day + 1):
            todo = [number for number, drill in enumerate(drills) if drill.day == day]
            for number, done in in_copies(lambda n, now=judge: self._rehearse(now, drills[n]), todo, workers):
                found[number] = done
                progress("rehearsing", len(found) / len(drills))
            if len(found) == len(drills):
                break
            _push(judge, self.turns, self.at, day * DAY_US, (day + 1) * DAY_US)
        return [found[number] for number in range(len(drills))]

    def _undisturbed(self, progress: Progress) -> tuple[Incident, ...]:
        judge = Judge(self.settings)
        for day in range(self.first_day, self.last_day + 1):
            progress("judging the record as it is", (day - self.first_day) / (self.last_day + 1 - self.first_day))
            _push(judge, self.turns, self.at, day * DAY_US, (day + 1) * DAY_US)
        self.judged = judge
        return judge.incidents

    def _rehearse(self, judge: Judge, drill: Drill) -> Rehearsed:
        rng = drill_rng(drill.preset, drill.seed)
        scene = self._scene(drill, rng)
        changed = injected(scene.window, scene.met, failure_of(drill.preset), scene.before, rng)
        incident = self._until_raised(judge, changed, drill.day * DAY_US, scene.horizon_us)
        result = self._result(scene, incident, rng)
        if self.stack is None:
            return result
        harmed = scene.met & (not failure_of(drill.preset).control)
        times = (drill.day * DAY_US, scene.onset_us, scene.horizon_us)
        return replace(result, watchers=self.stack.judged(Replayed(scene.window, changed, harmed, *times)))

    def _scene(self, drill: Drill, rng: np.random.Generator) -> _Scene:
        rng.integers(len(self.days()))
        onset_us = drill.day * DAY_US + int(rng.uniform(0, DAY_US))
        horizon_us = min(onset_us + MOST_DAYS * DAY_US, int(self.at[-1]) + 1)
        low, high = np.searchsorted(self.at, [drill.day * DAY_US, horizon_us]).tolist()
        first = max(0, low - MOST_BEFORE)
        past = Before(self.turns.slice(first, low - first), {k: v[first:low] for k, v in self.readings.items()})
        dose = drill.preset.dose
        where = choose_slice(past.turns, dose.slice_share, rng) if dose.slice_share else Slice()
        window = self.turns.slice(low, high - low)
        return _Scene(drill, onset_us, horizon_us, where, window, touched(window, onset_us, where, dose, rng), past)

    def _until_raised(self, judge: Judge, turns: pa.Table, start_us: int, end_us: int) -> Incident | None:
        """The first incident that the undisturbed record does not raise."""
        own = {stream_of(each) for each in (*self.base, *judge.incidents)}
        turns = turns.combine_chunks()
        at = turns.column("time").cast(pa.int64()).to_numpy()
        for begin in range(start_us, end_us, PIECE_US):
            _push(judge, turns, at, begin, min(begin + PIECE_US, end_us))
            new = [each for each in judge.incidents if stream_of(each) not in own]
            if new:
                return min(new, key=lambda each: each.raised_us)
        return None

    def _result(self, scene: _Scene, incident: Incident | None, rng: np.random.Generator) -> Rehearsed:
        codes, started_us, firsts = sessions_of(scene.window)
        affected = np.zeros(len(firsts), bool)
        affected[codes[scene.met]] = True
        until = incident.raised_us if incident is not None else scene.horizon_us
        early = affected & (started_us < until)
        return Rehearsed(
            preset=scene.drill.preset.name,
            seed=scene.drill.seed,
            onset_us=scene.onset_us,
            horizon_us=scene.horizon_us,
            slice=scene.where,
            affected=int(affected.sum()),
            met=int(early.sum()),
            users=pc.count_distinct(scene.window.column("user_id").take(pa.array(firsts[early]))).as_py(),
            sessions=int(((started_us >= scene.onset_us) & (started_us < until)).sum()),
            raised_us=incident.raised_us if incident else None,
            incident=_said(incident) if incident else None,
            slice_right=incident is not None and _alike(incident.slice, scene.where),
            onset_right=incident is not None
            and incident.onset.earliest_us <= scene.onset_us <= incident.onset.latest_us,
            oracle_us=self._oracle_us(scene, rng),
        )

    def _oracle_us(self, scene: _Scene, rng: np.random.Generator) -> float | None:
        """Expected delay of the oracle; None where it is not heard in at least half of its replicas."""
        dose, past = scene.drill.preset.dose, scene.before
        p0 = _rate_before(past, scene.where, dose.condition, failure_of(scene.drill.preset))
        _, started_us, _ = sessions_of(scene.window)
        inside = reach(scene.window, scene.where, dose.condition) & (started_us >= scene.onset_us)
        starts = np.sort(started_us[inside])
        if not len(starts) or p0 is None:
            return None
        rates = p0 + (1 - p0) * dose.share * dose_at(dose, starts - scene.onset_us)
        days = max((scene.horizon_us - scene.onset_us) / DAY_US, 1e-9)
        heard = oracle_delays(p0, rates, 30 * len(starts) / days / self.settings.budget, rng)
        times = np.append(starts, scene.horizon_us)[heard] - scene.onset_us
        return float(times.mean()) if (heard < len(starts)).mean() >= 0.5 else None


def injected(window: pa.Table, met: BoolArray, failure: Failure, before: Before, rng: np.random.Generator) -> pa.Table:
    """`window` with the failure in the sessions that are met; the very same where nobody is."""
    if not met.any():
        return window
    order = [("session_id", "ascending"), ("time", "ascending"), ("turn_id", "ascending")]
    changed = failure.inject(window.filter(pa.array(met)).sort_by(order), before, rng)
    together = pa.concat_tables([window.filter(pa.array(~met)), changed])
    return together.sort_by([("time", "ascending"), ("turn_id", "ascending")])


def failure_of(preset: Preset) -> Failure:
    """The failure that a preset names."""
    return next(failure for failure in (*FAILURES, *DEATHS) if failure.name == preset.failure)


def stream_of(incident: Incident) -> Stream:
    """What an incident was raised for."""
    return incident.slice, incident.event, incident.direction


def _rate_before(past: Before, where: Slice, condition: str | None, failure: Failure) -> float | None:
    """Share of the sessions in reach that looked like it before, from the first signal of the failure; 0 where it has no flag."""
    if not past.turns.num_rows:
        return None
    codes, _, firsts = sessions_of(past.turns)
    inside = reach(past.turns, where, condition)
    count = int(inside.sum())
    if not count:
        return None
    values = past.readings.get(failure.signals[0]) if failure.signals else None
    shown = np.zeros(len(firsts), bool)
    if values is not None and np.nanmax(values, initial=0.0) <= 1.0:
        shown[codes[np.nan_to_num(values) >= 0.5]] = True
    return float(np.clip((shown & inside).sum() / count, 0.5 / count, 1 - 0.5 / count))


def _said(incident: Incident) -> dict[str, object]:
    return {"signal": incident.event, "direction": incident.direction, "slice": incident.slice.as_dict()}


def _alike(found: Slice, where: Slice) -> bool:
    return found == where or bool(set(found.conditions) & set(where.conditions))


def _push(judge: Judge, turns: pa.Table, at: npt.NDArray[np.int64], start_us: int, end_us: int) -> None:
    low, high = np.searchsorted(at, [start_us, end_us]).tolist()
    judge.push(turns.slice(low, high - low), end_us - 1)


def drill_rng(preset: Preset, seed: int) -> np.random.Generator:
    """The randomness of a rehearsal."""
    return np.random.default_rng([seed, zlib.crc32(preset.name.encode())])
