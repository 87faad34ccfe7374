"""Exports that keep one span a row -> spans: Langfuse, LangSmith, Phoenix data frames, the SDK's own JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from unquiet.conventions.messages import Json, as_dict, as_list, as_text, from_json, text_or_none, unquoted
from unquiet.conventions.steps import pick
from unquiet.conventions.times import BadTimeError, to_us
from unquiet.model.spans import Span, SpanEvent

_LANGFUSE_TRACE = {
    "langfuse.trace.name": ("name",),
    "langfuse.session.id": ("sessionId", "session_id"),
    "langfuse.user.id": ("userId", "user_id"),
    "langfuse.release": ("release",),
    "langfuse.version": ("version",),
    "langfuse.environment": ("environment",),
    "langfuse.observation.input": ("input",),
    "langfuse.observation.output": ("output",),
}
_LANGFUSE_OBSERVATION = {
    "langfuse.observation.type": ("type",),
    "langfuse.observation.input": ("input",),
    "langfuse.observation.output": ("output",),
    "langfuse.observation.model.name": ("providedModelName", "provided_model_name", "model"),
    "langfuse.observation.usage_details": ("usageDetails", "usage_details", "usage"),
    "langfuse.observation.level": ("level",),
    "langfuse.observation.status_message": ("statusMessage", "status_message"),
    "langfuse.observation.prompt.name": ("promptName", "prompt_name"),
    "langfuse.observation.prompt.version": ("promptVersion", "prompt_version"),
    "langfuse.version": ("version",),
    "langfuse.environment": ("environment",),
    "langfuse.session.id": ("sessionId", "session_id"),
    "langfuse.user.id": ("userId", "user_id"),
}


def langfuse_spans(row: Json) -> Iterator[Span]:
    """The spans in a row of a Langfuse export: a trace with or without its observations, or one observation.

    Raises:
        ValueError: no ids or no times.
    """
    trace = as_dict(row.get("trace"))
    if trace is not None:
        row = {**trace, "observations": row.get("observations")}
    if pick(row, "traceId", "trace_id") is not None:
        yield _observation(row, None)
        return
    listed = [item for item in map(as_dict, as_list(row.get("observations")) or []) if item is not None]
    root = _trace(row, listed)
    yield root
    for item in listed:
        yield _observation(item, root.span_id)


def _trace(row: Json, observations: list[Json]) -> Span:
    trace_id = _need(row, "id", "traceId")
    start = _time(row, "timestamp", "startTime", "start_time")
    ends = [
        _time(item, "endTime", "end_time") for item in observations if pick(item, "endTime", "end_time") is not None
    ]
    latency = _seconds(row.get("latency"))
    end = start + round(latency * 1_000_000) if latency is not None else None
    attributes = _renamed(row, _LANGFUSE_TRACE)
    # A trace that shows a request or an answer is one turn; else it only holds its observations together.
    if pick(row, "input", "output") is not None:
        attributes["langfuse.observation.type"] = "agent"
    own = _metadata(row, attributes, "langfuse.trace.metadata")
    last = max([*ends, end or start]) if ends or end else None
    name = str(row.get("name") or "")
    return Span(trace_id, f"trace:{trace_id}", None, name, start, last, attributes=attributes, resource=own)


def _observation(row: Json, root: str | None) -> Span:
    attributes = _renamed(row, _LANGFUSE_OBSERVATION)
    resource = _metadata(row, attributes, "langfuse.observation.metadata")
    failed = row.get("level") == "ERROR"
    return Span(
        trace_id=_need(row, "traceId", "trace_id"),
        span_id=_need(row, "id"),
        parent_id=text_or_none(pick(row, "parentObservationId", "parent_observation_id")) or root,
        name=str(row.get("name") or ""),
        start_us=_time(row, "startTime", "start_time"),
        end_us=_time(row, "endTime", "end_time") if pick(row, "endTime", "end_time") is not None else None,
        error=str(pick(row, "statusMessage", "status_message") or "") if failed else None,
        attributes=attributes,
        resource=resource,
    )


def _renamed(row: Json, names: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    found = {attribute: unquoted(pick(row, *columns)) for attribute, columns in names.items()}
    return {attribute: value for attribute, value in found.items() if value is not None}


def _metadata(row: Json, attributes: dict[str, Any], name: str) -> Json:
    """Take the original attributes out of the metadata; the rest of it was attached by the application."""
    metadata = dict(as_dict(row.get("metadata")) or {})
    for key, value in (as_dict(metadata.pop("attributes", None)) or {}).items():
        attributes.setdefault(key, value)
    resource = as_dict(metadata.pop("resourceAttributes", None)) or {}
    metadata.pop("scope", None)
    attributes[name] = metadata
    return resource


def langsmith_runs(row: Json) -> list[Json]:
    """The runs in a row: one run, or a batch of posts and patches, joined by id."""
    if "post" not in row and "patch" not in row:
        return [row]
    runs: dict[str, dict[str, Any]] = {}
    for name in ("post", "patch"):
        for run in map(as_dict, as_list(row.get(name)) or []):
            if run is not None:
                kept = runs.setdefault(str(run.get("id")), {})
                kept.update({key: value for key, value in run.items() if value is not None})
    return list(runs.values())


def langsmith_span(run: Json) -> Span:
    """The span of a run.

    Raises:
        ValueError: no id or no time.
    """
    extra = as_dict(run.get("extra")) or {}
    tokens = {
        "gen_ai.usage.input_tokens": run.get("prompt_tokens"),
        "gen_ai.usage.output_tokens": run.get("completion_tokens"),
        "gen_ai.usage.reasoning_tokens": (as_dict(run.get("completion_token_details")) or {}).get("reasoning"),
        "gen_ai.usage.cost": run.get("total_cost"),
    }
    attributes = {
        "langsmith.span.kind": run.get("run_type") or "chain",
        "langsmith.inputs": run.get("inputs"),
        "langsmith.outputs": run.get("outputs"),
        "langsmith.metadata": {
            **(as_dict(extra.get("metadata")) or {}),
            **(as_dict(run.get("metadata")) or {}),
        },
        **{name: count for name, count in tokens.items() if count},
        **_invocation(extra),
    }
    run_id = _need(run, "id")
    return Span(
        trace_id=text_or_none(run.get("trace_id")) or _first_of_order(run) or run_id,
        span_id=run_id,
        parent_id=text_or_none(run.get("parent_run_id")),
        name=str(run.get("name") or ""),
        start_us=_time(run, "start_time"),
        end_us=_time(run, "end_time") if run.get("end_time") else None,
        error=as_text(run["error"]) if run.get("error") else None,
        attributes=attributes,
    )


def _invocation(extra: Json) -> dict[str, Any]:
    parameters = as_dict(extra.get("invocation_params")) or {}
    found = {
        "gen_ai.request.model": pick(parameters, "model", "model_name"),
        "gen_ai.tool.definitions": parameters.get("tools"),
    }
    return {name: value for name, value in found.items() if value is not None}


def _first_of_order(run: Json) -> str | None:
    """The root's id out of `dotted_order`: a time and an id for each level."""
    order = text_or_none(run.get("dotted_order"))
    return order.split(".")[0].partition("Z")[2] or None if order else None


def row_span(row: Json) -> Span:
    """The span of a row with `context.trace_id`, `attributes.*` (Phoenix) or nested objects (the SDK).

    Raises:
        ValueError: no ids or no time.
    """
    context = as_dict(row.get("context")) or {}
    status = as_dict(row.get("status")) or {}
    code = str(pick(row, "status_code") or status.get("status_code") or "")
    message = str(pick(row, "status_message") or status.get("description") or "")
    attributes = _flat(as_dict(row.get("attributes")) or {}, "")
    for key, value in row.items():
        if key.startswith("attributes.") and value is not None:
            attributes |= _flat({key.removeprefix("attributes."): from_json(value)}, "")
    if row.get("span_kind") is not None:
        attributes.setdefault("openinference.span.kind", row["span_kind"])
    events = [event for event in map(as_dict, as_list(row.get("events")) or []) if event is not None]
    parent = pick(row, "parent_id", "parent_span_id")
    return Span(
        trace_id=_hex(pick(row, "context.trace_id", "trace_id") or context.get("trace_id")),
        span_id=_hex(pick(row, "context.span_id", "span_id") or context.get("span_id")),
        parent_id=_hex(parent) if parent is not None and parent == parent else None,
        name=str(row.get("name") or ""),
        start_us=_time(row, "start_time"),
        end_us=_time(row, "end_time") if row.get("end_time") else None,
        error=message if code.upper().endswith("ERROR") else None,
        attributes=attributes,
        events=tuple(_row_event(event) for event in events),
        resource=_flat(as_dict((as_dict(row.get("resource")) or {}).get("attributes")) or {}, ""),
    )


def _row_event(event: Json) -> SpanEvent:
    at = pick(event, "timestamp", "time")
    return SpanEvent(
        str(event.get("name") or ""),
        _time({"time": at}, "time") if at else 0,
        as_dict(event.get("attributes")) or {},
    )


def _flat(values: Json, prefix: str) -> dict[str, Any]:
    """Nested objects as dotted names; lists stay whole."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and name != "metadata":
            found |= _flat(cast("Json", value), name + ".")
        elif value is not None:
            found[name] = value
    return found


def _hex(value: Any) -> str:
    text = text_or_none(value)
    if text is None:
        raise ValueError("the span has no trace id or no span id")
    return text.lower().removeprefix("0x")


def _need(row: Json, *names: str) -> str:
    value = text_or_none(pick(row, *names))
    if value is None:
        raise ValueError(f"there is no {names[0]}")
    return value


def _time(row: Json, *names: str) -> int:
    value = pick(row, *names)
    try:
        return to_us(value)[0]
    except BadTimeError as error:
        raise ValueError(f"{names[0]}: {error}") from None


def _seconds(value: Any) -> float | None:
    if isinstance(value, str):
        value = float(value) if value.replace(".", "", 1).isdigit() else None
    return float(value) if isinstance(value, int | float) and value >= 0 else None
