"""The turn before it is a row: filled by the dialects, then written into a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from operator import attrgetter
from typing import Any

import pyarrow as pa

from unquiet.conventions.messages import ToolUse
from unquiet.model.turns import TOOL_CALL, TURNS


@dataclass(slots=True)
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
    """The drafts as a turn table, in their order. Texts lose lone surrogates, which Arrow cannot hold."""
    try:
        return _table(drafts, [sorted(draft.facets.items()) for draft in drafts])
    except UnicodeEncodeError:
        facets = [sorted((_clean(k), _clean(v)) for k, v in draft.facets.items()) for draft in drafts]
        return _table([_clean_draft(draft) for draft in drafts], facets)


def _table(drafts: Sequence[TurnDraft], facets: Sequence[Sequence[tuple[str, str]]]) -> pa.Table:
    columns: dict[str, pa.Array] = {
        name: pa.array(list(map(attrgetter(name), drafts)), type=TURNS.field(name).type) for name in _PLAIN
    }
    columns["time"] = pa.array([draft.time_us for draft in drafts], type=TURNS.field("time").type)
    columns["tool_calls"] = _calls([draft.tool_calls for draft in drafts])
    columns["facets"] = _facets(facets)
    return pa.table([columns[name] for name in TURNS.names], schema=TURNS)


def _calls(listed: Sequence[Sequence[ToolUse] | None]) -> pa.Array:
    flat = [call for calls in listed if calls for call in calls]
    parts = [pa.array(list(map(attrgetter(part.name), flat)), type=part.type) for part in TOOL_CALL]
    known = [calls is not None for calls in listed]
    return pa.ListArray.from_arrays(
        _offsets([len(calls) if calls else 0 for calls in listed]),
        pa.StructArray.from_arrays(parts, fields=list(TOOL_CALL)),
        type=TURNS.field("tool_calls").type,
        mask=None if all(known) else pa.array([not there for there in known]),
    )


def _facets(listed: Sequence[Sequence[tuple[str, str]]]) -> pa.Array:
    names = [name for facets in listed for name, _ in facets]
    values = [value for facets in listed for _, value in facets]
    return pa.MapArray.from_arrays(
        _offsets(map(len, listed)),
        pa.array(names, pa.string()),
        pa.array(values, pa.string()),
        type=TURNS.field("facets").type,
    )


def _offsets(sizes: Iterable[int]) -> pa.Array:
    return pa.array(list(accumulate(sizes, initial=0)), pa.int32())


def _clean_draft(draft: TurnDraft) -> TurnDraft:
    calls = draft.tool_calls
    return replace(
        draft,
        **{name: _clean(getattr(draft, name)) for name in _PLAIN},
        tool_calls=None if calls is None else [ToolUse(*map(_clean, call)) for call in calls],
    )


def _clean(value: Any) -> Any:
    """Texts that Arrow can hold: lone surrogates become question marks."""
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "replace").decode()
    return value
