"""Logs that hold whole runs of an agent -> spans: Inspect samples, ATIF trajectories (Harbor)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from unquiet.conventions.messages import Json, as_dict, as_list, as_text, text_or_none
from unquiet.conventions.steps import pick, short_hash
from unquiet.conventions.times import BadTimeError, to_us
from unquiet.model.spans import Span

_ATTACHMENT = "attachment://"


def inspect_spans(sample: Json, header: Json) -> Iterator[Span]:
    """The spans of one sample of an Inspect log: model and tool events below the sample.

    The session is the sample's run (its uuid, else evaluation, sample and epoch). `header` is the log
    without its samples.

    Raises:
        ValueError: the sample has no time anywhere.
    """
    attachments = as_dict(sample.get("attachments")) or {}
    task = as_dict(header.get("eval")) or {}
    run = text_or_none(pick(task, "eval_id", "run_id")) or ""
    epoch = sample.get("epoch") or 1
    session = text_or_none(sample.get("uuid")) or f"{run}/{sample.get('id')}/{epoch}"
    pool = as_list((as_dict(sample.get("events_data")) or {}).get("messages")) or []
    events = [
        _with_input(event, pool) for event in map(as_dict, as_list(sample.get("events")) or []) if event is not None
    ]
    model_calls = [event for event in events if event.get("event") == "model"]
    start, end = _extent(sample, events, task)
    error = as_dict(sample.get("error"))
    root = Span(
        session, f"sample:{session}", None, str(task.get("task") or "sample"), start, end,
        error=None if error is None else str(error.get("message") or "error"),
        attributes=_inspect_attributes(sample, task, session, whole=not model_calls),
    )  # fmt: skip
    yield _resolved(root, attachments)
    judging = _judging(events)
    for number, event in enumerate(events):
        if event.get("event") in ("model", "tool") and number not in judging:
            yield _resolved(_inspect_event(event, f"{root.span_id}:{number}", root), attachments)


def _with_input(event: Json, pool: list[Any]) -> Json:
    """The event with its input. Logs since 2026 keep each message once and name ranges of them, ends excluded."""
    refs = as_list(event.get("input_refs"))
    if not refs or event.get("input"):
        return event
    ranges = [each for each in map(as_list, refs) if each is not None and len(each) == 2]
    said = [message for start, end in ranges if _within(start, end, len(pool)) for message in pool[start:end]]
    return {**event, "input": said}


def _within(start: Any, end: Any, size: int) -> bool:
    return isinstance(start, int) and isinstance(end, int) and 0 <= start <= end <= size


def _judging(events: list[Json]) -> set[int]:
    """The events inside scorers: a judge's model calls answer nobody."""
    scopes: dict[str, bool] = {}
    depth = 0
    inside: set[int] = set()
    for number, event in enumerate(events):
        kind, ident = event.get("event"), str(event.get("span_id") or event.get("id") or "")
        if kind == "span_begin":
            own = str(event.get("type") or "").startswith("scorer")
            scopes[str(event.get("id") or ident)] = own or scopes.get(str(event.get("parent_id")), False)
        elif kind == "step" and event.get("type") == "scorer":  # logs before mid-2025 have steps, not spans
            depth += 1 if event.get("action") == "begin" else -1
        elif depth > 0 or scopes.get(ident, False):
            inside.add(number)
    return inside


def _extent(sample: Json, events: list[Json], task: Json) -> tuple[int, int | None]:
    starts = [event.get("timestamp") for event in events] + [sample.get("started_at"), task.get("created")]
    start = next((micros(value) for value in starts if value), None)
    if start is None:
        raise ValueError("the sample has no time: neither events nor a start")
    ends = [value for value in (micros(event.get("completed")) for event in events) if value is not None]
    return start, max(ends, default=None)


def _inspect_attributes(sample: Json, task: Json, session: str, *, whole: bool) -> dict[str, Any]:
    revision = as_dict(task.get("revision")) or {}
    attributes: dict[str, Any] = {
        "gen_ai.conversation.id": session,
        "task": task.get("task"),
        "task.version": task.get("task_version"),
        "revision": revision.get("commit"),
        "epoch": sample.get("epoch"),
        "metadata": as_dict(sample.get("metadata")) or {},
    }
    if whole:
        messages = as_list(sample.get("messages")) or []
        output = as_dict(sample.get("output")) or {}
        attributes |= {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.input.messages": messages,
            "gen_ai.output.messages": messages,
            "gen_ai.request.model": task.get("model"),
            "gen_ai.response.model": output.get("model"),
            "gen_ai.response.finish_reasons": [
                (as_dict(choice) or {}).get("stop_reason") for choice in output.get("choices") or []
            ],
        }
    return attributes


def _inspect_event(event: Json, span_id: str, root: Span) -> Span:
    end = micros(event.get("completed"))
    start = micros(event.get("timestamp")) or root.start_us
    working = event.get("working_time")
    if end is None and isinstance(working, int | float):
        end = start + round(working * 1_000_000)
    error = event.get("error")
    return Span(
        root.trace_id, span_id, root.span_id, str(event.get("event")), start, end,
        error=None if not error else str((as_dict(error) or {}).get("message") or as_text(error)),
        attributes=_model_attributes(event) if event.get("event") == "model" else _tool_attributes(event),
    )  # fmt: skip


def _model_attributes(event: Json) -> dict[str, Any]:
    output = as_dict(event.get("output")) or {}
    usage = as_dict(output.get("usage")) or {}
    choices = [choice for choice in map(as_dict, as_list(output.get("choices")) or []) if choice is not None]
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": event.get("model"),
        "gen_ai.response.model": output.get("model"),
        "gen_ai.input.messages": event.get("input"),
        "gen_ai.output.messages": [choice.get("message") for choice in choices[:1]],
        "gen_ai.response.finish_reasons": [choice.get("stop_reason") for choice in choices[:1]],
        "gen_ai.usage.input_tokens": usage.get("input_tokens"),
        "gen_ai.usage.output_tokens": usage.get("output_tokens"),
        "gen_ai.usage.reasoning_tokens": usage.get("reasoning_tokens"),
        "gen_ai.tool.definitions": event.get("tools") or None,
    }


def _tool_attributes(event: Json) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": event.get("function"),
        "gen_ai.tool.call.id": event.get("id"),
        "gen_ai.tool.call.arguments": event.get("arguments"),
        "gen_ai.tool.call.result": event.get("result"),
    }


def _resolved(span: Span, attachments: Json) -> Span:
    """The span with its references to attachments filled in."""
    if not attachments:
        return span
    return Span(
        span.trace_id, span.span_id, span.parent_id, span.name, span.start_us, span.end_us, span.error,
        {name: _filled(value, attachments) for name, value in span.attributes.items()},
    )  # fmt: skip


def resolved_sample(sample: Json) -> dict[str, Any]:
    """A sample of an Inspect log with its references to attachments filled in."""
    attachments = as_dict(sample.get("attachments")) or {}
    return {name: _filled(value, attachments) for name, value in sample.items()} if attachments else dict(sample)


def _filled(value: Any, attachments: Json) -> Any:
    if isinstance(value, str):
        return attachments.get(value.removeprefix(_ATTACHMENT), value) if value.startswith(_ATTACHMENT) else value
    if isinstance(value, list):
        return [_filled(item, attachments) for item in value]
    if isinstance(value, dict):
        return {key: _filled(item, attachments) for key, item in value.items()}
    return value


def micros(value: Any) -> int | None:
    """Microseconds since 1970, None where the value is no moment."""
    try:
        return to_us(value)[0]
    except BadTimeError:
        return None


def atif_spans(trajectory: Json, default_us: int) -> Iterator[Span]:
    """The spans of an ATIF trajectory: one invocation of the agent for every message of the user.

    Steps without a timestamp take the time of the step before, the first one `default_us`.
    """
    agent = as_dict(trajectory.get("agent")) or {}
    session = str(trajectory.get("session_id") or short_hash(as_text(trajectory) or ""))
    shared = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.conversation.id": session,
        "gen_ai.agent.name": agent.get("name"),
        "gen_ai.agent.version": agent.get("version"),
        "gen_ai.request.model": agent.get("model_name"),
        "gen_ai.tool.definitions": agent.get("tool_definitions"),
    }
    at = default_us
    run: list[tuple[int, Json]] = []
    for step in map(as_dict, as_list(trajectory.get("steps")) or []):
        if step is None:
            continue
        at = micros(step.get("timestamp")) or at
        if step.get("source") == "user" and any(known.get("source") == "agent" for _, known in run):
            yield _atif_run(session, shared, run)
            run = []
        run.append((at, step))
    if any(known.get("source") == "agent" for _, known in run):
        yield _atif_run(session, shared, run)


def _atif_run(session: str, shared: dict[str, Any], run: list[tuple[int, Json]]) -> Span:
    start, first_step = run[0]
    metrics = [as_dict(step.get("metrics")) or {} for _, step in run]
    models = [step.get("model_name") for _, step in run if step.get("model_name")]
    attributes = {
        **shared,
        "gen_ai.input.messages": [_atif_message(step) for _, step in run if step.get("source") in ("user", "system")],
        "gen_ai.output.messages": [
            part for _, step in run if step.get("source") == "agent" for part in _atif_answer(step)
        ],
        "gen_ai.usage.input_tokens": sum(int(metric.get("prompt_tokens") or 0) for metric in metrics) or None,
        "gen_ai.usage.output_tokens": sum(int(metric.get("completion_tokens") or 0) for metric in metrics) or None,
    }
    if models:
        attributes["gen_ai.response.model"] = models[-1]
    end = run[-1][0] if run[-1][0] > start else None
    return Span(
        session,
        f"{session}:{first_step.get('step_id')}",
        None,
        "invoke_agent",
        start,
        end,
        attributes=attributes,
    )


def _atif_message(step: Json) -> dict[str, Any]:
    return {"role": step.get("source"), "content": step.get("message")}


def _atif_answer(step: Json) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": step.get("message") or None, "tool_calls": step.get("tool_calls")}
    observation = as_dict(step.get("observation")) or {}
    for result in map(as_dict, as_list(observation.get("results")) or []):
        if result is not None and result.get("source_call_id"):
            yield {
                "role": "tool",
                "tool_call_id": result["source_call_id"],
                "content": as_text(result.get("content")) or "",
            }
