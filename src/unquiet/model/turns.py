"""The turn: one request of a user and the agent's answer to it, as an Arrow table of fixed schema."""

from __future__ import annotations

import pyarrow as pa

TOOL_CALL = pa.struct(
    [
        pa.field("name", pa.string()),
        pa.field("arguments", pa.large_string()),
        pa.field("result", pa.large_string()),
        pa.field("error", pa.large_string()),
    ]
)
"""One call of a tool. `arguments` and `result` are text (JSON where the source had structure)."""

TURNS = pa.schema(
    [
        pa.field("turn_id", pa.string(), nullable=False),
        pa.field("session_id", pa.string(), nullable=False),
        pa.field("turn_index", pa.int32()),
        pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("user_id", pa.string()),
        pa.field("input", pa.large_string()),
        pa.field("output", pa.large_string()),
        pa.field("tool_calls", pa.list_(TOOL_CALL)),
        pa.field("finish_reason", pa.string()),
        pa.field("error", pa.large_string()),
        pa.field("latency_ms", pa.float64()),
        pa.field("input_tokens", pa.int64()),
        pa.field("output_tokens", pa.int64()),
        pa.field("reasoning_tokens", pa.int64()),
        pa.field("cost_usd", pa.float64()),
        pa.field("model", pa.string()),
        pa.field("served_model", pa.string()),
        pa.field("facets", pa.map_(pa.string(), pa.string())),
    ]
)
"""The turn table.

`turn_id` identifies a turn across files and retries: the same id twice is a duplicate.
`time` is when the turn began. `input` and `output` are null where content was not captured
(an empty string is an empty message). `tool_calls` is null where tools were not recorded and
an empty list where none was called. `reasoning_tokens` are those of the output tokens that the model
thought with, `cost_usd` is what the turn cost, in US dollars. `model` is the requested model,
`served_model` the one that the provider says it used. `facets` holds every other scalar attribute,
as text, keys unique.
"""


def empty_turns() -> pa.Table:
    """A turn table without rows."""
    return TURNS.empty_table()
