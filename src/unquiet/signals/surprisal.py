"""How unusual the order of a session's tool calls is, against the orders of the learning period.

    mean over the session's steps of -log2 P(next tool | tool)

with P from the steps counted in the reference, every tool's counts smoothed by half a step to each of the K tools that may
follow (Krichevsky and Trofimov, "The performance of universal encoding", 1981): (c + 1/2) / (n + K/2). K counts the tools
of the reference, the end of a session, and one for all tools that were never met. Bits a step; 0 is what always happened.

It needs what came before the session: the reference is counted once, when the learning period ends, and kept. Its own
sessions would find themselves in it, and their surprise too small: they are dealt into folds, and each is scored against the
others (cross-fitting). Later sessions are dealt on and scored by the same references. By one reference of all folds, a path
that is always taken would cost a hair less than it did in any fold, and lie below every quantile of the baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.signals import FloatArray, SessionBatch, SignalInfo
from unquiet.signals.parts import SessionLabelled
from unquiet.signals.sessions import complete
from unquiet.signals.text import where
from unquiet.signals.tool_paths import tool_pairs

FOLDS = 5
"""Parts into which sessions are dealt in turn; each is scored against the others of the learning period."""

_JOIN = "\x00"


@dataclass(frozen=True, slots=True)
class ToolPaths:
    """Steps counted in a reference period: `counts[first, second]`."""

    counts: dict[tuple[str, str], int]

    @property
    def next_count(self) -> int:
        """What may come next: the tools met and the end of the session, and one for what was never met."""
        return len({second for _, second in self.counts}) + 1


def steps(sessions: SessionBatch) -> pa.ListArray:
    """Every session's steps from tool to tool in their order, list<string>; null where tool calls were not all recorded."""
    of_pair, first, second = tool_pairs(sessions)
    told = complete(sessions, "tool_calls")
    kept = told[of_pair]
    joined = pc.binary_join_element_wise(first, second, _JOIN).filter(pa.array(kept)).cast(pa.string())
    sizes = np.bincount(of_pair[kept], minlength=len(sessions))
    offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, joined, mask=pa.array(~told))


def count_paths(taken: pa.ListArray) -> ToolPaths:
    """The reference that these sessions' steps make."""
    rows = pc.value_counts(pc.list_flatten(taken)).to_pylist()
    pairs = {row["values"]: row["counts"] for row in sorted(rows, key=lambda row: row["values"])}
    return ToolPaths({(pair.partition(_JOIN)[0], pair.partition(_JOIN)[2]): times for pair, times in pairs.items()})


def count_folds(taken: pa.ListArray) -> tuple[ToolPaths, ...]:
    """The references of `FOLDS` folds: that of each is made by the sessions of the others."""
    fold = np.arange(len(taken)) % FOLDS
    return tuple(count_paths(taken.filter(pa.array(fold != part))) for part in range(FOLDS))


def tool_surprisal(taken: pa.ListArray, references: Sequence[ToolPaths], first: int = 0) -> FloatArray:
    """Mean surprisal of each session's steps, in bits, shape (len(taken),); NaN where it called no tool or it is not known.

    Session i is held against the reference `(first + i) % len(references)`.
    """
    fold = (first + np.arange(len(taken))) % len(references)
    coded = pc.list_flatten(taken).dictionary_encode()
    pairs = coded.dictionary.to_pylist()
    bits = np.array([_bits(pairs, reference) for reference in references]).reshape(len(references), -1)
    of_step = pc.list_parent_indices(taken).to_numpy()
    per_step = bits[fold[of_step], coded.indices.to_numpy()] if len(of_step) else np.zeros(0)
    count = np.bincount(of_step, minlength=len(taken))
    total = np.bincount(of_step, weights=per_step, minlength=len(taken))
    return where(count > 0, total / np.maximum(count, 1))


def _bits(pairs: Sequence[str], reference: ToolPaths) -> FloatArray:
    """Surprisal of each pair by one reference."""
    after: dict[str, int] = {}
    for (tool, _), times in reference.counts.items():
        after[tool] = after.get(tool, 0) + times
    both = [pair.partition(_JOIN) for pair in pairs]
    seen = np.array([reference.counts.get((first, second), 0) for first, _, second in both], np.float64)
    of_first = np.array([after.get(first, 0) for first, _, _ in both], np.float64)
    return np.log2(of_first + reference.next_count / 2.0) - np.log2(seen + 0.5)


SURPRISAL = SignalInfo(
    name="tool_surprisal",
    version=1,
    kind="number",
    unit="session",
    reduce="none",
    definition=(
        "How unusual the order of the session's tool calls is: mean bits of each step from tool to tool, with the chances of the "
        "learning period. Needs history."
    ),
    phrase_up="calls its tools in a more unusual order",
    phrase_down="calls its tools in a more usual order",
    needs=("tool_calls",),
    none_means=(
        "The session called no tool, or the tool calls of a turn were not recorded; or there is no history: in the learning "
        "period, and in `unquiet measure`."
    ),
)
STEPS = SessionLabelled(SURPRISAL, steps)
"""What is kept of a session until there is a reference to hold it against."""
