"""Spans of a file in any order -> turns, in bounded memory: traces are collected until they are quiet."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from unquiet.conventions.drafts import TurnDraft
from unquiet.conventions.span_turns import turns_of
from unquiet.conventions.steps import Seen
from unquiet.model.spans import Span, SpanEvent

REMEMBERED_TRACES = 200_000


@dataclass(slots=True)
class _OpenTrace:
    spans: dict[str, Span] = field(default_factory=dict[str, Span])
    events: list[tuple[str, SpanEvent, Span]] = field(default_factory=list[tuple[str, SpanEvent, Span]])
    touched: float = 0.0
    span_count: int = 0


@dataclass(slots=True)
class Traces:
    """Collects spans and log events by trace and gives back the turns of traces that are complete.

    `at` is any clock that does not run backwards: the number of spans seen so far. A trace is complete when nothing of it
    has come for a while (`quiet`); what comes later for it is counted in `late_count`, duplicates within it are dropped.
    `span_count` counts all spans, `agent_count` those of traces that held an agent.
    """

    span_count: int = 0
    late_count: int = 0
    agent_count: int = 0
    _open: OrderedDict[str, _OpenTrace] = field(default_factory=OrderedDict[str, _OpenTrace])
    _closed: OrderedDict[str, None] = field(default_factory=OrderedDict[str, None])
    _seen: Seen = field(default_factory=Seen)

    def add(self, span: Span, at: float) -> bool:
        """Take in a span; False where its trace is closed already."""
        self.span_count += 1
        trace = self._trace(span.trace_id, at)
        if trace is None:
            return False
        trace.span_count += 1
        keep_span(trace.spans, span)
        return True

    def add_event(self, event: SpanEvent, of: Span, at: float) -> bool:
        """Take in a log record; `of` bears the ids and the resource of the span that it speaks of."""
        trace = self._trace(of.trace_id, at)
        if trace is None:
            return False
        trace.events.append((of.span_id, event, of))
        return True

    def _trace(self, trace_id: str, at: float) -> _OpenTrace | None:
        if trace_id in self._closed:
            self.late_count += 1
            return None
        trace = self._open.setdefault(trace_id, _OpenTrace())
        trace.touched = at
        self._open.move_to_end(trace_id)
        return trace

    def quiet(self, before: float) -> list[TurnDraft]:
        """Close the traces last touched before a moment and give their turns."""
        turns: list[TurnDraft] = []
        while self._open:
            trace_id, trace = next(iter(self._open.items()))
            if trace.touched >= before:
                break
            turns += self._close(trace_id)
        return turns

    def rest(self) -> list[TurnDraft]:
        """Close all traces and give their turns."""
        return [turn for trace_id in list(self._open) for turn in self._close(trace_id)]

    def _close(self, trace_id: str) -> list[TurnDraft]:
        trace = self._open.pop(trace_id)
        self._closed[trace_id] = None
        if len(self._closed) > REMEMBERED_TRACES:
            self._closed.popitem(last=False)
        turns = turns_of(with_events(trace.spans.values(), trace.events), self._seen)
        if turns:
            self.agent_count += trace.span_count
        return turns


def keep_span(spans: dict[str, Span], span: Span) -> bool:
    """Add a span to those of its trace; False where it is there already. Of a span sent twice the one that ended counts."""
    known = spans.get(span.span_id)
    if known is not None and (known.end_us is not None or span.end_us is None):
        return False
    spans[span.span_id] = span
    return known is None


def with_events(spans: Iterable[Span], events: Iterable[tuple[str, SpanEvent, Span]]) -> list[Span]:
    """The spans with the log events that name them; events whose span never came make a span of their own."""
    spans = list(spans)
    if not events:
        return spans
    by_span: dict[str, list[SpanEvent]] = {}
    bearers: dict[str, Span] = {}
    for span_id, event, bearer in events:
        by_span.setdefault(span_id, []).append(event)
        bearers.setdefault(span_id, bearer)
    known = {span.span_id for span in spans}
    joined = [
        replace(span, events=(*span.events, *by_span[span.span_id])) if span.span_id in by_span else span
        for span in spans
    ]
    for span_id, found in by_span.items():
        if span_id not in known:
            times = [event.time_us for event in found]
            bearer = bearers[span_id]
            joined.append(replace(bearer, start_us=min(times), end_us=max(times), events=tuple(found)))
    return joined
