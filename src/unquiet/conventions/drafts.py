"""The turn before it is a row: filled by the dialects, then written into a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from unquiet.conventions.messages import ToolUse
from unquiet.model.turns import TOOL_CALL, TURNS


@dataclass(frozen=True, slots=True)
class TurnDraft:
    """One turn; the fields are those of the turn table. `place` says where it was found, for a person."""

    turn_id: str
    session_id: str
    time_us: int
    input: str | None
    output: str | None
    tool_calls: Sequence[ToolUse] | None = None
    turn_index: int | None = None
    user_id: str | None = None
    finish_reason: str | None = None
    error: str | None = None
    latency_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    model: str | None = None
    served_model: str | None = None
    facets: Mapping[str, str] = field(default_factory=dict[str, str])
    place: str = ""


_PLAIN = (
    "turn_id", "session_id", "turn_index", "user_id", "input", "output", "finish_reason", "error",
    "latency_ms", "input_tokens", "output_tokens", "reasoning_tokens", "cost_usd", "model", "served_model",
)  # fmt: skip


def table_of(drafts: Sequence[TurnDraft]) -> pa.Table:
    """The drafts as a turn table, in their order."""
    columns = {name: [_clean(getattr(draft, name)) for draft in drafts] for name in _PLAIN}
    columns["time"] = [draft.time_us for draft in drafts]
    columns["tool_calls"] = [_calls(draft.tool_calls) for draft in drafts]
    columns["facets"] = [sorted((_clean(k), _clean(v)) for k, v in draft.facets.items()) for draft in drafts]
    arrays = [pa.array(columns[kind.name], type=kind.type) for kind in TURNS]
    return pa.table(arrays, schema=TURNS)


def _calls(calls: Sequence[ToolUse] | None) -> list[dict[str, object]] | None:
    if calls is None:
        return None
    return [{part.name: _clean(getattr(call, part.name)) for part in TOOL_CALL} for call in calls]


def _clean(value: object) -> object:
    """Texts that Arrow can hold: lone surrogates become question marks."""
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "replace").decode()
    return value
