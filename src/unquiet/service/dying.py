"""Drills of the monitor (D19): a part of unquiet is killed, and it is measured until a person has been told.

The parts are those of `unquiet serve`, over a folder that is made for the drill and removed, with a clock that is moved by hand.
Doors are only spoken for: their sign of life ends. Receivers are stand-ins, so that nobody is told.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.app.copies import in_copies
from unquiet.app.rehearsing import DAY_US, drill_rng
from unquiet.drills import sessions_of
from unquiet.drills.deaths import DOOR, JUDGE, SINK, PartDies, death_of
from unquiet.model.alerts import DeliveryError, Notice
from unquiet.model.drills import Preset, Rehearsed
from unquiet.model.slices import Slice
from unquiet.service.config import Config
from unquiet.service.running import ServiceParts, assemble

SECOND_US = 1_000_000
STEP_US = 5 * SECOND_US
"""As often as the service looks at itself."""

CALM_STEPS = 12
HORIZON_US = 3600 * SECOND_US
"""What is not told within an hour is not told."""

PORTS = {"ports": {"http": 1, "grpc": 2}}


@dataclass(slots=True)
class _StandIn:
    """A receiver that keeps what it gets, or does not answer."""

    name: str
    got: list[Notice] = field(default_factory=list[Notice])
    is_dead: bool = False

    def send(self, notice: Notice) -> None:
        if self.is_dead:
            raise DeliveryError(f"the receiver {self.name} does not answer")
        self.got.append(notice)


class _Monitor:
    """The parts of a service, and how time goes by for them. `begin_us`: microseconds since 1970."""

    def __init__(self, folder: Path, begin_us: int, seed: int) -> None:
        self.now_us = begin_us
        self.on_call, self.team = _StandIn("on-call"), _StandIn("team")
        config = Config()
        config = replace(config, service=replace(config.service, folder=folder))
        self.parts: ServiceParts = assemble(
            config, None, [(self.on_call, "info"), (self.team, "critical")], lambda: self.now_us
        )
        self.parts.alerting.seed = seed
        self.parts.alerting.start(self.parts.mind)
        self.dead: PartDies | None = None

    def kill(self, part: PartDies) -> None:
        """From now on the part does nothing any more. A sink is noticed by an alert that is due: here is one."""
        self.dead = part
        if part is SINK:
            self.team.is_dead = True
            with self.parts.mind.store() as store, store.transaction():
                store.outbox.put(_alert(self.now_us), [self.team.name], self.now_us)

    def step(self) -> None:
        """Time goes on, and every part that lives does its work."""
        self.now_us += STEP_US
        if self.dead is not DOOR:
            self.parts.doors.said, self.parts.doors.heard_us = dict(PORTS), self.now_us
        if self.dead is not JUDGE:
            self.parts.mind.turn()
        self.parts.watching.look()
        self.parts.alerting.run_once()

    def told_us(self, condition: str) -> int | None:
        """When the living receiver was told of a condition; None where it was not."""
        key = f"condition/{condition}"
        return next((self.now_us for each in self.on_call.got if each.key == key and each.phase == "opened"), None)


def rehearse_deaths(presets: Sequence[Preset], seeds: Sequence[int], turns: pa.Table, workers: int) -> list[Rehearsed]:
    """Every drill of the monitor among `presets`, with every seed; at moments of the record that the seeds draw.

    The same presets, seeds and turns give the same. `met` counts the sessions of the record that began between death and
    telling, which nobody would have heard of; `affected` those of the week after the death.
    """
    _, started_us, firsts = sessions_of(turns)
    users = turns.column("user_id").take(pa.array(firsts))
    todo = [(preset, part, seed) for preset in presets if (part := death_of(preset)) is not None for seed in seeds]
    done = in_copies(lambda each: _rehearsed(*each, started_us, users), todo, workers)
    return [rehearsed for _, rehearsed in done]


def _rehearsed(preset: Preset, part: PartDies, seed: int, started_us: np.ndarray, users: pa.ChunkedArray) -> Rehearsed:
    rng = drill_rng(preset, seed)
    first, last = int(started_us.min()), int(started_us.max())
    onset_us = int(rng.integers(first, max(last - DAY_US, first) + 1))
    told_us = _killed(part, onset_us, int(rng.integers(1 << 62)))
    horizon_us = min(onset_us + 7 * DAY_US, last + 1)
    unheard = (started_us >= onset_us) & (started_us < (horizon_us if told_us is None else told_us))
    affected = int(((started_us >= onset_us) & (started_us < horizon_us)).sum())
    met = int(unheard.sum())
    return Rehearsed(
        preset=preset.name,
        seed=seed,
        onset_us=onset_us,
        horizon_us=horizon_us,
        slice=Slice(),
        affected=affected,
        met=met,
        users=pc.count_distinct(users.filter(pa.array(unheard))).as_py(),
        sessions=met,
        raised_us=told_us,
        incident=None if told_us is None else {"condition": part.condition},
        slice_right=None,
        onset_right=None,
    )


def _killed(part: PartDies, onset_us: int, seed: int) -> int | None:
    """When the death at `onset_us` is told; None where it is not within HORIZON_US."""
    with tempfile.TemporaryDirectory(prefix="unquiet-drill-") as folder:
        monitor = _Monitor(Path(folder) / "data", onset_us - CALM_STEPS * STEP_US - seed % STEP_US, seed)
        with closing(monitor.parts.mind):
            for _ in range(CALM_STEPS):
                monitor.step()
            # The part dies between two looks.
            monitor.kill(part)
            while monitor.now_us < onset_us + HORIZON_US:
                monitor.step()
                told_us = monitor.told_us(part.condition)
                if told_us is not None:
                    return told_us
    return None


def _alert(now_us: int) -> Notice:
    return Notice(
        id="drill/alert/opened",
        key="drill/alert",
        phase="opened",
        severity="critical",
        at_us=now_us,
        title="an incident of the drill, told to a stand-in",
    )
