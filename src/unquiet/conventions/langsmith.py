"""LangSmith: attributes of its OpenTelemetry exporter; its runs are brought into the same attributes.

In a run, `session_id` is the tracing project; the conversation is a key of the metadata.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from unquiet.conventions.flat import nested
from unquiet.conventions.messages import Json, Message, as_dict, as_text, from_json, text_or_none
from unquiet.conventions.rules import Dialect, does
from unquiet.conventions.steps import Step, StepKind, amount, messages_seen, pick, whole

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


def _read(step: Step, attributes: Json) -> None:
    kind = pick(attributes, "langsmith.span.kind")
    if kind is None:
        return
    known = _KINDS.get(str(kind).lower(), "other")
    # The exporter writes `chat` as the operation of any run with a model, so its own kind goes first.
    step.kind = known
    request = from_json(attributes.get("langsmith.inputs"))
    answer = from_json(attributes.get("langsmith.outputs"))
    step.ask(request)
    step.reply(answer)
    if known == "tool":
        returned = as_text(_bare_output(step.answer)) or _said(step.sent)
        step.fill_tool(name=step.span.name, arguments=as_text(step.request), result=returned)
        return
    step.receive(messages_seen, request)
    step.send(messages_seen, answer)
    _llm(step)
    metadata = {
        **(as_dict(attributes.get("langsmith.metadata")) or {}),
        **nested(attributes, "langsmith.metadata"),
    }
    step.facet("provider", metadata.get("ls_provider"))
    step.fill(model=text_or_none(metadata.get("ls_model_name")) if known == "llm" else None)
    step.facet("revision", metadata.get("revision_id"))
    step.metadata({key: value for key, value in metadata.items() if key != "revision_id"})


def _bare_output(value: Any) -> Any:
    """What a function returned: the SDK wraps it as {"output": ...} unless it is an object."""
    fields = as_dict(value)
    return fields["output"] if fields is not None and set(fields) == {"output"} else value


def _said(messages: Sequence[Message]) -> str | None:
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
        reasoning_tokens=whole((as_dict(usage.get("output_token_details")) or {}).get("reasoning")),
        cost_usd=amount(usage.get("total_cost")),
    )
    step.facet("system_fingerprint", answer.get("system_fingerprint"))


DIALECT = Dialect(frozenset({"langsmith"}), (does(_read, "langsmith.span.kind"),))
