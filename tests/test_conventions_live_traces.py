"""Live traces: when each is complete, what it waits for, what is twice there, what is taken out again."""

from __future__ import annotations

from unquiet.conventions.live_traces import LiveTraces
from unquiet.model.spans import Span, SpanEvent

QUIET_S, LONGEST_S = 10.0, 900.0
AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "clerk", "gen_ai.conversation.id": "c"}
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}


def span(ident: str, parent: str | None = None, *, trace: str = "t", remote: bool = False) -> Span:
    attributes = AGENT if parent is None or remote else CHAT
    return Span(trace, ident, parent, ident, 1_000_000, 2_000_000, attributes=attributes, remote_parent=remote)


def said(text: str) -> SpanEvent:
    return SpanEvent("gen_ai.user.message", 1_500_000, {}, {"content": text})


def live(*spans: Span, at: float = 0.0) -> LiveTraces[int]:
    traces = LiveTraces[int](QUIET_S, LONGEST_S)
    for place, each in enumerate(spans):
        traces.add(each, at, place, 100)
    return traces


def closed(traces: LiveTraces[int], now: float) -> list[tuple[str, ...]]:
    return [complete.span_ids for complete in traces.ready(now)]


def test_a_trace_is_complete_when_it_is_quiet() -> None:
    traces = live(span("a"), span("b", "a"))
    assert closed(traces, 9.9) == []
    assert closed(traces, 10.0) == [("a", "b")]
    assert (len(traces), traces.size, traces.first_mark()) == (0, 0, None)


def test_what_comes_keeps_a_trace_open() -> None:
    traces = live(span("a"))
    traces.add(span("b", "a"), 8.0, 1, 100)
    assert closed(traces, 17.9) == []
    assert closed(traces, 18.0) == [("a", "b")]


def test_a_parent_is_waited_for_and_one_elsewhere_is_not() -> None:
    traces = live(span("b", "a"), span("x", "away", trace="u", remote=True))
    assert closed(traces, 100.0) == [("x",)]
    assert closed(traces, LONGEST_S - 0.1) == []
    assert closed(traces, LONGEST_S) == [("b",)]


def test_a_parent_that_comes_ends_the_waiting() -> None:
    traces = live(span("b", "a"))
    assert closed(traces, 100.0) == []
    traces.add(span("a"), 100.0, 1, 100)
    assert closed(traces, 109.0) == []
    (complete,) = traces.ready(110.0)
    assert complete.span_ids == ("b", "a")
    assert [turn.turn_id for turn in complete.turns] == ["t:a"]


def test_the_span_that_an_event_speaks_of_is_waited_for() -> None:
    """Records of a log are sent while a span lasts, the span when it has ended."""
    traces = LiveTraces[int](QUIET_S, LONGEST_S)
    traces.add_event(said("hello"), span("b", "a"), 0.0, 0, 10)
    assert closed(traces, 60.0) == []
    traces.add(span("b", "a"), 60.0, 1, 100)
    traces.add(span("a"), 60.0, 1, 100)
    (complete,) = traces.ready(70.0)
    assert complete.span_ids == ("b", "a")
    assert [turn.input for turn in complete.turns] == ["hello"]


def test_an_event_whose_span_never_comes_is_let_go() -> None:
    traces = LiveTraces[int](QUIET_S, LONGEST_S)
    traces.add_event(said("hello"), span("b"), 0.0, 0, 10)
    assert closed(traces, LONGEST_S) == [("b",)]
    assert len(traces) == 0


def test_duplicates_are_dropped_and_counted() -> None:
    traces = live(span("a"), span("a"))
    for _ in range(2):
        traces.add_event(said("hello"), span("a"), 1.0, 2, 10)
    traces.add_event(said("again"), span("a"), 1.0, 2, 10)
    assert traces.duplicate_count == 2
    (complete,) = traces.ready(11.0)
    assert complete.span_ids == ("a",)


class Compared:
    """A value that counts how often it is compared."""

    count = 0

    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        Compared.count += 1
        return isinstance(other, Compared) and self.number == other.number

    def __hash__(self) -> int:
        return self.number

    def __repr__(self) -> str:
        return str(self.number)


def test_a_trace_of_many_events_is_not_compared_event_by_event() -> None:
    traces = live(span("a"))
    for _ in range(2):
        for number in range(300):
            traces.add_event(SpanEvent("said", 5, {"n": Compared(number)}), span("a"), 1.0, 2, 10)
    assert traces.duplicate_count == 300
    assert Compared.count == 0


def test_what_is_twice_there_is_so_in_any_order_of_attributes_and_of_its_own_span_only() -> None:
    traces = live(span("a"), span("b", "a"))
    for attributes in ({"x": 1, "y": "2"}, {"y": "2", "x": 1}, {"y": "2", "x": "1"}):
        traces.add_event(SpanEvent("said", 5, attributes), span("a"), 1.0, 2, 10)
    traces.add_event(SpanEvent("said", 5, {"x": 1, "y": "2"}), span("b"), 1.0, 2, 10)
    assert traces.duplicate_count == 1


def test_the_first_mark_is_that_of_the_oldest_open_trace() -> None:
    traces = live(span("b", "a"), span("x", trace="u"), span("y", trace="v"))
    assert traces.first_mark() == 0
    assert closed(traces, 10.0) == [("x",), ("y",)]
    assert traces.first_mark() == 0
    traces.add(span("z", trace="w"), 11.0, 7, 100)
    assert [complete.trace_id for complete in traces.oldest(1)] == ["t"]
    assert traces.first_mark() == 7


def test_what_is_below_a_span_is_taken_out() -> None:
    traces = live(span("c", "b"), span("d", "c"), span("x", "missing"))
    traces.add_event(said("hello"), span("d"), 0.0, 3, 10)
    traces.add_event(said("hello"), span("b"), 0.0, 3, 10)
    traces.add_event(said("hello"), span("x"), 0.0, 3, 10)
    assert traces.withdraw("t", ["b"]) == (["c", "d"], 2)
    traces.add(span("missing"), 1.0, 4, 100)
    assert closed(traces, 11.0) == [("x", "missing")]


def test_a_trace_from_which_all_is_taken_out_is_no_more() -> None:
    traces = live(span("c", "b"))
    assert traces.withdraw("t", ["b"]) == (["c"], 0)
    assert traces.withdraw("t", ["b"]) == ([], 0)
    assert (len(traces), traces.size, traces.first_mark()) == (0, 0, None)
    assert closed(traces, LONGEST_S) == []


def test_a_ring_of_parents_ends() -> None:
    traces = live(span("a", "b"), span("b", "a"))
    assert traces.withdraw("t", ["a"]) == (["b", "a"], 0)
