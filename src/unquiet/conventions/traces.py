"""Spans in any order -> turns, in bounded memory: traces are collected until they are complete."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, cast

from unquiet.conventions.drafts import TurnDraft
from unquiet.conventions.messages import Json
from unquiet.conventions.span_turns import turns_of
from unquiet.conventions.steps import Seen
from unquiet.model.spans import Span, SpanEvent

REMEMBERED_TRACES = 200_000
_SPAN_BYTES = 700
_ATTRIBUTE_BYTES = 120
"""What a span and an attribute take in memory beside their texts, about."""


class _OpenTrace:
    __slots__ = ("began", "events", "missing", "size", "span_count", "spans", "touched")

    def __init__(self, began: float) -> None:
        self.began = self.touched = began
        self.spans: dict[str, Span] = {}
        self.events: list[tuple[str, SpanEvent, Span]] = []
        self.missing: set[str] = set()
        self.span_count = self.size = 0


@dataclass(slots=True)
class Traces:
    """Collects spans and log events by trace and gives back the turns of traces that are complete.

    `at` is any clock that does not run backwards: seconds of arrival in a live receiver, the number of spans
    seen so far in a file. What comes for a trace after its turns were made is counted in `late_count`.
    `span_count` counts all spans, `duplicate_count` those that came for an open trace and were there already,
    `agent_count` all spans of traces that held an agent.

    `open_span_count` counts the spans that wait for their trace to be complete, `open_bytes` is about what
    these and their events take in memory.
    """

    span_count: int = 0
    late_count: int = 0
    duplicate_count: int = 0
    agent_count: int = 0
    open_span_count: int = 0
    open_bytes: int = 0
    _open: OrderedDict[str, _OpenTrace] = field(default_factory=OrderedDict[str, _OpenTrace])
    _fresh: OrderedDict[str, _OpenTrace] = field(default_factory=OrderedDict[str, _OpenTrace])
    _waiting: OrderedDict[str, _OpenTrace] = field(default_factory=OrderedDict[str, _OpenTrace])
    _closed: OrderedDict[str, None] = field(default_factory=OrderedDict[str, None])
    _seen: Seen = field(default_factory=Seen)
    # All open traces are in `_open`, by their beginning. Each is either in `_fresh` or, where it was found quiet
    # but lacks a parent, in `_waiting`; both are by the last touch, and all of `_waiting` were touched before
    # all of `_fresh`.

    def add(self, span: Span, at: float) -> bool:
        """Take in a span; False where its trace is closed already."""
        self.span_count += 1
        trace = self._trace(span.trace_id, at)
        if trace is None:
            return False
        trace.span_count += 1
        ident, above = span.span_id, span.parent_id
        known = trace.spans.get(ident)
        if known is not None:
            self.duplicate_count += 1
            # Of a span sent twice the one that ended counts.
            if known.end_us is None and span.end_us is not None:
                trace.spans[ident] = span
            return True
        trace.spans[ident] = span
        trace.missing.discard(ident)
        if above is not None and above not in trace.spans and not span.remote_parent:
            trace.missing.add(above)
        self.open_span_count += 1
        self._grow(trace, _span_size(span))
        return True

    def add_event(self, event: SpanEvent, of: Span, at: float) -> bool:
        """Take in a log record; `of` bears the ids and the resource of the span that it speaks of."""
        trace = self._trace(of.trace_id, at)
        if trace is None:
            return False
        trace.events.append((of.span_id, event, of))
        self._grow(trace, _event_size(event) + _SPAN_BYTES)
        return True

    def _grow(self, trace: _OpenTrace, size: int) -> None:
        trace.size += size
        self.open_bytes += size

    def _trace(self, trace_id: str, at: float) -> _OpenTrace | None:
        trace = self._open.get(trace_id)
        if trace is None:
            if trace_id in self._closed:
                self.late_count += 1
                return None
            trace = self._open[trace_id] = self._fresh[trace_id] = _OpenTrace(at)
        elif self._waiting.pop(trace_id, None) is not None:
            self._fresh[trace_id] = trace
        else:
            self._fresh.move_to_end(trace_id)
        trace.touched = at
        return trace

    def ready(self, now: float, quiet_s: float, longest_s: float) -> list[TurnDraft]:
        """Close the traces that are complete and give their turns.

        A trace is complete when nothing of it has come for `quiet_s` and none of its spans waits for a parent
        that has not come, or when nothing has come for `longest_s`. A parent that is known to lie in another
        process is not waited for. Takes time for traces that changed since the last call, not for all.
        """
        turns: list[TurnDraft] = []
        for trace_id, trace in _while_touched(self._fresh, now - min(quiet_s, longest_s)):
            if trace.missing:
                self._waiting[trace_id] = self._fresh.pop(trace_id)
            else:
                turns += self._close(trace_id)
        for trace_id, _ in _while_touched(self._waiting, now - longest_s):
            turns += self._close(trace_id)
        return turns

    def quiet(self, before: float) -> list[TurnDraft]:
        """Close the traces last touched before a moment, complete or not, and give their turns."""
        turns: list[TurnDraft] = []
        for traces in (self._waiting, self._fresh):
            for trace_id, trace in _while_touched(traces, before):
                if trace.touched == before:
                    break
                turns += self._close(trace_id)
        return turns

    def rest(self) -> list[TurnDraft]:
        """Close all traces and give their turns."""
        return [turn for trace_id in (*self._waiting, *self._fresh) for turn in self._close(trace_id)]

    def oldest_open(self) -> float | None:
        """When the first span or event came of the trace that has been open for longest; None where none is."""
        return next(iter(self._open.values())).began if self._open else None

    def _close(self, trace_id: str) -> list[TurnDraft]:
        trace = self._open.pop(trace_id)
        (self._fresh if trace_id in self._fresh else self._waiting).pop(trace_id)
        self.open_span_count -= len(trace.spans)
        self.open_bytes -= trace.size
        self._closed[trace_id] = None
        if len(self._closed) > REMEMBERED_TRACES:
            self._closed.popitem(last=False)
        spans = trace.spans.values()
        turns = turns_of(_with_events(list(spans), trace.events) if trace.events else spans, self._seen)
        if turns:
            self.agent_count += trace.span_count
        return turns


def _while_touched(traces: OrderedDict[str, _OpenTrace], until: float) -> Iterable[tuple[str, _OpenTrace]]:
    """The first of traces again and again, while it was touched at a moment or before; the caller takes it out."""
    while traces:
        trace_id, trace = next(iter(traces.items()))
        if trace.touched > until:
            return
        yield trace_id, trace


def _span_size(span: Span) -> int:
    """About the bytes that a span takes in memory; its resource is shared and left out."""
    size = _SPAN_BYTES + _size(span.attributes.values())
    return size + sum(map(_event_size, span.events)) if span.events else size


def _event_size(event: SpanEvent) -> int:
    return _SPAN_BYTES + _size(event.attributes.values()) + _size((event.body,))


def _size(values: Collection[Any]) -> int:
    size = _ATTRIBUTE_BYTES * len(values)
    for value in values:
        if isinstance(value, str):
            size += len(value)
        elif isinstance(value, dict):
            size += _size(cast("Json", value).values())
        elif isinstance(value, list):
            size += _size(cast("list[Any]", value))
    return size


def _with_events(spans: list[Span], events: Iterable[tuple[str, SpanEvent, Span]]) -> list[Span]:
    """The spans with the log events that name them; events whose span never came make a span of their own."""
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
