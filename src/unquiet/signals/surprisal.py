"""How unusual the order of a session's tool calls is, against the orders of a reference period.

    mean over the session's pairs of -log2 P(next tool | tool)

with P from the pairs counted in the reference, each tool smoothed by one pseudo-count spread over all tools that
were met (Jelinek and Mercer's interpolation with a uniform distribution in its simplest form: Laplace's rule with
total weight 1). Bits; 0 is what always happened. The reference is a value: count it once, keep it, hand it in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.signals import FloatArray, SessionBatch
from unquiet.signals.text import where
from unquiet.signals.tool_paths import tool_pairs


@dataclass(frozen=True, slots=True)
class ToolPaths:
    """Pairs of tools counted in a reference period: `counts[first, second]`, and the number of different tools."""

    counts: dict[tuple[str, str], int]
    tool_count: int


def count_paths(sessions: SessionBatch) -> ToolPaths:
    """The reference that these sessions make."""
    _, first, second = tool_pairs(sessions)
    pairs = pa.table({"first": first, "second": second}).group_by(["first", "second"]).aggregate([([], "count_all")])
    counts = {(row["first"], row["second"]): int(row["count_all"]) for row in pairs.to_pylist()}
    return ToolPaths(counts, len({tool for pair in counts for tool in pair}))


def tool_surprisal(sessions: SessionBatch, reference: ToolPaths) -> FloatArray:
    """Mean surprisal of each session's pairs, in bits, shape (len(sessions),); NaN for sessions without a call."""
    of_pair, first, second = tool_pairs(sessions)
    joined = pc.binary_join_element_wise(first, second, "\x00").dictionary_encode()
    after: dict[str, int] = {}
    for (tool, _), times in reference.counts.items():
        after[tool] = after.get(tool, 0) + times
    bits = np.array([_bits(pair, reference, after) for pair in joined.dictionary.to_pylist()])
    per_pair = bits[joined.indices.to_numpy()] if len(of_pair) else np.zeros(0)
    count = np.bincount(of_pair, minlength=len(sessions))
    total = np.bincount(of_pair, weights=per_pair, minlength=len(sessions))
    return where(count > 0, total / np.maximum(count, 1))


def _bits(pair: str, reference: ToolPaths, after: dict[str, int]) -> float:
    first, second = pair.split("\x00")
    seen = reference.counts.get((first, second), 0)
    return -float(np.log2((seen + 1 / max(reference.tool_count, 1)) / (after.get(first, 0) + 1)))
