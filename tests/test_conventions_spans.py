"""Spans -> turns: loops, growing histories, late and doubled spans, content switched off, and every dialect by hand."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unquiet.conventions.drafts import TurnDraft, table_of
from unquiet.conventions.span_turns import turns_of
from unquiet.conventions.traces import Traces
from unquiet.model.spans import Span, SpanEvent
from unquiet.model.turns import TURNS

SECOND = 1_000_000


def span(ident: str, parent: str | None, start: float, end: float | None, **attributes: Any) -> Span:
    """A span of trace t, times in seconds."""
    extra: dict[str, Any] = attributes.pop("attributes", {})
    return Span(
        attributes.pop("trace", "t"), ident, parent, attributes.pop("name", ident), round(start * SECOND),
        None if end is None else round(end * SECOND), attributes.pop("error", None), extra,
        tuple(attributes.pop("events", ())), attributes.pop("resource", {}),
    )  # fmt: skip


def said(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def chat(
    ident: str, start: float, history: list[dict[str, Any]], answer: str, parent: str | None = None, **more: Any
) -> Span:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m",
        "gen_ai.input.messages": json.dumps(history),
        "gen_ai.output.messages": json.dumps([said("assistant", answer)]),
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 2,
        **more,
    }
    return span(ident, parent, start, start + 1, attributes=attributes)


AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "clerk"}


def loop() -> list[Span]:
    """An agent that calls two tools: one with an id, one without, and a wrapper that repeats its tokens."""
    call = {"role": "assistant", "parts": [
        {"type": "tool_call", "id": "c1", "name": "find", "arguments": {"q": 1}},
        {"type": "tool_call", "id": "c2", "name": "book", "arguments": {"id": 9}},
    ]}  # fmt: skip
    tool = {"gen_ai.operation.name": "execute_tool"}
    history = [said("system", "be kind"), said("user", "book it")]
    return [
        span("agent", None, 0, 9, attributes={**AGENT, "gen_ai.usage.input_tokens": 20, "gen_ai.usage.output_tokens": 4}),
        chat("c1", 1, history, "", "agent", **{"gen_ai.output.messages": [call]}),
        span("t1", "agent", 3, 4, attributes={**tool, "gen_ai.tool.name": "find", "gen_ai.tool.call.id": "c1",
                                             "gen_ai.tool.call.result": "found"}),
        span("t2", "agent", 4, 5, error="no seats", attributes={**tool, "gen_ai.tool.name": "book",
                                                                  "gen_ai.tool.call.arguments": '{"id": 9}'}),
        chat("c2", 6, [*history, call, {"role": "tool", "parts": [
            {"type": "tool_call_response", "id": "c1", "response": "found"}]}], "sorry", "agent"),
    ]  # fmt: skip


def test_an_agent_loop_is_one_turn() -> None:
    (turn,) = turns_of(loop())
    assert (turn.turn_id, turn.session_id, turn.input, turn.output) == ("t:agent", "t", "book it", "sorry")
    assert [(c.name, c.arguments, c.result, c.error) for c in turn.tool_calls or ()] == [
        ("find", '{"q":1}', "found", None),
        ("book", '{"id":9}', None, "no seats"),
    ]
    assert (turn.input_tokens, turn.output_tokens) == (20, 4)
    assert turn.latency_ms == 9000
    assert turn.error is None
    assert turn.facets["agent.name"] == "clerk"
    assert len(turn.facets["instructions.hash"]) == 12


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), copies=st.integers(1, 3))
def test_order_and_doubles_change_nothing(seed: int, copies: int) -> None:
    spans = loop() * copies
    random.Random(seed).shuffle(spans)
    assert turns_of(spans) == turns_of(loop())


def test_a_span_that_ended_replaces_the_one_still_open() -> None:
    still = span("agent", None, 0, None, attributes=AGENT)
    assert turns_of([still, *loop()[1:]])[0].latency_ms is None
    assert turns_of([still, *loop()]) == turns_of(loop())


def test_parents_in_a_circle_do_not_hang() -> None:
    spans = [
        span("a", "b", 0, 1, attributes=AGENT),
        span("b", "a", 0, 1),
        span("c", "c", 0, 1),
        chat("d", 0, [], "x", "a"),
    ]
    assert len(turns_of(spans)) == 1


def test_calls_with_one_growing_history_are_not_counted_twice() -> None:
    first = [said("user", "hi")]
    wants = {"role": "assistant", "parts": [{"type": "tool_call", "id": "c", "name": "find", "arguments": {}}]}
    result = {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "response": "7"}]}
    second = [*first, wants, result]
    third = [*second, said("assistant", "it is 7"), said("user", "and twice that?")]
    spans = [
        chat("1", 0, first, "", **{"gen_ai.output.messages": [wants]}),
        chat("2", 2, second, "it is 7"),
        chat("3", 60, third, "14"),
    ]
    one, two = turns_of(spans)
    assert (one.input, one.output, one.input_tokens, one.latency_ms) == ("hi", "it is 7", 20, 3000)
    assert [(c.name, c.result) for c in one.tool_calls or ()] == [("find", "7")]
    assert (two.input, two.output, two.tool_calls) == ("and twice that?", "14", [])
    assert one.session_id == two.session_id == "t"


def test_independent_calls_below_one_root_stay_apart() -> None:
    root = span("root", None, 0, 50, name="nightly batch")
    spans = [root, *(chat(str(i), i, [said("user", f"question {i}")], f"answer {i}", "root") for i in range(5))]
    assert [turn.output for turn in turns_of(spans)] == [f"answer {i}" for i in range(5)]


def test_a_retry_after_an_error_is_the_same_turn() -> None:
    history = [said("user", "hi")]
    failed = span("1", None, 0, 1, error="timeout", attributes={
        "gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.input.messages": history})  # fmt: skip
    (turn,) = turns_of([failed, chat("2", 2, history, "hello")])
    assert (turn.output, turn.error) == ("hello", None)
    (alone,) = turns_of([failed])
    assert (alone.output, alone.error) == (None, "timeout")


def test_a_root_around_several_conversations_is_only_a_container() -> None:
    outer = span("w", None, 0, 99, attributes={"traceloop.span.kind": "workflow"})
    agents = [
        span(f"a{i}", "w", i, i + 1, attributes={
            **AGENT, "gen_ai.conversation.id": f"c{i}", "gen_ai.input.messages": [said("user", "hi")]})
        for i in range(3)
    ]  # fmt: skip
    assert [turn.session_id for turn in turns_of([outer, *agents])] == ["c0", "c1", "c2"]


def test_a_sub_agent_belongs_to_its_callers_turn() -> None:
    inner = span("sub", "agent", 6, 7, attributes={**AGENT, "gen_ai.agent.name": "helper"})
    spans = [*loop(), inner, chat("c9", 6.2, [said("user", "sub task")], "done", "sub")]
    (turn,) = turns_of(spans)
    assert (turn.input, turn.input_tokens) == ("book it", 30)


def test_judges_answer_nobody() -> None:
    judge = span("j", None, 20, 21, attributes={"openinference.span.kind": "EVALUATOR"})
    inside = span("j2", "agent", 8, 8.5, attributes={"openinference.span.kind": "GUARDRAIL"})
    spans = [
        *loop(),
        judge,
        inside,
        chat("e1", 20, [said("user", "grade this")], "A", "j"),
        chat("e2", 8, [], "ok", "j2"),
    ]
    (turn,) = turns_of(spans)
    assert (turn.output, turn.input_tokens) == ("sorry", 20)


def test_with_content_switched_off_the_rest_is_still_there() -> None:
    bare = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 7}
    spans = [
        span("1", None, 0, 1, attributes={**bare, "gen_ai.response.finish_reasons": ["tool_calls"]}),
        span("2", None, 2, 3, attributes={**bare, "gen_ai.response.finish_reasons": ["stop"]}),
        span("3", None, 9, 10, attributes={**bare, "gen_ai.response.finish_reasons": ["refusal"]}),
    ]
    one, two = turns_of(spans)
    assert (one.input, one.output, one.tool_calls) == (None, None, None)
    assert (one.input_tokens, one.finish_reason, one.latency_ms) == (14, "stop", 3000)
    assert two.finish_reason == "refusal"


@pytest.mark.parametrize(
    ("told", "turn_count"),
    [
        ({"gen_ai.usage.output_tokens": 8}, 1),
        ({"gen_ai.response.finish_reasons": ["stop"]}, 1),
        ({"gen_ai.usage.input_tokens": 7}, 0),
        ({}, 0),
    ],
)
def test_an_agent_without_content_or_model_calls_is_a_turn_if_it_tells_of_an_answer(
    told: dict[str, Any], turn_count: int
) -> None:
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "clerk", "gen_ai.conversation.id": "c"}
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "find_order"}
    spans = [span("1", None, 0, 3, attributes={**agent, **told}), span("2", "1", 1, 2, attributes=tool)]
    turns = turns_of(spans)
    assert len(turns) == turn_count
    for turn in turns:
        assert (turn.session_id, turn.input, turn.output, turn.latency_ms) == ("c", None, None, 3000)
        assert [call.name for call in turn.tool_calls or ()] == ["find_order"]


def test_spans_of_something_else_make_no_turns() -> None:
    assert (
        turns_of(
            [
                span("a", None, 0, 1, attributes={"http.route": "/"}),
                span("b", "a", 0, 1, attributes={"db.system": "pg"}),
            ]
        )
        == []
    )
    embedding = span("e", None, 0, 1, attributes={"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "m"})
    assert turns_of([embedding]) == []


def test_what_may_have_changed_becomes_a_facet() -> None:
    attributes = {
        **AGENT, "gen_ai.agent.version": "12", "gen_ai.prompt.name": "clerk", "gen_ai.prompt.version": "v3",
        "gen_ai.tool.definitions": '[{"name": "find"}]', "gen_ai.system_instructions": [{"type": "text", "content": "be kind"}],
        "gen_ai.input.messages": [said("user", "hi")], "openai.response.system_fingerprint": "fp", "tenant": "acme",
        "http.route": "/chat", "essay": "x" * 500,
    }  # fmt: skip
    resource = {
        "service.name": "shop",
        "service.version": "1.2",
        "deployment.environment.name": "prod",
        "host.name": "h7",
    }
    root = span("root", None, 0, 9, attributes={"locale": "de", "tenant": "outer"}, resource=resource)
    (turn,) = turns_of([root, span("a", "root", 0, 1, attributes=attributes, resource=resource)])
    hashes = {name: turn.facets[name] for name in ("tools.hash", "instructions.hash")}
    assert all(len(value) == 12 and int(value, 16) >= 0 for value in hashes.values())
    assert {name: value for name, value in turn.facets.items() if name not in hashes} == {
        "agent.name": "clerk", "agent.version": "12", "prompt.name": "clerk", "prompt.version": "v3",
        "system_fingerprint": "fp", "tenant": "acme", "locale": "de", "service.name": "shop", "service.version": "1.2",
        "deployment.environment": "prod",
    }  # fmt: skip


OLDEST = {"gen_ai.system": "openai", "gen_ai.request.model": "m"}
DIALECTS: dict[str, Span] = {
    "1.27 events": span("a", None, 0, 1, attributes=OLDEST, events=[
        SpanEvent("gen_ai.content.prompt", 0, {"gen_ai.prompt": '[{"role": "user", "content": "hi"}]'}),
        SpanEvent("gen_ai.content.completion", 1, {"gen_ai.completion": '[{"role": "assistant", "content": "yo"}]'}),
    ]),
    "1.27 attributes": span("a", None, 0, 1, attributes={**OLDEST, "gen_ai.prompt": "hi", "gen_ai.completion": "yo"}),
    "1.28 span events": span("a", None, 0, 1, attributes=OLDEST, events=[
        SpanEvent("gen_ai.user.message", 0, {"content": "hi"}),
        SpanEvent("gen_ai.choice", 1, {"index": 0, "finish_reason": "stop", "message": '{"content": "yo"}'}),
    ]),
    "1.28 log bodies": span("a", None, 0, 1, attributes=OLDEST, events=[
        SpanEvent("gen_ai.user.message", 0, {"gen_ai.system": "openai"}, {"content": "hi"}),
        SpanEvent("gen_ai.choice", 1, {}, {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yo"}}),
    ]),
    "1.37": chat("a", 0, [said("user", "hi")], "yo"),
    "development, details in an event": span("a", None, 0, 1, attributes=OLDEST, events=[
        SpanEvent("gen_ai.client.inference.operation.details", 1, {
            "gen_ai.input.messages": [said("user", "hi")], "gen_ai.output.messages": [said("assistant", "yo")]}),
    ]),
    "traceloop, flattened": span("a", None, 0, 1, attributes={
        "llm.request.type": "chat", "gen_ai.prompt.0.role": "system", "gen_ai.prompt.0.content": "be kind",
        "gen_ai.prompt.1.role": "user", "gen_ai.prompt.1.content": "hi", "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.content": "yo", "gen_ai.completion.0.finish_reason": "stop"}),
    "openinference, flattened": span("a", None, 0, 1, attributes={
        "openinference.span.kind": "LLM", "llm.model_name": "m",
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.contents.0.message_content.type": "text",
        "llm.input_messages.0.message.contents.0.message_content.text": "hi",
        "llm.output_messages.0.message.role": "assistant", "llm.output_messages.0.message.content": "yo"}),
    "openinference, completions": span("a", None, 0, 1, attributes={
        "openinference.span.kind": "LLM", "llm.prompts.0.prompt.text": "hi", "llm.choices.0.completion.text": "yo"}),
    "vercel": span("a", None, 0, 1, attributes={
        "ai.operationId": "ai.generateText", "ai.prompt": '{"prompt": "hi"}', "ai.response.text": "yo"}),
    "google adk": span("a", None, 0, 1, attributes={
        "gen_ai.system": "gcp.vertex.agent",
        "gcp.vertex.agent.llm_request": '{"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}',
        "gcp.vertex.agent.llm_response": '{"content": {"role": "model", "parts": [{"text": "yo"}]}, "finish_reason": "STOP"}'}),
    "mlflow": span("a", None, 0, 1, attributes={
        "mlflow.spanType": '"CHAT_MODEL"', "mlflow.spanInputs": '{"messages": [{"role": "user", "content": "hi"}]}',
        "mlflow.spanOutputs": '{"choices": [{"message": {"role": "assistant", "content": "yo"}, "finish_reason": "stop"}]}'}),
    "logs without a span": span("a", None, 0, 0, events=[
        SpanEvent("gen_ai.user.message", 0, {}, {"content": "hi"}),
        SpanEvent("gen_ai.choice", 1, {}, {"message": {"content": "yo"}}),
    ]),
}  # fmt: skip


@pytest.mark.parametrize("name", DIALECTS)
def test_dialect(name: str) -> None:
    (turn,) = turns_of([DIALECTS[name]])
    assert (turn.input, turn.output) == ("hi", "yo")


@pytest.mark.parametrize("reason", ["refusal", "content_filter", "SAFETY", "guardrail_intervened"])
def test_finish_reasons_stay_as_the_provider_says(reason: str) -> None:
    (turn,) = turns_of([chat("a", 0, [said("user", "hi")], "no", **{"gen_ai.response.finish_reasons": [reason]})])
    assert turn.finish_reason == reason


def test_a_message_with_only_a_refusal_is_an_answer() -> None:
    message = {"role": "assistant", "content": None, "refusal": "I can't help with that."}
    (turn,) = turns_of([chat("a", 0, [said("user", "hi")], "", **{"gen_ai.output.messages": [message]})])
    assert turn.output == "I can't help with that."


def collect(spans: list[Span], window: int) -> tuple[list[TurnDraft], Traces]:
    traces = Traces()
    turns: list[TurnDraft] = []
    for at, one in enumerate(spans):
        traces.add(one, at)
        turns += traces.quiet(at - window)
    return turns + traces.rest(), traces


def test_traces_are_closed_when_quiet_and_late_spans_are_counted() -> None:
    many = [chat(f"s{i}", i, [said("user", str(i))], "a") for i in range(50)]
    spread = [
        Span(f"t{i}", s.span_id, None, s.name, s.start_us, s.end_us, attributes=s.attributes)
        for i, s in enumerate(many)
    ]
    late = Span("t0", "late", None, "x", 0, 1, attributes=many[0].attributes)
    turns, traces = collect([*spread, late], window=10)
    assert len(turns) == 50
    assert (traces.late_count, traces.span_count, traces.agent_count) == (1, 51, 50)
    assert collect(spread, window=10)[0] == collect(spread, window=1000)[0]


def test_log_events_join_their_span_in_any_order() -> None:
    bearer = span("a", None, 0, 0)
    events = [
        SpanEvent("gen_ai.user.message", 1, {}, {"content": "hi"}),
        SpanEvent("gen_ai.choice", 2, {}, {"message": {"content": "yo"}}),
    ]
    for order in (0, 1, 2):
        traces = Traces()
        for at in range(3):
            if at == order:
                traces.add(span("a", None, 0, 1, attributes=OLDEST), at)
            else:
                traces.add_event(events[at if at < order else at - 1], bearer, at)
        (turn,) = traces.rest()
        assert (turn.input, turn.output, turn.model) == ("hi", "yo", "m")


def test_drafts_become_a_valid_table() -> None:
    table = table_of([*turns_of(loop()), TurnDraft("x", "s", 0, "cut \ud83d", None)])
    assert table.schema.equals(TURNS)
    table.validate(full=True)
    assert table.column("input").to_pylist() == ["book it", "cut ?"]


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["role", "content", "parts", "type", "text", "message", "tool_calls", "function", "name", "arguments", "choices", "0"]
    ), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
NAMES = [
    "gen_ai.operation.name", "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.prompt", "gen_ai.completion",
    "gen_ai.prompt.0.role", "gen_ai.completion.0", "gen_ai.response.finish_reasons", "gen_ai.usage.input_tokens",
    "openinference.span.kind", "llm.input_messages", "llm.output_messages.0.message", "llm.tools", "metadata", "input.value",
    "output.value", "traceloop.span.kind", "traceloop.entity.input", "traceloop.association.properties.session_id",
    "langfuse.observation.type", "langfuse.observation.input", "langfuse.observation.usage_details", "langsmith.span.kind",
    "langsmith.inputs", "langsmith.outputs", "langsmith.metadata", "ai.operationId", "ai.prompt.messages",
    "ai.response.toolCalls", "pydantic_ai.all_messages", "gcp.vertex.agent.llm_response", "mlflow.spanInputs", "events",
    "session.id", "error.type",
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    attributes=st.dictionaries(
        st.sampled_from(NAMES), JUNK | JUNK.map(lambda v: json.dumps(v, default=str)), max_size=8
    ),
    kind=st.sampled_from(["chat", "invoke_agent", "execute_tool", "chain", None]),
)
def test_nothing_that_an_exporter_writes_breaks_the_reading(attributes: dict[str, Any], kind: str | None) -> None:
    named = {**attributes, "gen_ai.operation.name": kind} if kind else attributes
    spans = [
        span("a", None, 0, 1, attributes=AGENT),
        span("b", "a", 0, 1, attributes=named),
        span("c", None, 1, 2, attributes=named),
    ]
    table_of(turns_of(spans)).validate(full=True)


def test_reasoning_and_cost_are_added_up_over_the_calls() -> None:
    usage = {"gen_ai.usage.reasoning.output_tokens": 3, "gen_ai.usage.cost": 0.25}
    (turn,) = turns_of(
        [
            span("agent", None, 0, 9, attributes={**AGENT, "gen_ai.usage.cost": 9.0}),
            chat("c1", 1, [said("user", "hi")], "hello", "agent", **usage),
            chat("c2", 3, [said("user", "hi")], "hello", "agent", **usage),
        ]
    )
    assert (turn.reasoning_tokens, turn.cost_usd) == (6, 0.5)
    (turn,) = turns_of([chat("c1", 1, [said("user", "hi")], "hello", **{"gen_ai.usage.cost": "much"})])
    assert (turn.reasoning_tokens, turn.cost_usd) == (None, None)
