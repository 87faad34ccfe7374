"""OpenInference (Arize Phoenix): a span kind, flattened messages, `input.value` and `output.value`."""

from __future__ import annotations

from typing import Any

from unquiet.conventions.flat import indexed
from unquiet.conventions.messages import Json, Message, as_dict, as_text, message_of, text_or_none
from unquiet.conventions.rules import Dialect, does, facets, fills, fingerprint, flattened
from unquiet.conventions.steps import Step, StepKind, amount, id_text, messages_seen, pick, whole

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
_TELLING = ("openinference.span.kind", "span_kind", "llm.model_name")
_FACETS = {
    "agent.name": "agent.name",
    "llm.provider": "provider",
    "llm.system": "provider",
    "llm.prompt_template.version": "prompt.version",
}


def _applies(attributes: Json) -> bool:
    return pick(attributes, *_TELLING) is not None


def _kind(step: Step, attributes: Json) -> None:
    kind = pick(attributes, "openinference.span.kind", "span_kind")
    step.fill(kind=_KINDS.get(str(kind).upper(), "llm" if kind is None else "other"))


def _models(step: Step, attributes: Json) -> None:
    invocation = as_dict(attributes.get("llm.invocation_parameters")) or {}
    requested = text_or_none(pick(attributes, "llm.request.model_name") or invocation.get("model"))
    served = pick(attributes, "llm.response.model_name", "llm.model_name" if requested else "")
    step.fill(
        model=requested or text_or_none(attributes.get("llm.model_name")),
        served_model=text_or_none(served),
    )


def _payload(step: Step, attributes: Json) -> None:
    step.ask(attributes.get("input.value"), raw=True)
    step.reply(attributes.get("output.value"), raw=True)


def _messages(items: list[Any]) -> list[Message]:
    found: list[Message] = []
    for item in items:
        fields = as_dict(item) or {}
        message = message_of(as_dict(fields.get("message")) or _unprefixed(fields))
        if message is not None:
            found.append(message)
    return found


def _unprefixed(fields: Any) -> dict[str, Any]:
    """Rows of a data frame keep `message.role` as one key."""
    return {key.removeprefix("message."): value for key, value in fields.items()}


def _prompts(items: list[Any]) -> list[Message]:
    return _plain(items, "prompt", "user")


def _choices(items: list[Any]) -> list[Message]:
    return _plain(items, "completion", "assistant")


def _plain(items: list[Any], inner: str, role: str) -> list[Message]:
    texts = [(as_dict((as_dict(item) or {}).get(inner)) or {}).get("text") for item in items]
    built = [message_of({"role": role, "content": text}) for text in texts if isinstance(text, str)]
    return [message for message in built if message is not None]


def _whole_payload(step: Step, _: Json) -> None:
    """The provider's whole response, where it is kept: messages, finish reason, served model."""
    if step.kind != "llm":
        return
    step.receive(messages_seen, step.unread_request)
    if isinstance(step.answer, str):
        return
    answer = step.seen.messages(step.answer)
    step.converse(None, answer)
    if answer:
        step.fill(finish_reason=answer[-1].finish_reason)
    raw = as_dict(step.answer)
    if raw is not None:
        step.fill(served_model=text_or_none(raw.get("model")))
        step.facet("system_fingerprint", raw.get("system_fingerprint"))


def _tool(step: Step, attributes: Json) -> None:
    if step.kind != "tool":
        return
    arguments = attributes.get("input.value")
    step.fill_tool(
        call_id=text_or_none(pick(attributes, "tool_call.id", "tool.id")),
        name=text_or_none(attributes.get("tool.name")) or step.span.name,
        arguments=as_text(
            arguments if arguments is not None else pick(attributes, "tool_call.function.arguments", "tool.parameters")
        ),
        result=as_text(attributes.get("output.value")),
    )


def _tools(step: Step, attributes: Json) -> None:
    step.fingerprint("tools.hash", indexed(attributes, "llm.tools") or None)


def _metadata(step: Step, attributes: Json) -> None:
    step.metadata(attributes["metadata"])


DIALECT = Dialect(
    frozenset({"openinference", "llm", "span_kind"}),
    (
        does(_kind, *_TELLING),
        flattened("received", "llm.input_messages", _messages),
        flattened("received", "llm.prompts", _prompts),
        flattened("sent", "llm.output_messages", _messages),
        flattened("sent", "llm.choices", _choices),
        does(_payload, "input.value", "output.value"),
        does(
            _models, "llm.request.model_name", "llm.response.model_name", "llm.model_name", "llm.invocation_parameters"
        ),
        fills("finish_reason", text_or_none, "llm.finish_reason"),
        fills("input_tokens", whole, "llm.token_count.prompt"),
        fills("output_tokens", whole, "llm.token_count.completion"),
        fills("reasoning_tokens", whole, "llm.token_count.completion_details.reasoning"),
        fills("cost_usd", amount, "llm.cost.total"),
        fills("session_id", id_text, "session.id"),
        fills("user_id", id_text, "user.id"),
        does(_whole_payload, *_TELLING),
        does(_tool, *_TELLING),
        *facets(_FACETS),
        does(_tools, "llm.tools", below=("llm.tools.",)),
        fingerprint("prompt.hash", "llm.prompt_template.template"),
        does(_metadata, "metadata"),
    ),
    _applies,
)
