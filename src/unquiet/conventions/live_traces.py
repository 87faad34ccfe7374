"""Spans as they come in -> turns, each when its trace is complete."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Generic, TypeVar

from unquiet.conventions.drafts import TurnDraft
from unquiet.conventions.span_turns import turns_of
from unquiet.conventions.steps import Seen
from unquiet.conventions.traces import keep_span, with_events
from unquiet.model.spans import Span, SpanEvent

Mark = TypeVar("Mark")
"""What the caller must keep for an open trace: where its first span was read."""


@dataclass(frozen=True, slots=True)
class Complete:
    """A trace that is over: its spans (and those that only events named) and the turns that they make.

    `error` is why no turns could be made of it, None where they could; `spans` and `events` are what it held then.
    """

    trace_id: str
    span_ids: tuple[str, ...]
    turns: list[TurnDraft]
    error: Exception | None = None
    spans: tuple[Span, ...] = ()
    events: tuple[tuple[str, SpanEvent, Span], ...] = ()


@dataclass(slots=True)
class _Open(Generic[Mark]):
    first: Mark
    touched: float = 0.0
    spans: dict[str, Span] = field(default_factory=dict[str, Span])
    events: list[tuple[str, SpanEvent, Span]] = field(default_factory=list[tuple[str, SpanEvent, Span]])
    told: dict[str, set[bytes]] = field(default_factory=dict[str, set[bytes]])
    missing: set[str] = field(default_factory=set[str])
    size: int = 0


@dataclass(slots=True)
class LiveTraces(Generic[Mark]):
    """Traces of which more may come.

    A trace is complete when nothing of it has come for `quiet_s` and it waits for no span: for no parent and for none that
    an event speaks of, which is sent when it ends; or when nothing has come for `longest_s`. A parent in another program is
    not waited for. A span or an event that is there already is dropped and counted. `at` is any clock in seconds that does
    not run backwards.
    """

    quiet_s: float
    longest_s: float
    duplicate_count: int = 0
    size: int = 0
    _open: dict[str, _Open[Mark]] = field(default_factory=dict[str, _Open[Mark]])
    _active: OrderedDict[str, None] = field(default_factory=OrderedDict[str, None])
    _parentless: OrderedDict[str, None] = field(default_factory=OrderedDict[str, None])
    _seen: Seen = field(default_factory=Seen)
    _last: _Open[Mark] | None = None

    def __len__(self) -> int:
        return len(self._open)

    def add(self, span: Span, at: float, mark: Mark, size: int) -> None:
        """Take in a span that was read at `mark` and holds about `size` bytes."""
        trace = self._touched(span.trace_id, at, mark, size)
        if not keep_span(trace.spans, span):
            self.duplicate_count += 1
            return
        trace.missing.discard(span.span_id)
        parent = span.parent_id
        if parent and parent not in trace.spans and not span.remote_parent:
            trace.missing.add(parent)

    def add_event(self, event: SpanEvent, of: Span, at: float, mark: Mark, size: int) -> None:
        """Take in a log record; `of` bears the ids and the resource of the span that it speaks of."""
        trace = self._touched(of.trace_id, at, mark, size)
        told, digest = trace.told.setdefault(of.span_id, set()), _digest(event)
        if digest in told:
            self.duplicate_count += 1
            return
        told.add(digest)
        trace.events.append((of.span_id, event, of))
        if of.span_id not in trace.spans:
            trace.missing.add(of.span_id)

    def withdraw(self, trace_id: str, span_ids: Iterable[str]) -> tuple[list[str], int]:
        """Take what belongs to spans that are no part of an open trace out of it: all below them, and the events of all.

        Gives the ids of the spans that were taken out, and how many events were.
        """
        trace = self._open.get(trace_id)
        if trace is None:
            return [], 0
        above, gone = set(span_ids), list[str]()
        while below := [each for each, span in trace.spans.items() if span.parent_id in above]:
            gone += below
            above.update(below)
            for each in below:
                del trace.spans[each]
        count = len(trace.events)
        trace.events = [each for each in trace.events if each[0] not in above]
        trace.told = {span_id: told for span_id, told in trace.told.items() if span_id not in above}
        trace.missing = {span_id for span_id, _, _ in trace.events if span_id not in trace.spans}
        trace.missing.update(parent for span in trace.spans.values() if (parent := _awaited(span)) not in trace.spans)
        trace.missing.discard("")
        if not trace.spans and not trace.events:
            self._forget(trace_id)
        return gone, count - len(trace.events)

    def _touched(self, trace_id: str, at: float, mark: Mark, size: int) -> _Open[Mark]:
        trace = self._open.get(trace_id)
        self.size += size
        if trace is not None and trace is self._last and trace.touched == at:
            # The spans of a trace mostly come one after the other: it is the last of the active ones already.
            trace.size += size
            return trace
        if trace is None:
            trace = self._open[trace_id] = _Open(mark)
        self._last = trace
        trace.touched = at
        trace.size += size
        self._parentless.pop(trace_id, None)
        self._active[trace_id] = None
        self._active.move_to_end(trace_id)
        return trace

    def ready(self, now: float) -> Iterator[Complete]:
        """Close the traces that are complete by now."""
        while self._active:
            trace_id = next(iter(self._active))
            trace = self._open[trace_id]
            if trace.touched > now - self.quiet_s:
                break
            if trace.missing:
                self._last = None
                del self._active[trace_id]
                self._parentless[trace_id] = None
            else:
                yield self._close(trace_id)
        while self._parentless:
            trace_id = next(iter(self._parentless))
            if self._open[trace_id].touched > now - self.longest_s:
                break
            yield self._close(trace_id)

    def oldest(self, count: int) -> Iterator[Complete]:
        """Close the traces that were opened first, complete or not."""
        for trace_id in list(self._open)[:count]:
            yield self._close(trace_id)

    def first_mark(self) -> Mark | None:
        """The mark of the trace that was opened first of those that are open."""
        return next(iter(self._open.values())).first if self._open else None

    def _close(self, trace_id: str) -> Complete:
        trace = self._forget(trace_id)
        named = trace.spans
        if trace.events:
            named = dict.fromkeys((*trace.spans, *(span_id for span_id, _, _ in trace.events)))
        try:
            turns = turns_of(with_events(trace.spans.values(), trace.events), self._seen)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - told to the caller: one trace must not keep all others from being read
            return Complete(trace_id, tuple(named), [], error, tuple(trace.spans.values()), tuple(trace.events))
        return Complete(trace_id, tuple(named), turns)

    def _forget(self, trace_id: str) -> _Open[Mark]:
        trace, self._last = self._open.pop(trace_id), None
        self._active.pop(trace_id, None)
        self._parentless.pop(trace_id, None)
        self.size -= trace.size
        return trace


def _digest(event: SpanEvent) -> bytes:
    """What is equal for an event that is sent again: events hold lists and objects, which have no hash."""
    content = (event.name, event.time_us, sorted(event.attributes.items()), event.body)
    return blake2b(repr(content).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _awaited(span: Span) -> str:
    """The parent that a trace waits for because of a span, an empty text where it does not."""
    return "" if span.remote_parent else span.parent_id or ""
