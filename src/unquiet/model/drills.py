"""Drills: a known failure, how much of it, and what came of rehearsing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from unquiet.model.slices import Slice

Shape = Literal["step", "ramp", "flicker"]
"""How the dose goes with time: whole at once; growing for `ramp_days`; every second hour."""


@dataclass(frozen=True, slots=True)
class Dose:
    """How much of the traffic a failure meets.

    `share` in [0, 1] of the sessions that it can meet, in the end. `slice_share`: it can meet only one facet value with about
    this share of the traffic (None: all). `condition` names a further condition (see `unquiet.drills.dosing`). `sticky`:
    the same users are met again and again, otherwise sessions are drawn one by one. After `lasts_hours` it is over (None: it
    stays).
    """

    share: float
    shape: Shape = "step"
    ramp_days: float = 0.0
    slice_share: float | None = None
    condition: str | None = None
    sticky: bool = False
    lasts_hours: float | None = None


@dataclass(frozen=True, slots=True)
class Before:
    """The traffic before the onset that a failure may draw on: its turns, and readings of them by signal, each (n,)."""

    turns: pa.Table
    readings: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict[str, "npt.NDArray[np.float64]"])


class Failure(Protocol):
    """One kind of silent failure, or a harmless change (`control`)."""

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        ...

    @property
    def says(self) -> str:
        """What the agent does, as a clause: "refuses what it used to do"."""
        ...

    @property
    def control(self) -> bool:
        """Whether nothing is wrong: an incident for it is a false alarm."""
        ...

    @property
    def signals(self) -> tuple[str, ...]:
        """The behaviour signals that it moves, as far as known beforehand."""
        ...

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:
        """The turns of the sessions that it meets, as they would be with the failure.

        `turns` follow TURNS in order of session and time, and hold the whole sessions. Errors, latencies and finish reasons stay
        as they are unless they are the point.
        """
        ...


@dataclass(frozen=True, slots=True)
class Preset:
    """A documented incident as a drill: its failure and its real shape."""

    name: str
    title: str
    failure: str
    dose: Dose


@dataclass(frozen=True, slots=True)
class Noticed:
    """What a watcher of the user's own stack made of a rehearsal.

    `at_us` is when it rang for the failure and `by` which of its rules did; None where it did not. A rule that rings on the
    undisturbed record in the same time is in `false_alarms` and is not credited. `unknown` tells of its rules that could not be
    asked why; with `blind` none of them could be.
    """

    at_us: int | None = None
    by: str | None = None
    false_alarms: tuple[str, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict[str, str])
    blind: bool = False

    @property
    def status(self) -> str:
        """`noticed`, `not noticed`, or `unknown` where nothing could be asked."""
        return "noticed" if self.at_us is not None else "unknown" if self.blind else "not noticed"


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """One rehearsal of one drill.

    `onset_us` and `horizon_us` bound it; `slice` is where the failure was put. `affected` counts the sessions that were met
    until the end, `met` those that began before the alarm (all of them where there was none), `users` the users among these,
    `sessions` all sessions of that time. `raised_us` is None where nothing was raised. `incident`: what was raised first.
    `slice_right` and `onset_right` are None where the failure is not in the traffic, but in unquiet.
    `oracle_us`: the expected delay of a CUSUM that sees who was met (see `unquiet.stats.oracle`), None where it is not heard.
    `watchers`: by name, what the user's own stack made of it.
    """

    preset: str
    seed: int
    onset_us: int
    horizon_us: int
    slice: Slice
    affected: int
    met: int
    users: int
    sessions: int
    raised_us: int | None = None
    incident: Mapping[str, object] | None = None
    slice_right: bool | None = False
    onset_right: bool | None = False
    oracle_us: float | None = None
    watchers: Mapping[str, Noticed] = field(default_factory=dict[str, Noticed])

    @property
    def ratio(self) -> float | None:
        """Delay over the expected delay of the oracle; None where one of them is not known."""
        if self.raised_us is None or not self.oracle_us:
            return None
        return (self.raised_us - self.onset_us) / self.oracle_us
