"""What families of failures have in common: the answer is another one, or the calls are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from unquiet.drills.editing import answered, own_texts, scaled, set_column
from unquiet.model.drills import Before

Calls = list[dict[str, Any]] | None
"""The tool calls of a turn as rows of TURNS; None where they were not recorded."""

Rewrite = Callable[[str, str, np.random.Generator], str]
"""An answer, the request, randomness -> the answer with the failure in it."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """Every answer becomes one out of a bank: the traffic's own of that kind where it has any, else ours, in English.

    The first of `signals` says which answers of the traffic are of the kind; with `own` false only ours are used.
    """

    name: str
    says: str
    signals: tuple[str, ...]
    bank: Sequence[str]
    own: bool = True
    control: bool = False

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:
        """As `Failure.inject`."""
        texts = (own_texts(before, self.signals[0]) if self.own else []) or list(self.bank)
        return answered(turns, [texts[each] for each in rng.integers(len(texts), size=turns.num_rows)])


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Every answer is rewritten by itself; turns without one stay without. `columns` holds factors of further numbers."""

    name: str
    says: str
    signals: tuple[str, ...]
    rewrite: Rewrite
    columns: tuple[tuple[str, float], ...] = ()
    control: bool = False

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """As `Failure.inject`."""
        pairs = zip(turns.column("output").to_pylist(), turns.column("input").to_pylist(), strict=True)
        changed = answered(turns, [t if t is None else self.rewrite(t, request or "", rng) for t, request in pairs])
        return scaled(changed, self.columns)


@dataclass(frozen=True, slots=True)
class Recalled:
    """The calls of every turn that makes any become others; with a `bank`, so does its answer, or with `all_turns` every one."""

    name: str
    says: str
    signals: tuple[str, ...]
    calls: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
    bank: Sequence[str] = ()
    all_turns: bool = False
    control: bool = False

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """As `Failure.inject`."""
        calls: list[Calls] = turns.column("tool_calls").to_pylist()
        changed = set_column(turns, "tool_calls", [self.calls(own) if own else own for own in calls])
        if not self.bank:
            return changed
        said = [self.bank[int(each)] for each in rng.integers(len(self.bank), size=turns.num_rows)]
        texts = zip(said, calls, turns.column("output").to_pylist(), strict=True)
        return answered(changed, [new if own or self.all_turns else old for new, own, old in texts])
