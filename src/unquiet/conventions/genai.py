"""OpenTelemetry's GenAI conventions in the four dialects that are live at once.

1.27 and before: `gen_ai.prompt` and `gen_ai.completion`. 1.28 to 1.36: one event a message. 1.37 to 1.41:
messages as attributes. Since then the development version of semantic-conventions-genai, which renames some
of them.
"""

from __future__ import annotations

from typing import Any

from unquiet.conventions.messages import Json, Message, as_dict, as_list, as_text, from_json, message_of, text_or_none
from unquiet.conventions.payloads import messages_of
from unquiet.conventions.rules import Dialect, does, facets, fills, fingerprint, hears
from unquiet.conventions.steps import Step, StepKind, amount, first_of, id_text, pick, whole
from unquiet.model.spans import SpanEvent

_KINDS: dict[str, StepKind] = {
    "chat": "llm",
    "generate_content": "llm",
    "text_completion": "llm",
    "completion": "llm",
    "invoke_agent": "agent",
    "invoke_workflow": "agent",
    "execute_tool": "tool",
    "tool": "tool",
    "chain": "chain",
    "create_agent": "other",
    "embeddings": "other",
    "retrieval": "other",
    "plan": "chain",
}
_EVENT_ROLES = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
_REASONING = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.details.reasoning_tokens",
    "gen_ai.usage.completion_tokens_details.reasoning_tokens",
)
_DETAILS = frozenset({"gen_ai.client.inference.operation.details", "gen_ai.client.operation.details"})
_FACETS = {
    "gen_ai.agent.name": "agent.name",
    "gen_ai.agent.version": "agent.version",
    "gen_ai.workflow.name": "workflow.name",
    "gen_ai.prompt.name": "prompt.name",
    "gen_ai.prompt.version": "prompt.version",
    "gen_ai.request.reasoning.level": "reasoning.level",
    "gen_ai.provider.name": "provider",
    "gen_ai.system": "provider",
    "openai.response.system_fingerprint": "system_fingerprint",
    "gen_ai.openai.response.system_fingerprint": "system_fingerprint",
    "gen_ai.openai.system_fingerprint": "system_fingerprint",
}


def _details(step: Step, attributes: Json) -> None:
    """The event that holds the same attributes as the span: what it says goes first."""
    for event in step.span.events:
        if event.name in _DETAILS:
            body = event.body if isinstance(event.body, dict) else {}
            told = {**attributes, **body, **event.attributes}
            for run in _WITHOUT_EVENTS.bound(told, has_events=True):
                run(step, told)


def _kind(step: Step, attributes: Json) -> None:
    if step.kind is not None:
        return
    operation = pick(attributes, "gen_ai.operation.name")
    if operation is not None:
        step.kind = _KINDS.get(str(operation), "other")
    elif pick(attributes, "gen_ai.tool.name") is not None:
        step.kind = "tool"
    elif pick(attributes, "gen_ai.request.model") is not None:
        step.kind = "llm"


def _tool(step: Step, attributes: Json) -> None:
    if step.kind != "tool":
        return
    step.fill_tool(
        text_or_none(attributes.get("gen_ai.tool.call.id")),
        text_or_none(attributes.get("gen_ai.tool.name")),
        as_text(attributes.get("gen_ai.tool.call.arguments")),
        as_text(attributes.get("gen_ai.tool.call.result")),
    )


def _flat(step: Step, attributes: Json) -> None:
    _first_dialect(step, attributes.get("gen_ai.prompt"), attributes.get("gen_ai.completion"))


def _first_dialect(step: Step, prompt: Any, completion: Any) -> None:
    request, answer = from_json(prompt), from_json(completion)
    received, sent = messages_of(request), messages_of(answer)
    if not received and isinstance(request, str) and step.kind == "llm":
        received = [Message("user", request)]
    if not sent and isinstance(answer, str) and step.kind == "llm":
        sent = [Message("assistant", answer)]
    step.converse(received, sent)
    step.ask(None if received else request)
    step.reply(None if sent else answer)


def _events(step: Step, _: Json) -> None:
    """The dialects that write messages as events (on the span, or as log records that name it)."""
    received: list[Message] = []
    sent: list[Message] = []
    for event in sorted(_all_events(step), key=lambda event: event.time_us):
        if event.name == "gen_ai.content.prompt":
            _first_dialect(step, event.attributes.get("gen_ai.prompt"), None)
        elif event.name == "gen_ai.content.completion":
            _first_dialect(step, None, event.attributes.get("gen_ai.completion"))
        elif event.name in _EVENT_ROLES:
            message = _event_message(event, _EVENT_ROLES[event.name])
            received += [message] if message else []
        elif event.name == "gen_ai.choice":
            message = _choice(event)
            sent += [message] if message else []
    if received or sent:
        step.fill(kind="llm")
        step.converse(received, sent[:1])


def _all_events(step: Step) -> list[SpanEvent]:
    """Events of the span, and those that PydanticAI keeps in an attribute."""
    listed = as_list(step.span.attributes.get("events")) or []
    kept = [
        SpanEvent(str(item.get("event.name")), order, item, None)
        for order, item in enumerate(map(as_dict, listed))
        if item is not None and item.get("event.name")
    ]
    return [*step.span.events, *kept]


def _fields(event: SpanEvent) -> dict[str, Any]:
    body = as_dict(event.body) or {}
    return {**event.attributes, **body}


def _event_message(event: SpanEvent, role: str) -> Message | None:
    fields = _fields(event)
    if event.body is not None and not isinstance(event.body, dict):
        fields["content"] = event.body
    fields["role"] = role
    return message_of(fields)


def _choice(event: SpanEvent) -> Message | None:
    fields = _fields(event)
    message = as_dict(fields.get("message"))
    inner = message if message is not None else fields
    text = fields.get("message") if isinstance(fields.get("message"), str) and message is None else None
    built = {**inner, "role": "assistant"}
    if text is not None:
        built["content"] = text
    for name in ("finish_reason", "tool_calls"):
        if fields.get(name) is not None:
            built.setdefault(name, fields[name])
    return message_of(built)


_ATTRIBUTES = (
    does(_kind, "gen_ai.operation.name", "gen_ai.tool.name", "gen_ai.request.model"),
    hears("received", "gen_ai.input.messages"),
    hears("sent", "gen_ai.output.messages"),
    fills("model", text_or_none, "gen_ai.request.model"),
    fills("served_model", text_or_none, "gen_ai.response.model"),
    fills("finish_reason", first_of, "gen_ai.response.finish_reasons"),
    fills("input_tokens", whole, "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    fills("output_tokens", whole, "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
    fills("reasoning_tokens", whole, *_REASONING),
    fills("cost_usd", amount, "gen_ai.usage.cost", "gen_ai.usage.total_cost", "operation.cost"),
    fills("session_id", id_text, "gen_ai.conversation.id", "session.id"),
    fills("user_id", id_text, "user.id", "enduser.id", "gen_ai.user.id"),
    does(_flat, "gen_ai.prompt", "gen_ai.completion"),
    does(_tool, "gen_ai.tool.call.id", "gen_ai.tool.name", "gen_ai.tool.call.arguments", "gen_ai.tool.call.result"),
    *facets(_FACETS),
    fingerprint("tools.hash", "gen_ai.tool.definitions"),
    fingerprint("instructions.hash", "gen_ai.system_instructions"),
)
_NAMESPACES = frozenset({"gen_ai", "events"})
_WITHOUT_EVENTS = Dialect(_NAMESPACES, _ATTRIBUTES)

DIALECT = Dialect(_NAMESPACES, (does(_details, on_events=True), *_ATTRIBUTES, does(_events, "events", on_events=True)))
