"""The evals door: reports of evaluation suites become tables of eval results.

A format is one class of the protocol `Source` (its tables follow EVAL_RESULTS) in a file of its own, and a line in
`EVAL_FORMATS`.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from unquiet.model.errors import UnreadableSource
from unquiet.model.rejections import ReadReport, Rejection
from unquiet.sources.evals.deepeval import DeepEval
from unquiet.sources.evals.inspect_log import InspectResults
from unquiet.sources.evals.junit import JUnit
from unquiet.sources.evals.otlp_results import OtlpResults
from unquiet.sources.evals.promptfoo import Promptfoo
from unquiet.sources.evals.pytest_json import PytestJson
from unquiet.sources.otlp_file import OtlpJson, OtlpProto
from unquiet.sources.protocol import ReadOptions, Source
from unquiet.sources.reading import FileRead, read_with

__all__ = ["EVAL_FORMATS", "read_content", "read_evals"]

EVAL_FORMATS: tuple[Source, ...] = (
    JUnit(),
    Promptfoo(),
    InspectResults(),
    DeepEval(),
    PytestJson(),
    OtlpResults(OtlpJson()),
    OtlpResults(OtlpProto()),
)
"""The formats; where two are equally sure, the first reads the file."""


CONTENT_LIMIT_BYTES = 64 * 1024 * 1024
"""What a report that was sent may hold when it is decompressed."""


_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


def read_content(name: str, content: bytes, now_us: int) -> list[FileRead]:
    """A report that was sent: like `read_evals` of a file with this name, read to its end.

    Raises:
        UnreadableSource: it cannot be read.
    """
    options = ReadOptions(now_us, whole_limit_bytes=CONTENT_LIMIT_BYTES)
    with tempfile.TemporaryDirectory(prefix="unquiet-") as folder:
        path = Path(folder) / (_UNSAFE.sub("_", name)[-100:].lstrip(".") or "report")
        path.write_bytes(content)
        os.utime(path, (now_us / 1e6, now_us / 1e6))
        try:
            reads = [(read, list(read.tables)) for read in read_with(EVAL_FORMATS, [path], options)]
        except UnreadableSource as error:
            raise UnreadableSource(str(error).replace(f"{folder}{os.sep}", "")) from error
    return [FileRead(Path(name), iter(tables), _without(read.report, f"{folder}{os.sep}")) for read, tables in reads]


def _without(report: ReadReport, folder: str) -> ReadReport:
    """A report whose places do not name the folder."""
    report.notes = [note.replace(folder, "") for note in report.notes]
    report.examples = [Rejection(each.where.replace(folder, ""), each.reason) for each in report.examples]
    return report


def read_evals(paths: Sequence[Path | str], *, now: datetime | None = None) -> Iterator[FileRead]:
    """Every file of the paths as `(path, tables of eval results, report)`; see `unquiet.sources.read_files`.

    Raises:
        UnreadableSource: a path leads nowhere, or the only file cannot be read (raised while iterating).
    """
    at = now or datetime.now(UTC)
    return read_with(EVAL_FORMATS, paths, ReadOptions(round(at.timestamp() * 1_000_000)))
