"""The agent's hands: tools not called, and what it says of it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.drills.editing import set_column
from unquiet.model.drills import Before


class ToolsDropped:
    """The last tool of a turn is not called any more, and the answer claims success as before."""

    name = "tools_dropped"
    says = "says it has done what it did not do: its last tool is not called"
    control = False
    signals = ("no_tool_call", "claim_without_call")

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """Drop the last call of every turn that calls a tool."""
        return set_column(
            turns, "tool_calls", [calls[:-1] if calls else calls for calls in turns.column("tool_calls").to_pylist()]
        )


def calling(turns: pa.Table) -> pa.Array:
    """Which turns call a tool."""
    return pc.greater(pc.fill_null(pc.list_value_length(turns.column("tool_calls")), 0), 0)
