"""From the log to turns: bodies are decoded, spans wait for their trace, turns come out, each span once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from unquiet.conventions.bodies import BodyReader
from unquiet.conventions.drafts import TurnDraft, table_of
from unquiet.conventions.evaluations import evaluation_row, verdicts_of
from unquiet.conventions.live_traces import Complete, LiveTraces
from unquiet.conventions.otlp import Telemetry, read_json, read_resource_logs
from unquiet.model.bodies import Body, BodyKind
from unquiet.model.rejections import ReadReport
from unquiet.model.spans import Span
from unquiet.model.turns import empty_turns
from unquiet.service.putting_aside import NOT_ITS_FAULT, PuttingAside
from unquiet.service.span_keys import Keys, span_keys
from unquiet.sources.evals.rows import results_table
from unquiet.sources.protocol import ReadOptions, misplaced
from unquiet.sources.turn_rows import TurnRows
from unquiet.wal import START, Entry, Position

BoolArray = npt.NDArray[np.bool_]
Unknown = Callable[[Keys], BoolArray]
"""Which of some keys of spans are not known yet; of equal ones only the first is unknown."""

TURNS_DOOR = Path("turns")
CLOSED_AT_ONCE = 256
SET_BACK_US = 60_000_000
"""Bodies that arrive at once may be stamped in another order; a clock that is behind by more than this was set back."""


@dataclass(frozen=True, slots=True)
class Drained:
    """What came out of the log: turns, keys of the spans that are done with, counts, and `verdicts`: rows of EVAL_RESULTS.

    `position` is where the log must be read from after a restart: before it everything is in `turns` or counted. `counted`
    is up to where what was read is in `counts`: open traces are read again, and then not counted again.
    """

    turns: pa.Table
    span_keys: Keys
    counts: Counter[str]
    position: Position
    counted: Position
    verdicts: pa.Table


@dataclass(slots=True)
class Drain:
    """Takes entries of the log in order, gives turns. Not for several threads at once.

    What becomes of an entry depends on the log alone, not on how much of it is taken in at once: traces are closed by the
    moments at which bodies arrived.

    `unknown` asks the store which spans it does not have: what `take` gave must be there before more is added. What is read
    up to `counted` was counted before. Beyond `held_bytes_max` of open traces the oldest are closed.
    `seen` is called with what each body of telemetry held. What cannot be read goes `aside`, and the next is read.
    """

    traces: LiveTraces[Position]
    unknown: Unknown
    position: Position
    counted: Position = START
    held_bytes_max: int = 64 << 20
    _at_us: int = 0
    _ahead_us: int = 0
    _done: list[Keys] = field(default_factory=list[Keys])
    _traces: list[str] = field(default_factory=list[str])
    _spans: list[str] = field(default_factory=list[str])
    _drafts: list[TurnDraft] = field(default_factory=list[TurnDraft])
    _tables: list[pa.Table] = field(default_factory=list[pa.Table])
    _counts: Counter[str] = field(default_factory=Counter[str])
    _verdicts: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    _known_here: set[int] = field(default_factory=set[int])
    seen: Callable[[Telemetry, Body], None] | None = None
    aside: PuttingAside = field(default_factory=PuttingAside)
    _reader: BodyReader = field(default_factory=BodyReader)

    def add(self, entries: Sequence[Entry]) -> None:
        """Take in entries as they follow each other in the log."""
        for entry in entries:
            start, self.position = self.position, entry.end
            if entry.body is not None:
                self._close_ready(entry.body.arrived_us)
                self._finish_closed()
            known = (self._counts.copy(), self.traces.duplicate_count) if self.position <= self.counted else None
            if entry.body is None:
                self._counts["damaged records"] += 1
                self._counts["damaged bytes"] += entry.bytes_lost
            elif entry.body.kind is not BodyKind.TURNS_JSONL or known is None:  # else its turns were stored then
                self._take_body(entry.body, start)
            if known is not None:
                self._counts, self.traces.duplicate_count = known

    def _take_body(self, body: Body, start: Position) -> None:
        try:
            if body.kind is BodyKind.TURNS_JSONL:
                self._take_rows(body)
            else:
                self._take(self._telemetry(body), body, start)
        except NOT_ITS_FAULT:
            raise
        except Exception as error:  # noqa: BLE001 - it would end every start; it is kept, counted and told
            self.aside.body(body, self.position, error, self._counts)

    def _close_ready(self, now_us: int) -> None:
        options = ReadOptions(now_us=now_us)
        for complete in self.traces.ready(self._clock_s(now_us)):
            self._complete(complete, options)

    def _clock_s(self, now_us: int) -> float:
        """A moment by a clock that does not run backwards, also where the system's was set back."""
        at_us = now_us + self._ahead_us
        if at_us < self._at_us - SET_BACK_US:
            self._ahead_us += self._at_us - at_us
        self._at_us = max(self._at_us, at_us)
        return self._at_us / 1e6

    def _take(self, found: Telemetry, body: Body, start: Position) -> None:
        self._counts["rejected spans"] += len(found.rejected)
        self._counts["log records without a span"] += found.log_count
        self._judged(found, body)
        bearers = [bearer for _, bearer in found.events]
        every = [*found.spans, *bearers]
        if not every:
            return
        if self.seen is not None:
            self.seen(found, body)
        size = len(body.payload) // len(every)
        at = self._clock_s(body.arrived_us)
        fresh = self._fresh(found.spans)
        late = self._belongs_to_done(found.spans, fresh)
        for span, new, behind in zip(found.spans, fresh.tolist(), late.tolist(), strict=True):
            if not new:
                self._counts["duplicate spans"] += 1
            elif not behind:
                self.traces.add(span, at, start, size)
        known = ~self._ask(span_keys([b.trace_id for b in bearers], [b.span_id for b in bearers]))
        for (event, bearer), behind in zip(found.events, known.tolist(), strict=True):
            if behind:
                self._counts["late log records"] += 1
            else:
                self.traces.add_event(event, bearer, at, start, size)

    def _judged(self, found: Telemetry, body: Body) -> None:
        """Take what judges said: of a turn, not part of it, so that it need not wait for its trace."""
        options = ReadOptions(now_us=body.arrived_us)
        for event, span in verdicts_of(found.spans, found.verdicts):
            try:
                row = evaluation_row(event, span)
            except ValueError:
                self._counts["rejected evaluation results: no evaluator"] += 1
                continue
            flaw = misplaced(row["time"], options)
            if flaw is None:
                self._verdicts.append(row)
                self._counts["evaluation results"] += 1
            else:
                self._counts[f"rejected evaluation results: {flaw[0]}"] += 1

    def _fresh(self, spans: Sequence[Span]) -> BoolArray:
        """Which spans are neither in the store nor done with since the last commit."""
        return self._ask(span_keys([s.trace_id for s in spans], [s.span_id for s in spans]))

    def _ask(self, keys: Keys) -> BoolArray:
        """True for keys that are not done with; asked for distinct ones, because equal ones may come together."""
        distinct, place = np.unique(keys, return_inverse=True)
        new = self.unknown(distinct)
        if self._known_here:
            new &= np.array([key not in self._known_here for key in distinct.tolist()], bool)
        return new[place]

    def _belongs_to_done(self, spans: Sequence[Span], fresh: BoolArray) -> BoolArray:
        """Spans whose parent was made into a turn before: too late for it, and no turn of their own."""
        late = np.zeros(len(spans), bool)
        rows = [i for i, span in enumerate(spans) if span.parent_id and fresh[i]]
        if not rows:
            return late
        traces = [spans[i].trace_id for i in rows]
        parents = span_keys(traces, [spans[i].parent_id or "" for i in rows])
        own = span_keys(traces, [spans[i].span_id for i in rows])
        count = -1
        while (behind := ~self._ask(parents)).sum() > count:
            # A child of a late span is late too, in whatever order they stand.
            count = int(behind.sum())
            self._finish(own[behind & self._ask(own)])
        self._counts["late spans"] += count
        late[rows] = behind
        if count:
            self._withdraw([spans[i] for i in np.flatnonzero(late).tolist()])
        return late

    def _withdraw(self, spans: Sequence[Span]) -> None:
        """What came before a late span and belongs to it is late, too."""
        ids: dict[str, list[str]] = {}
        for span in spans:
            ids.setdefault(span.trace_id, []).append(span.span_id)
        for trace_id, span_ids in ids.items():
            gone, event_count = self.traces.withdraw(trace_id, span_ids)
            self._finish(span_keys([trace_id] * len(gone), gone))
            self._counts["late spans"] += len(gone)
            self._counts["late log records"] += event_count

    def _finish_closed(self) -> None:
        """What was closed is done with."""
        if self._spans:
            self._finish(span_keys(self._traces, self._spans))
            self._traces, self._spans = [], []

    def _finish(self, keys: Keys) -> None:
        self._done.append(keys)
        self._known_here.update(keys.tolist())

    def _take_rows(self, body: Body) -> None:
        lines = [orjson.loads(line) for line in body.payload.splitlines() if line.strip()]
        if not lines:
            return
        report = ReadReport()
        rows = TurnRows(TURNS_DOOR, ReadOptions(now_us=body.arrived_us), report)
        names = dict.fromkeys(name for line in lines for name in line)
        columns = {name: [line.get(name) for line in lines] for name in names}
        self._tables.append(rows.build(columns, list(range(1, len(lines) + 1))))
        for kind, count in report.rejected.items():
            self._counts[f"rejected turns: {kind}"] += count

    def take(self, now_us: int, *, pinned: bool = False) -> Drained:
        """What is complete at a moment: now, or when the last entry came in as long as the log holds more.

        With `pinned` the oldest traces are closed: they hold the log up.
        """
        self._close_ready(now_us)
        options = ReadOptions(now_us=now_us)
        if pinned or self.traces.size > self.held_bytes_max:
            # Those that lack no parent need not be waited for.
            for complete in self.traces.ready(self._at_us / 1e6 + self.traces.quiet_s):
                self._complete(complete, options)
        while pinned or self.traces.size > self.held_bytes_max:
            pinned = False
            for complete in self.traces.oldest(CLOSED_AT_ONCE):
                self._counts["traces closed early"] += 1
                self._complete(complete, options)
        self._finish_closed()
        self._tables += self._rows(now_us)
        self._counts["duplicate spans"] += self.traces.duplicate_count
        self.traces.duplicate_count = 0
        first = self.traces.first_mark()
        drained = Drained(
            pa.concat_tables(self._tables) if self._tables else empty_turns(),
            np.concatenate(self._done) if self._done else np.zeros(0, np.uint64),
            +self._counts,
            self.position if first is None else first,
            self.position,
            results_table(self._verdicts),
        )
        self._verdicts = []
        self._done, self._drafts, self._tables, self._counts = [], [], [], Counter()
        self._known_here.clear()
        return drained

    def _rows(self, now_us: int) -> list[pa.Table]:
        """The drafts as tables; those that cannot be rows are found by making each alone."""
        if not self._drafts:
            return []
        try:
            return [table_of(self._drafts)]
        except NOT_ITS_FAULT:
            raise
        except Exception:  # noqa: BLE001 - told of each draft that cannot be a row
            return [table for draft in self._drafts for table in self._row(draft, now_us)]

    def _row(self, draft: TurnDraft, now_us: int) -> list[pa.Table]:
        try:
            return [table_of([draft])]
        except NOT_ITS_FAULT:
            raise
        except Exception as error:  # noqa: BLE001 - as of a body
            self.aside.draft(draft, error, now_us, self._counts)
            return []

    def _telemetry(self, body: Body) -> Telemetry:
        """What the door has let in; it was decoded there before, so it can be decoded here."""
        if body.kind is BodyKind.TRACES_PROTO:
            return self._reader.read(body.payload)
        if body.kind is BodyKind.LOGS_PROTO:
            return read_resource_logs(ExportLogsServiceRequest.FromString(body.payload).resource_logs)
        return read_json(orjson.loads(body.payload))

    def flush(self, now_us: int) -> Drained:
        """Everything, complete or not."""
        options = ReadOptions(now_us=now_us)
        for complete in self.traces.oldest(len(self.traces)):
            self._complete(complete, options)
        return self.take(now_us)

    def _complete(self, complete: Complete, options: ReadOptions) -> None:
        count = len(complete.span_ids)
        self._traces += [complete.trace_id] * count
        self._spans += complete.span_ids
        self._counts["spans"] += count
        if complete.error is not None:
            self.aside.trace(complete, complete.error, options.now_us, self._counts)
        elif not complete.turns:
            self._counts["spans without an agent"] += count
        self._drafts += self._kept(complete.turns, options)

    def _kept(self, drafts: Iterable[TurnDraft], options: ReadOptions) -> list[TurnDraft]:
        kept: list[TurnDraft] = []
        for draft in drafts:
            flaw = misplaced(draft.time_us, options)
            if flaw is None:
                kept.append(draft)
            else:
                self._counts[f"rejected turns: {flaw[0]}"] += 1
        return kept
