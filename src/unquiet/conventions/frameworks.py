"""Frameworks with attributes of their own: Vercel AI SDK, PydanticAI and Logfire, Google ADK, MLflow."""

from __future__ import annotations

from typing import Any

from unquiet.conventions.messages import Message, as_dict, as_list, as_text, call_of, from_json, text_or_none
from unquiet.conventions.payloads import messages_of
from unquiet.conventions.steps import Step, StepKind, nested, pick, whole

_VERCEL_OUTER = frozenset({"ai.generateText", "ai.streamText", "ai.generateObject", "ai.streamObject"})
_MLFLOW: dict[str, StepKind] = {
    "CHAT_MODEL": "llm",
    "LLM": "llm",
    "AGENT": "agent",
    "CHAIN": "chain",
    "TOOL": "tool",
}


def read(step: Step) -> None:
    """Fill in what the span says in these dialects."""
    attributes = step.span.attributes
    if pick(attributes, "ai.operationId") is not None:
        _vercel(step, attributes)
    if pick(attributes, "pydantic_ai.all_messages", "all_messages_events", "final_result") is not None:
        _pydantic(step, attributes)
    if any(name.startswith("gcp.vertex.agent.") for name in attributes):
        _google(step, attributes)
    if pick(attributes, "mlflow.spanType", "mlflow.spanInputs") is not None:
        _mlflow(step, attributes)
    step.facet("agent.name", pick(attributes, "agent_name"))


def _vercel(step: Step, attributes: Any) -> None:
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
    step.fill(
        received=messages_of(pick(attributes, "ai.prompt.messages", "ai.prompt")),
        sent=_vercel_answer(attributes),
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


def _vercel_answer(attributes: Any) -> list[Message]:
    text = pick(attributes, "ai.response.text", "ai.response.object", "ai.result.text")
    listed = as_list(pick(attributes, "ai.response.toolCalls", "ai.result.toolCalls")) or []
    calls = tuple(call_of(call) for call in map(as_dict, listed) if call is not None)
    return [Message("assistant", as_text(text), calls)] if text is not None or calls else []


def _pydantic(step: Step, attributes: Any) -> None:
    step.fill(kind="agent")
    history = messages_of(pick(attributes, "pydantic_ai.all_messages", "all_messages_events"))
    step.fill(received=history, sent=history, answer=from_json(attributes.get("final_result")))


def _google(step: Step, attributes: Any) -> None:
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
        step.fill(kind="llm", received=messages_of(request))
    if answer:
        content = as_dict(answer.get("content"))
        step.fill(sent=messages_of({"candidates": [{**answer, "content": content}]}) if content else None)
    step.metadata({"session_id": attributes.get("gcp.vertex.agent.session_id")})


def _mlflow(step: Step, attributes: Any) -> None:
    kind = _MLFLOW.get(str(from_json(attributes.get("mlflow.spanType"))).strip('"').upper())
    request, answer = (
        from_json(attributes.get("mlflow.spanInputs")),
        from_json(attributes.get("mlflow.spanOutputs")),
    )
    step.fill(kind=kind, request=request, answer=answer)
    if step.kind == "tool":
        step.fill_tool(name=step.span.name, arguments=as_text(request), result=as_text(answer))
    elif step.kind == "llm":
        step.fill(received=messages_of(request), sent=messages_of(answer))
