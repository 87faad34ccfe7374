"""LangSmith: attributes of its OpenTelemetry exporter; its runs are brought into the same attributes.

In a run, `session_id` is the tracing project; the conversation is a key of the metadata.
"""

from __future__ import annotations

from unquiet.conventions.messages import Message, ToolUse, as_dict, as_text, from_json, text_or_none
from unquiet.conventions.payloads import messages_of
from unquiet.conventions.steps import Step, StepKind, nested, pick, whole

_KINDS: dict[str, StepKind] = {
    "llm": "llm",
    "chat_model": "llm",
    "chain": "chain",
    "agent": "agent",
    "tool": "tool",
    "retriever": "other",
    "embedding": "other",
    "parser": "other",
    "prompt": "other",
}
_NOT_FACETS = ("ls_", "LANGSMITH_", "langgraph_", "checkpoint", "__", "lc_", "run_depth")


def read(step: Step) -> None:
    """Fill in what the span says in this dialect."""
    attributes = step.span.attributes
    kind = pick(attributes, "langsmith.span.kind")
    if kind is None:
        return
    known = _KINDS.get(str(kind).lower(), "other")
    # The exporter writes `chat` as the operation of any run with a model, so its own kind goes first.
    step.kind = known
    request = from_json(attributes.get("langsmith.inputs"))
    answer = from_json(attributes.get("langsmith.outputs"))
    if known == "tool":
        given = step.tool
        step.tool = ToolUse(
            call_id=given.call_id,
            name=given.name or step.span.name,
            arguments=given.arguments if given.arguments is not None else as_text(_request(step, request)),
            result=given.result if given.result is not None else as_text(_answer(step, answer)),
        )
        return
    sent = messages_of(answer)
    step.fill(received=messages_of(request), sent=sent, request=request, answer=answer)
    if sent:
        step.fill(finish_reason=sent[-1].finish_reason)
    _llm(step)
    metadata = {**(as_dict(attributes.get("langsmith.metadata")) or {}), **nested(attributes, "langsmith.metadata")}
    step.facet("provider", metadata.get("ls_provider"))
    step.fill(model=text_or_none(metadata.get("ls_model_name")) if known == "llm" else None)
    step.facet("revision", metadata.get("revision_id"))
    step.metadata({key: v for key, v in metadata.items() if not key.startswith(_NOT_FACETS) and key != "revision_id"})


def _request(step: Step, request: object) -> object:
    return request if request is not None else _said(step.received)


def _answer(step: Step, answer: object) -> object:
    return answer if answer is not None else _said(step.sent)


def _said(messages: list[Message]) -> str | None:
    return next((message.text for message in messages if message.text), None)


def _llm(step: Step) -> None:
    answer = as_dict(step.answer)
    if step.kind != "llm" or answer is None:
        return
    usage = as_dict(answer.get("usage_metadata")) or as_dict(answer.get("usage")) or {}
    step.fill(
        served_model=text_or_none(answer.get("model")),
        input_tokens=whole(pick(usage, "input_tokens", "prompt_tokens")),
        output_tokens=whole(pick(usage, "output_tokens", "completion_tokens")),
    )
    step.facet("system_fingerprint", answer.get("system_fingerprint"))
