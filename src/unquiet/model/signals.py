"""What a behaviour signal is: the protocol that every signal fulfils and the batches it measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

FloatArray = npt.NDArray[np.float64]
T = TypeVar("T")

Kind = Literal["flag", "score", "number", "category"]
"""flag: 0 or 1. score: 0 to 1, where 0.5 and more means yes. number: a measured quantity. category: one or more labels."""

Unit = Literal["turn", "session"]

Reduce = Literal["any", "max", "mean", "sum", "last", "none"]
"""How a session's value comes from its turns' values. Session signals use `none`."""


@dataclass(slots=True)
class TurnBatch:
    """Turns to measure, with a memo for work that several signals share (a lower-cased text, pattern hits).

    `turns` has the schema `unquiet.model.turns.TURNS`, any order, any number of rows.
    """

    turns: pa.Table
    memo: dict[str, Any] = field(default_factory=dict[str, Any])

    def __len__(self) -> int:
        return self.turns.num_rows

    def once(self, key: str, make: Callable[[], T]) -> T:
        """The value of `make()`, computed at most once for this batch."""
        if key not in self.memo:
            self.memo[key] = make()
        return self.memo[key]

    def column(self, name: str) -> pa.Array:
        """A column as one contiguous array."""
        return self.once(f"column:{name}", lambda: self.turns.column(name).combine_chunks())


@dataclass(slots=True)
class SessionBatch:
    """Whole sessions to measure: their turns in order, session after session.

    `turns.turns` is sorted by session, then by turn order; session i owns the rows `starts[i]:starts[i + 1]`
    (`starts` has one entry more than there are sessions). `readings` holds the turn signals already measured
    on the same rows, by signal name.
    """

    turns: TurnBatch
    starts: npt.NDArray[np.int64]
    readings: dict[str, FloatArray]

    def __len__(self) -> int:
        return len(self.starts) - 1


@dataclass(frozen=True, slots=True)
class SignalInfo:
    """What is said of a signal in the reference, the store and an incident.

    `phrase_up` and `phrase_down` finish the sentence "the agent ..." when the signal rises or falls, for
    example "refuses" and "stops refusing". `alarms` is False for signals that are recorded only.
    `none_means` says what an unknown value means, where that is more than a column that was not recorded.
    `version` changes whenever the same turn could get another value: it starts a new baseline.
    """

    name: str
    version: int
    kind: Kind
    unit: Unit
    reduce: Reduce
    definition: str
    phrase_up: str
    phrase_down: str
    needs: tuple[str, ...]
    alarms: bool = True
    none_means: str = ""

    @property
    def unknown(self) -> str:
        """What it means that a turn or session has no value, as a sentence."""
        if self.none_means:
            return self.none_means
        if not self.needs:
            return "Never: it needs no column."
        return f"{' or '.join(f'`{name}`' for name in self.needs)} was not recorded."


class TurnSignal(Protocol):
    """Measures every turn of a batch."""

    @property
    def info(self) -> SignalInfo:
        """What the signal is."""
        ...

    def measure(self, batch: TurnBatch) -> FloatArray:
        """One value a turn, shape (len(batch),); NaN where the signal does not apply or its input is missing."""
        ...


class SessionSignal(Protocol):
    """Measures every whole session of a batch."""

    @property
    def info(self) -> SignalInfo:
        """What the signal is."""
        ...

    def measure(self, sessions: SessionBatch) -> FloatArray:
        """One value a session, shape (len(sessions),); NaN where the signal does not apply or its input is missing."""
        ...


class SessionCategorySignal(Protocol):
    """Says which labels every whole session carries."""

    @property
    def info(self) -> SignalInfo:
        """What the signal is; its kind is `category`."""
        ...

    def labels(self, sessions: SessionBatch) -> pa.ListArray:
        """list<string> per session; null where the signal does not apply or its input is missing."""
        ...


class CategorySignal(Protocol):
    """Says which labels every turn of a batch carries; a session carries the union of its turns' labels."""

    @property
    def info(self) -> SignalInfo:
        """What the signal is; its kind is `category`."""
        ...

    def labels(self, batch: TurnBatch) -> pa.ListArray:
        """list<string> per turn; null where the signal does not apply or its input is missing."""
        ...
