"""What all files of spans share: spans in, tables of turns out, and what the report says of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from unquiet.conventions.drafts import TurnDraft, table_of
from unquiet.conventions.evaluations import verdicts_of
from unquiet.conventions.otlp import Telemetry
from unquiet.conventions.traces import Traces
from unquiet.model.rejections import ReadReport
from unquiet.model.spans import Span
from unquiet.sources.protocol import ReadOptions, misplaced

QUIET_SPANS = 20_000
"""A trace of which none of the next so many spans is a part is complete."""


@dataclass(slots=True)
class DraftTables:
    """Turn drafts of one file -> tables of bounded size; drafts whose time cannot be true are rejected."""

    path: Path
    options: ReadOptions
    report: ReadReport
    _waiting: list[TurnDraft] = field(default_factory=list[TurnDraft])

    def add(self, drafts: Iterable[TurnDraft]) -> Iterator[pa.Table]:
        """Take in drafts and give full tables."""
        for draft in drafts:
            flaw = misplaced(draft.time_us, self.options)
            if flaw is None:
                self._waiting.append(draft)
            else:
                kind, reason = flaw
                self.report.reject(f"{self.path}:{draft.place}", reason, kind)
        while len(self._waiting) >= self.options.batch_rows:
            yield self._table(self.options.batch_rows)

    def rest(self) -> Iterator[pa.Table]:
        """The last table."""
        if self._waiting:
            yield self._table(len(self._waiting))

    def _table(self, count: int) -> pa.Table:
        table = table_of(self._waiting[:count])
        del self._waiting[:count]
        self.report.turns += table.num_rows
        return table


def span_tables(
    path: Path, payloads: Iterable[tuple[str | int, Telemetry]], options: ReadOptions, report: ReadReport
) -> Iterator[pa.Table]:
    """The turns in payloads of telemetry, each with its place in the file."""
    tables = DraftTables(path, options, report)
    traces = Traces()
    metric_count = log_count = event_count = 0
    for place, payload in payloads:
        metric_count += payload.metric_count
        log_count += payload.log_count + len(payload.events)
        report.verdicts += sum(1 for _ in verdicts_of(payload.spans, payload.verdicts))
        for what, reason in payload.rejected:
            report.rows += 1
            report.reject(f"{path}:{place}: {what}", reason)
        for span in payload.spans:
            report.rows += 1
            if not traces.add(span, report.rows):
                _reject_late(path, place, span, report)
        for event, bearer in payload.events:
            event_count += 1
            if not traces.add_event(event, bearer, report.rows + event_count):
                _reject_late(path, place, bearer, report)
        yield from tables.add(traces.quiet(report.rows + event_count - QUIET_SPANS))
    yield from tables.add(traces.rest())
    yield from tables.rest()
    _note(path, report, traces, metric_count, log_count)
    if options.mapping:
        report.notes.append(f"{path}: --map was not used: it names columns of a turn table, and this file holds spans")


def _reject_late(path: Path, place: str | int, span: Span, report: ReadReport) -> None:
    report.reject(
        f"{path}:{place}: span {span.span_id}",
        f"the span belongs to trace {span.trace_id}, whose turns were made {QUIET_SPANS:,} spans before; "
        "sort the file by trace or by time",
        "late span",
    )


def _note(path: Path, report: ReadReport, traces: Traces, metric_count: int, log_count: int) -> None:
    other = traces.span_count - traces.agent_count
    if report.turns == 0 and not report.rejected:
        held = (
            [f"{traces.span_count:,} spans"]
            if traces.span_count or not (metric_count or log_count or report.verdicts)
            else []
        )
        held += [f"{log_count:,} log records"] if log_count else []
        held += [f"{report.verdicts:,} evaluation results"] if report.verdicts else []
        held += [f"{metric_count:,} metrics"] if metric_count else []
        report.notes.append(f"{path}: {', '.join(held)}, none of an agent")
    elif other > 0:
        report.notes.append(f"{path}: {other:,} of {traces.span_count:,} spans are in traces without an agent")
