"""OpenInference (Arize Phoenix): a span kind, flattened messages, `input.value` and `output.value`."""

from __future__ import annotations

from typing import Any

from unquiet.conventions.messages import Message, as_dict, as_text, from_json, message_of, text_or_none
from unquiet.conventions.payloads import messages_of
from unquiet.conventions.steps import Step, StepKind, amount, id_text, indexed, pick, whole

_KINDS: dict[str, StepKind] = {
    "LLM": "llm",
    "AGENT": "agent",
    "CHAIN": "chain",
    "TOOL": "tool",
    "GUARDRAIL": "judge",
    "EVALUATOR": "judge",
    "EMBEDDING": "other",
    "RETRIEVER": "other",
    "RERANKER": "other",
    "PROMPT": "other",
}
_FACETS = {
    "agent.name": "agent.name",
    "llm.provider": "provider",
    "llm.system": "provider",
    "llm.prompt_template.version": "prompt.version",
}


def read(step: Step) -> None:
    """Fill in what the span says in this dialect."""
    attributes = step.span.attributes
    kind = pick(attributes, "openinference.span.kind", "span_kind")
    if kind is None and pick(attributes, "llm.model_name") is None:
        return
    step.fill(kind=_KINDS.get(str(kind).upper(), "llm" if kind is None else "other"))
    invocation = as_dict(attributes.get("llm.invocation_parameters")) or {}
    requested = text_or_none(pick(attributes, "llm.request.model_name") or invocation.get("model"))
    step.fill(
        received=_messages(attributes, "llm.input_messages") or _old(attributes, "llm.prompts", "prompt", "user"),
        sent=_messages(attributes, "llm.output_messages") or _old(attributes, "llm.choices", "completion", "assistant"),
        request=from_json(attributes.get("input.value")),
        answer=from_json(attributes.get("output.value")),
        model=requested or text_or_none(attributes.get("llm.model_name")),
        served_model=text_or_none(pick(attributes, "llm.response.model_name", "llm.model_name" if requested else "")),
        finish_reason=text_or_none(attributes.get("llm.finish_reason")),
        input_tokens=whole(attributes.get("llm.token_count.prompt")),
        output_tokens=whole(attributes.get("llm.token_count.completion")),
        reasoning_tokens=whole(attributes.get("llm.token_count.completion_details.reasoning")),
        cost_usd=amount(attributes.get("llm.cost.total")),
        session_id=id_text(attributes.get("session.id")),
        user_id=id_text(attributes.get("user.id")),
    )
    _whole_payload(step)
    _tool(step)
    for name, facet in _FACETS.items():
        step.facet(facet, attributes.get(name))
    tools = indexed(attributes, "llm.tools")
    step.fingerprint("tools.hash", tools or None)
    step.fingerprint("prompt.hash", attributes.get("llm.prompt_template.template"))
    step.metadata(attributes.get("metadata"))


def _messages(attributes: Any, prefix: str) -> list[Message]:
    found: list[Message] = []
    for item in indexed(attributes, prefix):
        fields = as_dict(item) or {}
        message = message_of(as_dict(fields.get("message")) or _unprefixed(fields))
        if message is not None:
            found.append(message)
    return found


def _unprefixed(fields: Any) -> dict[str, Any]:
    """Rows of a data frame keep `message.role` as one key."""
    return {key.removeprefix("message."): value for key, value in fields.items()}


def _old(attributes: Any, prefix: str, inner: str, role: str) -> list[Message]:
    texts = [(as_dict((as_dict(item) or {}).get(inner)) or {}).get("text") for item in indexed(attributes, prefix)]
    built = [message_of({"role": role, "content": text}) for text in texts if isinstance(text, str)]
    return [message for message in built if message is not None]


def _whole_payload(step: Step) -> None:
    """The provider's whole response, where it is kept: messages, finish reason, served model."""
    if step.kind != "llm":
        return
    raw = as_dict(step.answer)
    answer = messages_of(step.answer) if not isinstance(step.answer, str) else []
    step.fill(received=messages_of(step.request) if not isinstance(step.request, str) else None, sent=answer)
    if answer:
        step.fill(finish_reason=answer[-1].finish_reason)
    if raw is not None:
        step.fill(served_model=text_or_none(raw.get("model")))
        step.facet("system_fingerprint", raw.get("system_fingerprint"))


def _tool(step: Step) -> None:
    if step.kind != "tool":
        return
    attributes = step.span.attributes
    arguments = attributes.get("input.value")
    step.fill_tool(
        call_id=text_or_none(pick(attributes, "tool_call.id", "tool.id")),
        name=text_or_none(attributes.get("tool.name")) or step.span.name,
        arguments=as_text(
            arguments if arguments is not None else pick(attributes, "tool_call.function.arguments", "tool.parameters")
        ),
        result=as_text(attributes.get("output.value")),
    )
