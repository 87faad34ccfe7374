"""The evals door: reports of evaluation suites become tables of eval results.

A format is one class of the protocol `Source` (its tables follow EVAL_RESULTS) in a file of its own, and a line in
`EVAL_FORMATS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from unquiet.sources.evals.deepeval import DeepEval
from unquiet.sources.evals.inspect_log import InspectResults
from unquiet.sources.evals.junit import JUnit
from unquiet.sources.evals.promptfoo import Promptfoo
from unquiet.sources.evals.pytest_json import PytestJson
from unquiet.sources.protocol import ReadOptions, Source
from unquiet.sources.reading import FileRead, read_with

__all__ = ["EVAL_FORMATS", "read_evals"]

EVAL_FORMATS: tuple[Source, ...] = (JUnit(), Promptfoo(), InspectResults(), DeepEval(), PytestJson())
"""The formats; where two are equally sure, the first reads the file."""


def read_evals(paths: Sequence[Path | str], *, now: datetime | None = None) -> Iterator[FileRead]:
    """Every file of the paths as `(path, tables of eval results, report)`; see `unquiet.sources.read_files`.

    Raises:
        UnreadableSource: a path leads nowhere, or the only file cannot be read (raised while iterating).
    """
    at = now or datetime.now(UTC)
    return read_with(EVAL_FORMATS, paths, ReadOptions(round(at.timestamp() * 1_000_000)))
