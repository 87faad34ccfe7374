"""Traceloop's OpenLLMetry: flattened prompts and completions, `traceloop.*` around them."""

from __future__ import annotations

from typing import Any

from unquiet.conventions.messages import Message, as_dict, as_text, from_json, message_of, text_or_none, unquoted
from unquiet.conventions.steps import Step, StepKind, first_of, indexed, nested, pick, whole

_KINDS: dict[str, StepKind] = {"workflow": "agent", "agent": "agent", "task": "chain", "tool": "tool"}
_FINISH = (
    "gen_ai.response.finish_reason",
    "gen_ai.response.stop_reason",
    "llm.response.finish_reason",
    "llm.response.stop_reason",
)


def read(step: Step) -> None:
    """Fill in what the span says in this dialect."""
    attributes = step.span.attributes
    step.fill(received=_flattened(attributes, "gen_ai.prompt"), sent=_flattened(attributes, "gen_ai.completion"))
    if pick(attributes, "llm.request.type") in ("chat", "completion"):
        step.fill(kind="llm")
    kind = pick(attributes, "traceloop.span.kind")
    if kind is not None:
        step.fill(kind=_KINDS.get(str(kind), "other"))
        _entity(step)
    step.fill(
        finish_reason=first_of(pick(attributes, *_FINISH)),
        input_tokens=whole(attributes.get("llm.usage.prompt_tokens")),
        output_tokens=whole(attributes.get("llm.usage.completion_tokens")),
        reasoning_tokens=whole(pick(attributes, "llm.usage.reasoning_tokens", "gen_ai.usage.reasoning_tokens")),
    )
    step.metadata(nested(attributes, "traceloop.association.properties"))
    step.facet("workflow.name", attributes.get("traceloop.workflow.name"))
    step.facet("prompt.name", attributes.get("traceloop.prompt.key"))
    step.facet("prompt.version", pick(attributes, "traceloop.prompt.version", "traceloop.prompt.version_name"))
    step.facet("prompt.hash", attributes.get("traceloop.prompt.version_hash"))
    functions = indexed(attributes, "llm.request.functions")
    step.fingerprint("tools.hash", functions or None)


def _flattened(attributes: Any, prefix: str) -> list[Message]:
    found = [message_of({"role": "assistant", **item}) for item in map(as_dict, indexed(attributes, prefix)) if item]
    return [message for message in found if message is not None]


def _entity(step: Step) -> None:
    attributes = step.span.attributes
    received = from_json(unquoted(attributes.get("traceloop.entity.input")))
    returned = from_json(unquoted(attributes.get("traceloop.entity.output")))
    if step.kind == "tool":
        step.fill_tool(
            name=text_or_none(attributes.get("traceloop.entity.name")) or step.span.name,
            arguments=as_text(_inputs(received)),
            result=as_text(returned),
        )
        return
    step.fill(request=_inputs(received), answer=returned)
    step.facet("agent.name", attributes.get("traceloop.entity.name") if step.kind == "agent" else None)


def _inputs(value: Any) -> Any:
    """The arguments of the decorated function: {"args": [...], "kwargs": {...}} without its wrapping."""
    fields = as_dict(value)
    if fields is None or not set(fields) <= {"args", "kwargs", "inputs", "tags", "metadata"}:
        return value
    args, kwargs = fields.get("args"), fields.get("kwargs")
    if fields.get("inputs") is not None:
        return fields["inputs"]
    if isinstance(args, list) and len(args) == 1 and not kwargs:
        return args[0]
    if not args and isinstance(kwargs, dict):
        return kwargs
    return value
