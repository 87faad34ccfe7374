"""Their stack beside ours: what the user's own watchers make of a rehearsal, held against what they make of the record itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from unquiet.app.watchers import WATCHERS
from unquiet.app.watchers.watching import BoolArray, Heard, IntArray, Kit, Record, Replay, Watch
from unquiet.model.drills import Noticed
from unquiet.model.settings import Settings


@dataclass(frozen=True, slots=True)
class _Beside:
    """A watcher that has seen the record: what it hears on the record as it is, or why it cannot watch."""

    watch: Watch | None
    base: Heard
    why: str = ""


class Replayed(NamedTuple):
    """What is replayed in a rehearsal: see `unquiet.app.watchers.watching.Replay`."""

    was: pa.Table
    turns: pa.Table
    harmed: BoolArray
    start_us: int
    onset_us: int
    horizon_us: int


class Stack:
    """All watchers over one record, in order of time."""

    def __init__(self, turns: pa.Table, settings: Settings, kit: Kit) -> None:
        self.record = Record(turns, settings, kit)
        itself = self.record.as_it_is()
        self.watched = {watcher.name: _beside(watcher.over(self.record), itself) for watcher in WATCHERS}

    def judged(self, replayed: Replayed) -> dict[str, Noticed]:
        """By watcher, what it made of a rehearsal."""
        replay = Replay(self.record, *replayed)
        return {name: _noticed(name, each, replay) for name, each in self.watched.items()}


def _beside(watch: Watch | str, itself: Replay) -> _Beside:
    return _Beside(None, {}, watch) if isinstance(watch, str) else _Beside(watch, watch.heard(itself))


def _noticed(name: str, beside: _Beside, replay: Replay) -> Noticed:
    if beside.watch is None:
        return Noticed(unknown={name: beside.why}, blind=True)
    onset_us, horizon_us = replay.onset_us, replay.horizon_us
    found: dict[str, int] = {}
    false: list[str] = []
    unknown: dict[str, str] = {}
    for rule, rang in beside.watch.heard(replay).items():
        own = beside.base.get(rule, np.zeros(0, np.int64))
        if isinstance(rang, str) or isinstance(own, str):
            unknown[rule] = rang if isinstance(rang, str) else str(own)
        elif _first(own, onset_us, horizon_us) is not None:
            false.append(rule)
        elif (at_us := _first(rang, onset_us, horizon_us)) is not None:
            found[rule] = at_us
    by = min(found, key=lambda rule: found[rule]) if found else None
    blind = bool(unknown) and not found and not false and len(unknown) == len(beside.base)
    return Noticed(found[by] if by else None, by, tuple(false), unknown, blind)


def _first(rang_us: IntArray, onset_us: int, horizon_us: int) -> int | None:
    """The first ring after the onset and not after the horizon."""
    place = int(np.searchsorted(rang_us, onset_us, side="right"))
    return int(rang_us[place]) if place < len(rang_us) and rang_us[place] <= horizon_us else None
