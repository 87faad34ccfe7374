"""Evaluation results in OTLP files: log records and events on spans, named `gen_ai.evaluation.result`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from unquiet.conventions.evaluations import TOOL, evaluation_row, verdicts_of
from unquiet.model.rejections import ReadReport
from unquiet.sources.evals.rows import Results
from unquiet.sources.glimpse import Glimpse
from unquiet.sources.otlp_file import OtlpJson, OtlpProto
from unquiet.sources.protocol import ReadOptions


class OtlpResults:
    """The evaluation results in files of a form of OTLP; the spans in them are traffic and left alone."""

    def __init__(self, form: OtlpJson | OtlpProto) -> None:
        self._form = form
        self.name = f"evaluation results in {form.name}"

    def sniff(self, glimpse: Glimpse) -> float:
        """As sure as the source of turns."""
        return self._form.sniff(glimpse)

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """One result an event."""
        results = Results(path, TOOL, options, report)
        for place, payload in self._form.payloads(path, options, report):
            for event, span in verdicts_of(payload.spans, payload.verdicts):
                try:
                    row = evaluation_row(event, span)
                except ValueError as error:
                    results.reject(place, str(error), "unreadable evaluation result")
                else:
                    yield from results.add(place, row)
        yield from results.rest()
