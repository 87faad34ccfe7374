"""Rehearsal: drills through the pipeline of production, on recorded turns. Nothing is kept, and nobody is told."""

from __future__ import annotations

import os
import pickle
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.drills import FAILURES, choose_slice, sessions_of, touched
from unquiet.model.drills import Before, Failure, Preset, Rehearsed
from unquiet.model.errors import ConfigError
from unquiet.model.incidents import Incident
from unquiet.model.settings import Settings
from unquiet.model.slices import Slice
from unquiet.pipeline.judging import Judge
from unquiet.pipeline.measuring import measure_turn_table

DAY_US = 86_400_000_000
PIECE_US = DAY_US // 4
"""Turns are pushed for so long at a time: a rehearsal ends with the piece in which it was heard."""

LEAST_DAYS, MOST_DAYS = 2, 7
"""Days after the onset for which a rehearsal goes on, as far as the record reaches."""

MOST_BEFORE = 20_000
Stream = tuple[Slice, str, str]


@dataclass(frozen=True, slots=True)
class Drill:
    """One rehearsal to do: what, with which seed, on which day of the record (days since 1970)."""

    preset: Preset
    seed: int
    day: int


class Rehearsal:
    """The record, in order of time, and what it raises by itself."""

    def __init__(self, turns: pa.Table, settings: Settings) -> None:
        self.turns = turns.sort_by([("time", "ascending"), ("turn_id", "ascending")]).combine_chunks()
        self.at = self.turns.column("time").cast(pa.int64()).to_numpy()
        self.settings = settings
        if not len(self.at):
            raise ConfigError(
                "no turns to rehearse on. Name recorded traffic with --traffic, or a scanned folder with --db."
            )
        self.first_day, self.last_us = int(self.at[0] // DAY_US), int(self.at[-1])
        self.base: tuple[Incident, ...] = ()

    def days(self) -> list[int]:
        """The days on which a failure can begin: a day after the learning period at the earliest.

        Raises:
            ConfigError: the record is too short.
        """
        first = self.first_day + int(np.ceil(self.settings.learn.total_seconds() / 86_400)) + 1
        last = self.last_us // DAY_US - LEAST_DAYS
        if last < first:
            need = first - self.first_day + LEAST_DAYS + 1
            raise ConfigError(
                f"the record holds {self.last_us // DAY_US - self.first_day + 1} days, and a rehearsal needs {need}: the "
                f"learning period, a day, and {LEAST_DAYS} days after the onset. Name more traffic, or a shorter --learn-days."
            )
        return list(range(first, last + 1))

    def drills(self, presets: Sequence[Preset], seeds: Sequence[int]) -> list[Drill]:
        """Every preset with every seed, each on a day that the seed draws."""
        days = self.days()
        return [
            Drill(preset, seed, days[int(self._rng(preset, seed).integers(len(days)))])
            for preset in presets
            for seed in seeds
        ]

    def run(self, drills: Sequence[Drill], workers: int, progress: Callable[[str, float], None]) -> list[Rehearsed]:
        """Do all of them; the same drills give the same results in the same order."""
        self.base = self._undisturbed(progress)
        judge, found = Judge(self.settings), dict[int, Rehearsed]()
        for day in range(self.first_day, self.last_us // DAY_US + 1):
            todo = [number for number, drill in enumerate(drills) if drill.day == day]
            for number, done in self._forked(judge, drills, todo, workers):
                found[number] = done
                progress("rehearsing", len(found) / len(drills))
            if len(found) == len(drills):
                break
            self._push(judge, self.turns, self.at, day * DAY_US, (day + 1) * DAY_US)
        return [found[number] for number in range(len(drills))]

    def _undisturbed(self, progress: Callable[[str, float], None]) -> tuple[Incident, ...]:
        judge = Judge(self.settings)
        days = range(self.first_day, self.last_us // DAY_US + 1)
        for number, day in enumerate(days):
            progress("judging the record as it is", number / len(days))
            self._push(judge, self.turns, self.at, day * DAY_US, (day + 1) * DAY_US)
        return judge.incidents

    def _forked(
        self, judge: Judge, drills: Sequence[Drill], todo: Sequence[int], workers: int
    ) -> Iterator[tuple[int, Rehearsed]]:
        """Rehearse in copies of this process, which begin with what the judge knows now."""
        for start in range(0, len(todo), workers):
            pipes = {
                number: _fork(lambda number=number: self._rehearse(judge, drills[number]))
                for number in todo[start : start + workers]
            }
            for number, (pid, pipe) in pipes.items():
                with os.fdopen(pipe, "rb") as file:
                    data = file.read()
                _, status = os.waitpid(pid, 0)
                if status or not data:
                    raise RuntimeError(f"a rehearsal of {drills[number].preset.name} ended with status {status}")
                yield number, pickle.loads(data)  # noqa: S301 - written by this process's own copy

    def _rehearse(self, judge: Judge, drill: Drill) -> Rehearsed:
        rng = self._rng(drill.preset, drill.seed)
        rng.integers(len(self.days()))
        onset_us = drill.day * DAY_US + int(rng.uniform(0, DAY_US))
        horizon_us = min(onset_us + MOST_DAYS * DAY_US, self.last_us + 1)
        low, high = np.searchsorted(self.at, [drill.day * DAY_US, horizon_us]).tolist()
        dose = drill.preset.dose
        where = choose_slice(self.turns.slice(0, low), dose.slice_share, rng) if dose.slice_share else Slice()
        window = self.turns.slice(low, high - low)
        met = touched(window, onset_us, where, dose, rng)
        changed = self._injected(window, met, failure_of(drill.preset), low, rng)
        known = {stream_of(each) for each in judge.incidents}
        incident = self._until_raised(judge, changed, drill.day * DAY_US, horizon_us, known)
        return self._result(drill, window, met, incident, onset_us, horizon_us, where)

    def _injected(
        self, window: pa.Table, met: np.ndarray, failure: Failure, low: int, rng: np.random.Generator
    ) -> pa.Table:
        if not met.any():
            return window
        turns = self.turns.slice(max(0, low - MOST_BEFORE), min(low, MOST_BEFORE))
        measured = measure_turn_table(turns)
        readings = {name: measured.column(name).to_numpy() for name in failure.signals if name in measured.column_names}
        theirs = window.filter(pa.array(met)).sort_by(
            [("session_id", "ascending"), ("time", "ascending"), ("turn_id", "ascending")]
        )
        changed = failure.inject(theirs, Before(turns, readings), rng)
        return pa.concat_tables([window.filter(pa.array(~met)), changed]).sort_by(
            [("time", "ascending"), ("turn_id", "ascending")]
        )

    def _until_raised(
        self, judge: Judge, turns: pa.Table, start_us: int, end_us: int, known: set[Stream]
    ) -> Incident | None:
        """The first incident that the undisturbed record does not raise."""
        own = {stream_of(each) for each in self.base} | known
        turns = turns.combine_chunks()
        at = turns.column("time").cast(pa.int64()).to_numpy()
        for begin in range(start_us, end_us, PIECE_US):
            self._push(judge, turns, at, begin, min(begin + PIECE_US, end_us))
            new = [each for each in judge.incidents if stream_of(each) not in own]
            if new:
                return min(new, key=lambda each: each.raised_us)
        return None

    def _result(
        self,
        drill: Drill,
        window: pa.Table,
        met: np.ndarray,
        incident: Incident | None,
        onset_us: int,
        horizon_us: int,
        where: Slice,
    ) -> Rehearsed:
        codes, started_us, firsts = sessions_of(window)
        affected = np.zeros(len(firsts), bool)
        affected[codes[met]] = True
        until = incident.raised_us if incident is not None else horizon_us
        early = affected & (started_us < until)
        users = pc.count_distinct(window.column("user_id").take(pa.array(firsts[early]))).as_py()
        return Rehearsed(
            drill.preset.name,
            drill.seed,
            onset_us,
            horizon_us,
            where,
            int(affected.sum()),
            int(early.sum()),
            users,
            int(((started_us >= onset_us) & (started_us < until)).sum()),
            incident.raised_us if incident else None,
            {"signal": incident.event, "direction": incident.direction, "slice": incident.slice.as_dict()}
            if incident
            else None,
            incident is not None and _alike(incident.slice, where),
            incident is not None and incident.onset.earliest_us <= onset_us <= incident.onset.latest_us,
        )

    def _push(self, judge: Judge, turns: pa.Table, at: np.ndarray, start_us: int, end_us: int) -> None:
        low, high = np.searchsorted(at, [start_us, end_us]).tolist()
        judge.push(turns.slice(low, high - low), end_us - 1)

    @staticmethod
    def _rng(preset: Preset, seed: int) -> np.random.Generator:
        return np.random.default_rng([seed, zlib.crc32(preset.name.encode())])


def failure_of(preset: Preset) -> Failure:
    """The failure that a preset names."""
    return next(failure for failure in FAILURES if failure.name == preset.failure)


def stream_of(incident: Incident) -> Stream:
    """What an incident was raised for."""
    return incident.slice, incident.event, incident.direction


def _alike(found: Slice, where: Slice) -> bool:
    return found == where or bool(set(found.conditions) & set(where.conditions))


def _fork(work: Callable[[], Rehearsed]) -> tuple[int, int]:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    try:
        os.close(reader)
        with os.fdopen(writer, "wb") as file:
            file.write(pickle.dumps(work()))
        os._exit(0)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)
