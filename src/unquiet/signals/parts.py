"""The two small classes that turn an information card and a function into a signal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from unquiet.model.signals import FloatArray, SessionBatch, SignalInfo, TurnBatch


@dataclass(frozen=True, slots=True)
class Turnwise:
    """A turn signal made of its card and a function of the batch; fulfils `TurnSignal`."""

    info: SignalInfo
    measure: Callable[[TurnBatch], FloatArray]


@dataclass(frozen=True, slots=True)
class Sessionwise:
    """A session signal made of its card and a function of the batch; fulfils `SessionSignal`."""

    info: SignalInfo
    measure: Callable[[SessionBatch], FloatArray]


@dataclass(frozen=True, slots=True)
class Labelled:
    """A category signal made of its card and a function of the batch; fulfils `CategorySignal`."""

    info: SignalInfo
    labels: Callable[[TurnBatch], pa.ListArray]
