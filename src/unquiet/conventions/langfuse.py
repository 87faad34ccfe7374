"""Langfuse: attributes of its OpenTelemetry SDKs; its exports are brought into the same attributes."""

from __future__ import annotations

from unquiet.conventions.flat import nested
from unquiet.conventions.messages import Json, as_dict, as_text, from_json, text_or_none
from unquiet.conventions.rules import Dialect, does
from unquiet.conventions.steps import Step, StepKind, amount, id_text, messages_seen, pick, whole

_KINDS: dict[str, StepKind] = {
    "generation": "llm",
    "agent": "agent",
    "chain": "chain",
    "tool": "tool",
    "evaluator": "judge",
    "guardrail": "judge",
    "embedding": "other",
    "retriever": "other",
    "event": "other",
}
_FACETS = {
    "langfuse.release": "release",
    "langfuse.version": "version",
    "langfuse.environment": "deployment.environment",
    "langfuse.observation.prompt.name": "prompt.name",
    "langfuse.observation.prompt.version": "prompt.version",
    "langfuse.trace.name": "trace.name",
}


def _read(step: Step, attributes: Json) -> None:
    kind = pick(attributes, "langfuse.observation.type")
    known = _KINDS.get(str(kind).lower()) if kind is not None else None
    if known is not None:
        step.fill(kind=known)
    request = from_json(attributes.get("langfuse.observation.input"))
    answer = from_json(attributes.get("langfuse.observation.output"))
    usage = as_dict(attributes.get("langfuse.observation.usage_details")) or {}
    cost = as_dict(attributes.get("langfuse.observation.cost_details")) or {}
    step.fill(
        session_id=id_text(pick(attributes, "langfuse.session.id", "session.id")),
        user_id=id_text(pick(attributes, "langfuse.user.id", "user.id")),
        model=text_or_none(attributes.get("langfuse.observation.model.name")),
        input_tokens=whole(pick(usage, "input", "promptTokens", "prompt_tokens", "input_tokens")),
        output_tokens=whole(pick(usage, "output", "completionTokens", "completion_tokens", "output_tokens")),
        reasoning_tokens=whole(pick(usage, "output_reasoning_tokens", "reasoning_tokens", "output_reasoning")),
        cost_usd=amount(cost.get("total")),
    )
    if step.kind == "tool":
        step.fill_tool(name=step.span.name, arguments=as_text(request), result=as_text(answer))
    elif step.kind == "llm":
        step.receive(messages_seen, request)
        step.send(messages_seen, answer)
    step.ask(request)
    step.reply(answer)
    if attributes.get("langfuse.observation.level") == "ERROR":
        step.fill(error=as_text(attributes.get("langfuse.observation.status_message")) or "error")
    for name, facet in _FACETS.items():
        step.facet(facet, attributes.get(name))
    _metadata(step, attributes)


def _metadata(step: Step, attributes: Json) -> None:
    for prefix in ("langfuse.trace.metadata", "langfuse.observation.metadata"):
        step.metadata(attributes.get(prefix))
        step.metadata(nested(attributes, prefix))


DIALECT = Dialect(frozenset({"langfuse"}), (does(_read, "langfuse", below=("langfuse.",)),))
