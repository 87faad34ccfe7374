"""Spans that no exporter in its right mind would write: every dialect at once, values of any shape.

All from a seed. Used to hold the reading of spans to the turns that it has always given.
"""

from __future__ import annotations

import json
import random
from typing import Any

from unquiet.model.spans import Span, SpanEvent

_TEXTS = (
    "hi", "", " ", "yo\nyo", "naïve ☂", "x" * 130, "\ud800broken", '"quoted"', "unknown_service:x", "7", "0", "-3", "1.5",
    "stop", "tool_calls", "SAFETY", "chat", "LLM", "true", "{", "[1, 2", "{'a': 'b'}", "['x']",
    "[{'role': 'user', 'content': 'py'}]",
    '{"input": "asked", "n": 1}', '{"output": "said"}', '["a", "b"]', "{}", "[]", "[[]]", "null",
)  # fmt: skip
_SCALARS = (None, True, False, 0, 1, 42, -1, 2**53, 0.5, 12.0, float("inf"), 0.25)
_CALL = {"type": "tool_call", "id": "c1", "name": "find", "arguments": {"q": 1}}
_MESSAGES: tuple[Any, ...] = (
    {"role": "user", "content": "hello"},
    {"role": "user", "parts": [{"type": "text", "content": "which one?"}, {"type": "text", "text": "this?"}]},
    {"role": "system", "parts": [{"type": "text", "content": "be kind"}]},
    {"role": "developer", "content": [{"type": "input_text", "text": "be brief"}]},
    {"role": "assistant", "parts": [_CALL, {"type": "reasoning", "content": "hm"}], "finish_reason": "tool_calls"},
    {"role": "assistant", "content": None, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"q": 1}'}},
        {"id": "c2", "function": {"name": "book", "arguments": "{}"}}]},
    {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": {"rows": [1]}}]},
    {"role": "tool", "tool_call_id": "c2", "content": "booked", "name": "book"},
    {"role": "tool", "content": "lost", "status": "error", "id": "c9"},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "r", "is_error": True}]},
    {"role": "assistant", "content": "done", "finish_reason": "stop"},
    {"role": "assistant", "content": None, "refusal": "no"},
    {"message": {"role": "assistant", "content": "inner"}, "finish_reason": "length"},
    {"role": "model", "parts": [{"text": "gem"}, {"functionCall": {"name": "find", "args": {"q": 1}}}]},
    {"role": "ai", "content": "old", "function_call": {"name": "find", "arguments": "{}"}},
    {"type": "human", "data": {"content": "lc"}}, {"id": ["x", "AIMessageChunk"], "kwargs": {"content": "lcs"}},
    {"toolName": "find", "toolCallId": "c1", "args": {"q": 1}}, {"toolName": "find", "result": 3},
    {"role": "stranger", "content": "?"}, {"type": "tool_use", "name": "book", "input": {}}, "bare", 7, None, [],
    {"type": "function_call_output", "call_id": "c2", "output": [{"type": "text", "text": "out"}]},
    {"role": "assistant", "parts": "text parts", "response_metadata": {"finish_reason": "max"}},
)  # fmt: skip
_NAME_LIST = """
gen_ai.operation.name gen_ai.tool.name gen_ai.request.model gen_ai.response.model gen_ai.input.messages
gen_ai.output.messages gen_ai.response.finish_reasons gen_ai.usage.input_tokens gen_ai.usage.prompt_tokens
gen_ai.usage.output_tokens gen_ai.usage.completion_tokens gen_ai.usage.reasoning_tokens gen_ai.usage.cost operation.cost
gen_ai.usage.reasoning.output_tokens
gen_ai.conversation.id session.id user.id enduser.id gen_ai.user.id gen_ai.prompt gen_ai.completion
gen_ai.tool.call.id gen_ai.tool.call.arguments gen_ai.tool.call.result gen_ai.agent.name gen_ai.agent.version
gen_ai.workflow.name gen_ai.prompt.name gen_ai.prompt.version gen_ai.request.reasoning.level gen_ai.provider.name
gen_ai.system openai.response.system_fingerprint gen_ai.openai.response.system_fingerprint gen_ai.tool.definitions
gen_ai.system_instructions events error.type openinference.span.kind span_kind llm.model_name llm.request.model_name
llm.response.model_name llm.invocation_parameters input.value output.value llm.finish_reason llm.token_count.prompt
llm.token_count.completion llm.token_count.completion_details.reasoning llm.cost.total llm.provider llm.system agent.name
llm.prompt_template.version llm.prompt_template.template metadata tool.name tool.id tool_call.id tool.parameters
tool_call.function.arguments llm.input_messages llm.output_messages llm.request.type traceloop.span.kind
traceloop.entity.input traceloop.entity.output traceloop.entity.name traceloop.workflow.name traceloop.prompt.key
traceloop.prompt.version traceloop.prompt.version_name traceloop.prompt.version_hash traceloop.association.properties.user_id
traceloop.association.properties.thread_id traceloop.association.properties.plan gen_ai.response.finish_reason
llm.usage.prompt_tokens llm.usage.completion_tokens llm.usage.reasoning_tokens langsmith.span.kind langsmith.inputs
langsmith.outputs langsmith.metadata langsmith.metadata.thread_id langsmith.metadata.ls_model_name
langsmith.metadata.ls_provider langsmith.metadata.revision_id langfuse.observation.type langfuse.observation.input
langfuse.observation.output langfuse.observation.usage_details langfuse.observation.cost_details langfuse.session.id
langfuse.user.id langfuse.observation.model.name langfuse.observation.level langfuse.observation.status_message
langfuse.release langfuse.version langfuse.environment langfuse.observation.prompt.name langfuse.trace.name
langfuse.trace.metadata langfuse.observation.metadata langfuse.trace.metadata.tier langfuse.trace.metadata.sessionId
ai.operationId ai.toolCall.id ai.toolCall.name ai.toolCall.args ai.toolCall.result ai.prompt.messages ai.prompt
ai.response.text ai.response.object ai.response.toolCalls ai.response.finishReason ai.model.id ai.response.model
ai.usage.inputTokens ai.usage.completionTokens ai.usage.reasoningTokens ai.model.provider ai.telemetry.functionId
ai.prompt.tools ai.telemetry.metadata.userId ai.telemetry.metadata.team pydantic_ai.all_messages all_messages_events
final_result gcp.vertex.agent.tool_response gcp.vertex.agent.tool_call_id gcp.vertex.agent.tool_call_args
gcp.vertex.agent.llm_request gcp.vertex.agent.llm_response gcp.vertex.agent.session_id mlflow.spanType mlflow.spanInputs
mlflow.spanOutputs agent_name service.name service.version deployment.environment tenant.id app.locale plan http.route
tool message custom.long gen_ai ai llm langsmith traceloop
"""
_NAMES = tuple(_NAME_LIST.split())
_INDEXED = (
    ("llm.input_messages", "message."), ("llm.output_messages", "message."), ("gen_ai.prompt", ""), ("gen_ai.completion", ""),
)  # fmt: skip
_LEAVES = (
    "role", "content", "name", "tool_call_id", "finish_reason", "contents.0.message_content.type",
    "contents.0.message_content.text", "contents.1.message_content.text", "tool_calls.0.tool_call.function.name",
    "tool_calls.0.tool_call.function.arguments", "tool_calls.0.tool_call.id", "tool_calls.0.name", "tool_calls.0.arguments",
    "content.deeper", "",
)  # fmt: skip
_ROLES = ("system", "user", "assistant", "tool")
_KINDS = {
    "gen_ai.operation.name": ("chat", "invoke_agent", "execute_tool", "embeddings", "plan", "new"),
    "openinference.span.kind": ("LLM", "AGENT", "CHAIN", "TOOL", "EVALUATOR", "llm", "odd"),
    "traceloop.span.kind": ("workflow", "task", "tool", "agent", "odd"),
    "langsmith.span.kind": ("llm", "chain", "tool", "odd"),
    "langfuse.observation.type": ("GENERATION", "agent", "chain", "tool", "evaluator", "span"),
    "ai.operationId": ("ai.generateText", "ai.toolCall", "ai.generateText.doGenerate", "odd"),
    "mlflow.spanType": ('"CHAT_MODEL"', "AGENT", "CHAIN", "TOOL", "odd"),
    "llm.request.type": ("chat", "completion", "rerank"),
}
_EVENTS = (
    "gen_ai.system.message", "gen_ai.user.message", "gen_ai.assistant.message", "gen_ai.tool.message", "gen_ai.choice",
    "gen_ai.content.prompt", "gen_ai.content.completion", "gen_ai.client.inference.operation.details", "exception", "",
)  # fmt: skip


def _messages(rng: random.Random) -> Any:
    listed = [rng.choice(_MESSAGES) for _ in range(rng.randrange(5))]
    shape = rng.randrange(9)
    if shape < 4:
        return listed
    if shape == 4:
        return {"messages": listed, "system": "be kind"}
    if shape == 5:
        return {
            "choices": [{"message": item, "finish_reason": "stop"} for item in listed],
            "model": "served",
            "usage": {"input_tokens": 3},
        }
    if shape == 6:
        return {
            "candidates": [{"content": item if isinstance(item, dict) else {}, "finishReason": 1} for item in listed]
        }
    if shape == 7:
        return {"generations": [[{"text": "gen", "message": item} for item in listed]], "output": listed}
    return {"content": [{"type": "text", "text": "anth"}], "stop_reason": "end", "model": "m", "prompt": "p"}


def value(rng: random.Random) -> Any:
    """An attribute's value."""
    kind = rng.randrange(10)
    if kind < 3:
        return rng.choice(_TEXTS)
    if kind == 3:
        return rng.choice(_SCALARS)
    if kind == 4:
        return {"input": 3, "total": 0.125, "session_id": "s9", "tier": "gold", "args": ["one"], "output": "o"}
    if kind == 5:
        return [rng.choice(_TEXTS) for _ in range(rng.randrange(3))]
    made = _messages(rng)
    return made if kind == 6 else repr(made) if kind == 7 else json.dumps(made)


def attributes(rng: random.Random) -> dict[str, Any]:
    """Attributes of one span, in any order."""
    found: dict[str, Any] = {}
    for name in rng.sample(sorted(_KINDS), rng.choice((0, 1, 1, 1, 2, 4))):
        found[name] = rng.choice(_KINDS[name])
    for name in rng.sample(_NAMES, rng.choice((0, 2, 5, 9, 14, 60))):
        found.setdefault(name, value(rng))
    for prefix, inner in rng.sample(_INDEXED, rng.choice((0, 0, 1, 2))):
        for index in range(rng.randrange(1, 4)):
            number = rng.choice((str(index), str(index), str(index), "10", "x"))
            found[f"{prefix}.{number}.{inner}role"] = rng.choice(_ROLES)
            for leaf in rng.sample(_LEAVES, rng.randrange(4)):
                found[f"{prefix}.{number}.{inner}{leaf}"] = value(rng)
    for name in ("llm.tools.0.tool.json_schema", "llm.request.functions.0.name", "llm.prompts.0.prompt.text"):
        if rng.random() < 0.1:
            found[name] = rng.choice(_TEXTS)
    items = list(found.items())
    rng.shuffle(items)
    return dict(items)


def _event(rng: random.Random) -> SpanEvent:
    fields = {"content": rng.choice(_TEXTS), "gen_ai.prompt": value(rng), "message": value(rng), "id": "c1"}
    kept = {name: fields[name] for name in rng.sample(sorted(fields), rng.randrange(4))}
    if rng.random() < 0.3:
        kept |= attributes(rng)
    return SpanEvent(
        rng.choice(_EVENTS), rng.randrange(9), kept, rng.choice((None, None, "body", _MESSAGES[0], {"message": "m"}))
    )


def trace(seed: int) -> list[Span]:
    """A trace: a few spans, parents that form trees, circles or are missing, some sent twice."""
    rng = random.Random(seed)
    ids = [f"s{i}" for i in range(rng.choice((1, 2, 3, 5, 9)))]
    resource = {name: rng.choice(_TEXTS) for name in ("service.name", "service.version", "langfuse.release", "other")}
    spans: list[Span] = []
    for number, ident in enumerate(ids):
        above = rng.choice((None, *ids[:number], *ids[:number], ids[-1], "gone"))
        start = 1_000_000 + rng.randrange(6)
        spans.append(
            Span(
                f"t{seed}", ident, above, rng.choice(("execute_tool find", "chat", "")), start,
                rng.choice((None, start, start + 5, start + 7)), rng.choice((None, None, None, "", "boom")),
                attributes(rng), tuple(_event(rng) for _ in range(rng.choice((0, 0, 0, 1, 3)))), resource,
            )
        )  # fmt: skip
    if rng.random() < 0.2:
        spans.append(rng.choice(spans))
    rng.shuffle(spans)
    return spans


def plain(seed: int) -> list[Span]:
    """A trace as a sane agent writes it, in one dialect, with a tool loop; hits the everyday paths."""
    rng = random.Random(seed)
    common = {"session.id": f"session {seed // 3}", "user.id": "u", "tenant.id": rng.choice("abc"), "app.locale": "de"}
    history: list[Any] = [_MESSAGES[2], {"role": "user", "parts": [{"type": "text", "content": rng.choice(_TEXTS)}]}]
    spans = [_span(seed, 0, {**common, "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "clerk"})]
    for step in range(rng.randrange(1, 5)):
        wish = {"role": "assistant", "parts": [{**_CALL, "id": f"c{step}"}]}
        sent = [wish] if rng.random() < 0.6 else [_MESSAGES[10]]
        spans.append(_span(seed, len(spans), {
            **common, "gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": step,
            "gen_ai.input.messages": json.dumps(history), "gen_ai.output.messages": json.dumps(sent)}))  # fmt: skip
        answer = {"role": "tool", "parts": [{"type": "tool_call_response", "id": f"c{step}", "response": f"r{step}"}]}
        history = [*history, *sent, answer]
        spans.append(_span(seed, len(spans), {
            **common, "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "find", "gen_ai.tool.call.id": f"c{step}",
            "gen_ai.tool.call.result": rng.choice(_TEXTS)}))  # fmt: skip
    return spans


def _span(seed: int, number: int, attributes: dict[str, Any]) -> Span:
    start = 1_000_000 + number
    return Span(f"p{seed}", f"s{number}", "s0" if number else None, "step", start, start + 9, None, attributes)
