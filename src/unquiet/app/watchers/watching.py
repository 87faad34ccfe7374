"""What a watcher is shown of a rehearsal, and what it answers: when each of its rules would have rung."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.gap.dashboards import COLUMNS, DAY_US, HOUR_US, Panel, bucketed, turn_panels
from unquiet.model.settings import Settings

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

Heard = Mapping[str, IntArray | str]
"""By rule: the moments (microseconds since 1970, ascending) at which it rings, or why it could not be asked."""

LEAST_TURNS = 20
"""Turns that an hour must hold for a rate or percentile of it to be looked at, as usual rules have it."""


@dataclass(frozen=True, slots=True)
class Kit:
    """What the user has beside the turns; None where it is not known.

    `rules` are files of Prometheus alert rules, `evals` a table of EVAL_RESULTS, `voices` of VOICES and `joins` of VOICE_JOINS.
    """

    rules: tuple[Path, ...] = ()
    evals: pa.Table | None = None
    voices: pa.Table | None = None
    joins: pa.Table | None = None


class Record:
    """The recorded turns, in order of time, and what is worked out of them once."""

    def __init__(self, turns: pa.Table, settings: Settings, kit: Kit) -> None:
        self.turns, self.settings, self.kit = turns, settings, kit
        self.at = turns.column("time").cast(pa.int64()).to_numpy()
        self.start_us = int(self.at[0]) // DAY_US * DAY_US
        self.end_us = int(self.at[-1]) + 1
        self.learned_us = self.start_us + round(settings.learn.total_seconds() * 1e6)
        rows = turns.select(COLUMNS)
        self.buckets = {width: bucketed(rows, width) for width in (HOUR_US, DAY_US)}

    def as_it_is(self) -> Replay:
        """The whole record as a replay of itself."""
        nobody = np.zeros(len(self.at), bool)
        return Replay(self, self.turns, self.turns, nobody, self.start_us, self.start_us, self.end_us)


class Replay:
    """A rehearsal as watchers see it: the record before `start_us` (the beginning of a day), from there on changed turns.

    `was` and `turns` are the turns from `start_us` to `horizon_us` without and with the failure, which began at `onset_us`.
    `harmed` (n,) are those of `was` that a failure meets; none where the change is harmless.
    """

    def __init__(
        self,
        record: Record,
        was: pa.Table,
        turns: pa.Table,
        harmed: BoolArray,
        start_us: int,
        onset_us: int,
        horizon_us: int,
    ) -> None:
        self.record, self.was, self.turns, self.harmed = record, was, turns, harmed
        self.start_us, self.onset_us, self.horizon_us = start_us, onset_us, horizon_us

    @cached_property
    def hours(self) -> dict[str, Panel]:
        """The panels by hour that were complete before the horizon, by name."""
        return self._panels(HOUR_US)

    @cached_property
    def days(self) -> dict[str, Panel]:
        """The panels by day that were complete before the horizon, by name."""
        return self._panels(DAY_US)

    def _panels(self, width_us: int) -> dict[str, Panel]:
        known = self.record.buckets[width_us]
        past = known.filter(pc.less(known.column("at_us"), self.start_us))
        drawn = turn_panels(pa.concat_tables([past, bucketed(self.turns.select(COLUMNS), width_us)]), width_us)
        return {panel.kind.name: _until(panel, self.horizon_us) for panel in drawn}


class Watch(Protocol):
    """A watcher that has seen the record."""

    def heard(self, replay: Replay) -> Heard:
        """When each of its rules rings in a replay, at least from the onset to the horizon."""
        ...


class Watcher(Protocol):
    """One thing that the user has today and that may notice a failure."""

    @property
    def name(self) -> str:
        """What it is called in tables and documents."""
        ...

    @property
    def says(self) -> str:
        """Its rule and what is assumed of it, as a sentence without its full stop."""
        ...

    def over(self, record: Record) -> Watch | str:
        """The watcher with what it learns from a record, or why it cannot watch."""
        ...


def ends(panel: Panel, rang: BoolArray) -> IntArray:
    """The moments at which points of a panel that rang were complete."""
    return panel.at_us[rang] + panel.width_us


def learned(panel: Panel, record: Record) -> BoolArray:
    """Which points (n,) of a panel are known and lie in the learning period."""
    return np.isfinite(panel.value) & (panel.at_us + panel.width_us <= record.learned_us)


def _until(panel: Panel, horizon_us: int) -> Panel:
    kept = panel.at_us + panel.width_us <= horizon_us
    value, low, high = (each[kept] for each in (panel.value, panel.low, panel.high))
    return Panel(panel.kind, panel.width_us, panel.at_us[kept], value, low, high)
