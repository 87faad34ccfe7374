"""When a trace is complete, what is counted, and that nothing a span says can stop the reading."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from unquiet.conventions.drafts import table_of
from unquiet.conventions.live_traces import LiveTraces
from unquiet.conventions.span_turns import turns_of
from unquiet.model.spans import Span

QUIET_S, LONGEST_S = 10.0, 100.0


def agent(trace: str = "t", ident: str = "a", parent: str | None = None, **more: Any) -> Span:
    attributes = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.output.messages": [{"role": "assistant", "content": "yo"}],
    }
    return Span(trace, ident, parent, "agent", 1, 2, attributes={**attributes, **more.pop("attributes", {})}, **more)


class Clocked:
    """Live traces that are told of spans by their moment alone."""

    def __init__(self, quiet_s: float = QUIET_S, longest_s: float = LONGEST_S) -> None:
        self.traces = LiveTraces[float](quiet_s, longest_s)

    def add(self, span: Span, at: float) -> None:
        self.traces.add(span, at, at, 100)

    def ready(self, now: float) -> list[str]:
        return [turn.turn_id for complete in self.traces.ready(now) for turn in complete.turns]


def test_a_trace_is_complete_when_quiet() -> None:
    traces = Clocked()
    traces.add(agent(), 0)
    traces.add(agent(ident="b", parent="a"), 5)
    assert traces.ready(14.9) == []
    assert traces.ready(15) == ["t:a"]
    assert traces.ready(99) == []


def test_a_missing_parent_is_waited_for() -> None:
    traces = Clocked()
    traces.add(agent(ident="b", parent="a"), 0)
    assert traces.ready(50) == []
    traces.add(agent(), 60)
    assert traces.ready(65) == []
    assert traces.ready(70) == ["t:a"]


def test_a_parent_that_never_comes_is_not_waited_for_longer_than_said() -> None:
    traces = Clocked()
    traces.add(agent(ident="b", parent="gone"), 0)
    assert [traces.ready(at) for at in (20, 99.9, 100)] == [[], [], ["t:b"]]


def test_a_parent_in_another_process_is_not_waited_for() -> None:
    traces = Clocked()
    traces.add(agent(ident="b", parent="gone", remote_parent=True), 0)
    assert traces.ready(10) == ["t:b"]


def test_a_trace_that_lacks_a_parent_does_not_hold_up_the_others() -> None:
    traces = Clocked()
    traces.add(agent("u", "b", "gone"), 0)
    for number in range(5):
        traces.add(agent(f"t{number}"), number)
    assert traces.ready(12) == ["t0:a", "t1:a", "t2:a"]
    assert traces.traces.first_mark() == 0
    assert traces.ready(100) == ["t3:a", "t4:a", "u:b"]
    assert traces.traces.first_mark() is None


def test_a_call_costs_what_changed_and_not_what_is_open() -> None:
    traces = Clocked()
    for number in range(2000):
        traces.add(agent(f"w{number}", "b", "gone"), 0)
    assert traces.ready(10) == []
    looked: list[str] = []
    active, waiting = traces.traces._active, traces.traces._parentless
    assert (len(active), len(waiting)) == (0, 2000)
    for at in range(11, 60):
        traces.add(agent(f"t{at}"), at)
        looked += traces.ready(at)
        # Those that wait stay where they are: only the first of each list is looked at.
        assert next(iter(waiting)) == "w0"
        assert len(waiting) == 2000
    assert looked == [f"t{at}:a" for at in range(11, 50)]


def test_doubles_are_dropped_and_counted() -> None:
    traces = Clocked()
    still = replace(agent(), end_us=None)
    for one in (still, agent(), still, agent()):
        traces.add(one, 0)
    assert traces.traces.duplicate_count == 3
    (complete,) = traces.traces.ready(QUIET_S)
    assert complete.span_ids == ("a",)
    assert complete.turns[0].latency_ms == 0.001


def test_what_is_open_is_measured_and_can_be_closed_early() -> None:
    traces = Clocked()
    for number in range(3):
        traces.add(agent(f"t{number}"), number)
    assert (len(traces.traces), traces.traces.size) == (3, 300)
    assert [complete.trace_id for complete in traces.traces.oldest(2)] == ["t0", "t1"]
    assert (len(traces.traces), traces.traces.size, traces.traces.first_mark()) == (1, 100, 2)


def chain(trace: str, length: int) -> list[Span]:
    return [agent(trace, f"s{i}", f"s{i - 1}" if i else None) for i in range(length)]


@pytest.mark.parametrize("seed", range(5))
def test_any_order_of_arrival_gives_the_same_turns(seed: int) -> None:
    rng = random.Random(seed)
    spans = [one for trace in range(20) for one in chain(f"t{trace}", rng.randrange(1, 6))]
    expected = sorted(
        turn.turn_id for trace in range(20) for turn in turns_of(s for s in spans if s.trace_id == f"t{trace}")
    )
    sent = spans + rng.sample(spans, 20)
    rng.shuffle(sent)
    traces = Clocked(4, 1e9)
    found: list[str] = []
    at = 0.0
    for one in sent:
        at += rng.random() * 1.2
        traces.add(one, at)
        found += traces.ready(at)
    found += traces.ready(at + 2e9)
    assert set(found) >= set(expected)
    assert (len(traces.traces), traces.traces.size) == (0, 0)


DEEP = "[" * 1000 + "]" * 1000
POISON: dict[str, Any] = {
    "deep roles": '{"role":' + DEEP[2:-2] + ',"type":' + DEEP[2:-2] + ',"parts":[{"type":' + DEEP[4:-4] + "}]}",
    "lists in lists": DEEP,
    "objects in objects": '{"text":' * 900 + "1" + "}" * 900,
    "calls in calls": '{"tool_call":' * 900 + "1" + "}" * 900,
    "objects in lists": '[{"content":' * 400 + "1" + "}]" * 400,
    "requests in requests": '[{"message":0,"input":' * 300 + "[]" + "}]" * 300,
    "lists of messages in messages": '[{"message":0,"messages":' * 300 + "[]" + "}]" * 300,
    "digits that are no number": "²",
    "a number of 5,000 digits": "9" * 5000,
    "a number beyond 64 bits": "9" * 30,
    "numbers as names": "{'a': 'b', 3: 4}",
    "a Python number beyond a float": "{'total': " + "9" * 400 + "}",
    "a lone surrogate": "\ud800",
    "no number": float("nan"),
}
_POISONED = """
gen_ai.input.messages gen_ai.output.messages gen_ai.prompt gen_ai.usage.input_tokens gen_ai.usage.cost gen_ai.tool.definitions
gen_ai.response.finish_reasons events input.value output.value llm.input_messages llm.invocation_parameters metadata llm.tools
llm.input_messages.0.message.content llm.input_messages.²4.message.role llm.output_messages.0.message.tool_calls.0.tool_call
traceloop.entity.input traceloop.entity.output langsmith.inputs langsmith.outputs langsmith.metadata langfuse.observation.input
langfuse.observation.usage_details langfuse.observation.cost_details langfuse.trace.metadata ai.prompt ai.response.toolCalls
pydantic_ai.all_messages final_result gcp.vertex.agent.llm_request gcp.vertex.agent.llm_response mlflow.spanInputs mlflow.spanType
"""


@pytest.mark.parametrize("name", POISON)
def test_no_value_stops_the_reading(name: str) -> None:
    kinds = [
        {"gen_ai.operation.name": kind, "openinference.span.kind": other, "langsmith.span.kind": "llm"}
        for kind, other in (("invoke_agent", "AGENT"), ("chat", "LLM"), ("execute_tool", "TOOL"), ("other", "CHAIN"))
    ] + [
        {"langfuse.observation.type": "generation"},
        {"traceloop.span.kind": "workflow"},
        {"ai.operationId": "ai.toolCall"},
    ]
    for attribute in _POISONED.split():
        for number, kind in enumerate(kinds):
            one = Span("t", str(number), None, "s", 1, 2, attributes={**kind, attribute: POISON[name]})
            table_of(turns_of([one, agent("t", "parent")])).validate(full=True)


def test_deep_names_and_deep_traces_are_read() -> None:
    deep = "llm.input_messages.0" + ".0" * 5000
    one = agent(attributes={"openinference.span.kind": "LLM", deep: "x", "llm.input_messages.0.message.role": "user"})
    assert len(turns_of([one])) == 1
    assert len(turns_of(chain("t", 3000))) == 1
