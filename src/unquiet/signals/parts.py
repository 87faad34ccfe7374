"""The small classes that turn an information card and a function into a signal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from unquiet.model.signals import FloatArray, SessionBatch, SignalInfo, TurnBatch


@dataclass(frozen=True, slots=True)
class Turnwise:
    """A turn signal made of its card and a function of the batch; fulfils `TurnSignal`."""

    info: SignalInfo
    compute: Callable[[TurnBatch], FloatArray]

    def measure(self, batch: TurnBatch) -> FloatArray:
        """One value a turn, shape (len(batch),), NaN where the signal does not apply."""
        return self.compute(batch)


@dataclass(frozen=True, slots=True)
class Sessionwise:
    """A session signal made of its card and a function of the batch; fulfils `SessionSignal`."""

    info: SignalInfo
    compute: Callable[[SessionBatch], FloatArray]

    def measure(self, sessions: SessionBatch) -> FloatArray:
        """One value a session, shape (len(sessions),), NaN where the signal does not apply."""
        return self.compute(sessions)


@dataclass(frozen=True, slots=True)
class SessionLabelled:
    """A category signal of sessions made of its card and a function; fulfils `SessionCategorySignal`."""

    info: SignalInfo
    compute: Callable[[SessionBatch], pa.ListArray]

    def labels(self, sessions: SessionBatch) -> pa.ListArray:
        """list<string> per session, null where the signal does not apply."""
        return self.compute(sessions)


@dataclass(frozen=True, slots=True)
class Labelled:
    """A category signal made of its card and a function of the batch; fulfils `CategorySignal`."""

    info: SignalInfo
    compute: Callable[[TurnBatch], pa.ListArray]

    def labels(self, batch: TurnBatch) -> pa.ListArray:
        """list<string> per turn, null where the signal does not apply."""
        return self.compute(batch)
