"""Frameworks with attributes of their own: Vercel AI SDK, PydanticAI and Logfire, Google ADK, MLflow."""

from __future__ import annotations

from unquiet.conventions.flat import nested
from unquiet.conventions.messages import Json, Message, as_dict, as_list, as_text, call_of, from_json, text_or_none
from unquiet.conventions.payloads import messages_of
from unquiet.conventions.rules import Dialect, does, facets
from unquiet.conventions.steps import Step, StepKind, messages_seen, pick, whole

_VERCEL_OUTER = frozenset({"ai.generateText", "ai.streamText", "ai.generateObject", "ai.streamObject"})
_HISTORIES = ("pydantic_ai.all_messages", "all_messages_events")
_MLFLOW: dict[str, StepKind] = {
    "CHAT_MODEL": "llm",
    "LLM": "llm",
    "AGENT": "agent",
    "CHAIN": "chain",
    "TOOL": "tool",
}


def _vercel(step: Step, attributes: Json) -> None:
    if pick(attributes, "ai.operationId") is None:
        return
    operation = str(attributes["ai.operationId"])
    # The outer call runs the tools and the inner calls of the model: one invocation of an agent.
    if operation in _VERCEL_OUTER:
        step.kind = "agent"
    elif operation == "ai.toolCall":
        step.kind = "tool"
        step.fill_tool(
            call_id=text_or_none(attributes.get("ai.toolCall.id")),
            name=text_or_none(attributes.get("ai.toolCall.name")),
            arguments=as_text(pick(attributes, "ai.toolCall.args", "ai.toolCall.input")),
            result=as_text(pick(attributes, "ai.toolCall.result", "ai.toolCall.output")),
        )
    elif operation.startswith(tuple(_VERCEL_OUTER)):
        step.fill(kind="llm")
    step.receive(messages_seen, pick(attributes, "ai.prompt.messages", "ai.prompt"))
    step.converse(None, _vercel_answer(attributes))
    step.fill(
        finish_reason=text_or_none(attributes.get("ai.response.finishReason")),
        model=text_or_none(attributes.get("ai.model.id")),
        served_model=text_or_none(attributes.get("ai.response.model")),
        input_tokens=whole(pick(attributes, "ai.usage.inputTokens", "ai.usage.promptTokens")),
        output_tokens=whole(pick(attributes, "ai.usage.outputTokens", "ai.usage.completionTokens")),
        reasoning_tokens=whole(attributes.get("ai.usage.reasoningTokens")),
    )
    step.facet("provider", attributes.get("ai.model.provider"))
    step.facet("function", attributes.get("ai.telemetry.functionId"))
    step.fingerprint("tools.hash", attributes.get("ai.prompt.tools"))
    step.metadata(nested(attributes, "ai.telemetry.metadata"))


def _vercel_answer(attributes: Json) -> list[Message]:
    text = pick(attributes, "ai.response.text", "ai.response.object", "ai.result.text")
    listed = as_list(pick(attributes, "ai.response.toolCalls", "ai.result.toolCalls")) or []
    calls = tuple(call_of(call) for call in map(as_dict, listed) if call is not None)
    return [Message("assistant", as_text(text), calls)] if text is not None or calls else []


def _pydantic(step: Step, attributes: Json) -> None:
    if pick(attributes, *_HISTORIES, "final_result") is None:
        return
    step.fill(kind="agent")
    history = pick(attributes, *_HISTORIES)
    step.receive(messages_seen, history)
    step.send(messages_seen, history)
    step.reply(attributes.get("final_result"), raw=True)


def _google(step: Step, attributes: Json) -> None:
    tool_response = attributes.get("gcp.vertex.agent.tool_response")
    if tool_response is not None:
        step.fill(kind="tool")
        step.fill_tool(
            call_id=text_or_none(attributes.get("gcp.vertex.agent.tool_call_id")),
            name=step.span.name.removeprefix("execute_tool "),
            arguments=as_text(attributes.get("gcp.vertex.agent.tool_call_args")),
            result=as_text(tool_response),
        )
        return
    request = attributes.get("gcp.vertex.agent.llm_request")
    answer = as_dict(attributes.get("gcp.vertex.agent.llm_response"))
    if request not in (None, "{}"):
        step.fill(kind="llm")
        step.receive(messages_seen, request)
    if answer:
        content = as_dict(answer.get("content"))
        step.converse(None, messages_of({"candidates": [{**answer, "content": content}]}) if content else None)
    step.metadata({"session_id": attributes.get("gcp.vertex.agent.session_id")})


def _mlflow(step: Step, attributes: Json) -> None:
    if pick(attributes, "mlflow.spanType", "mlflow.spanInputs") is None:
        return
    kind = _MLFLOW.get(str(from_json(attributes.get("mlflow.spanType"))).strip('"').upper())
    request, answer = (
        from_json(attributes.get("mlflow.spanInputs")),
        from_json(attributes.get("mlflow.spanOutputs")),
    )
    step.fill(kind=kind)
    step.ask(request)
    step.reply(answer)
    if step.kind == "tool":
        step.fill_tool(name=step.span.name, arguments=as_text(request), result=as_text(answer))
    elif step.kind == "llm":
        step.receive(messages_seen, request)
        step.send(messages_seen, answer)


DIALECTS = (
    Dialect(frozenset({"ai"}), (does(_vercel, "ai.operationId"),)),
    Dialect(
        frozenset({"pydantic_ai", "all_messages_events", "final_result"}),
        (does(_pydantic, *_HISTORIES, "final_result"),),
    ),
    Dialect(frozenset({"gcp"}), (does(_google, below=("gcp.vertex.agent.",)),)),
    Dialect(frozenset({"mlflow"}), (does(_mlflow, "mlflow.spanType", "mlflow.spanInputs"),)),
    Dialect(frozenset({"agent_name"}), facets({"agent_name": "agent.name"})),
)
