"""The turn table as CSV (comma, semicolon or tab), plain or compressed."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from unquiet.model.errors import UnreadableSource
from unquiet.model.rejections import ReadReport
from unquiet.sources.glimpse import Glimpse
from unquiet.sources.protocol import ReadOptions
from unquiet.sources.stream import Lines, read_head
from unquiet.sources.turn_rows import TurnRows, check_columns

_EMPTY_IS_TEXT = ("input", "output")


class CsvTurns:
    """Turn table in CSV. An empty cell is an empty message in `input` and `output`, no value elsewhere."""

    name = "turn table (CSV)"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure with session and time in the header, otherwise the last resort for text."""
        if glimpse.shape != "text":
            return 0.0
        return 0.8 if glimpse.has("session_id", "time") else 0.1

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Turns in the order of the rows."""
        rows = TurnRows(path, options, report)
        texts = {options.mapping.get(name, name) for name in _EMPTY_IS_TEXT}
        checked = False
        for columns, places in CsvColumns(path, options, report, frozenset(texts)):
            if not checked:
                check_columns(path, columns, options.mapping)
                checked = True
            if places:
                table = rows.build(columns, places)
                if table.num_rows:
                    yield table
        rows.finish()


@dataclass(slots=True)
class CsvColumns:
    """The columns of a CSV file, batch by batch, with the line where each row ends.

    The first batch may be empty and tells the header. Empty cells are None except in the columns `texts`.
    """

    path: Path
    options: ReadOptions
    report: ReadReport
    texts: frozenset[str] = frozenset()
    _broken: set[int] = field(default_factory=set[int])

    def __iter__(self) -> Iterator[tuple[dict[str, list[Any]], list[int]]]:
        csv.field_size_limit(self.options.line_limit_bytes)
        lines = Lines(self.path, self.report, self.options.line_limit_bytes)
        numbers: list[int] = [0]
        reader = csv.reader(self._texts(lines, numbers), delimiter=self._delimiter(), strict=True)
        header: list[str] = []
        cells: list[list[str]] = []
        places: list[int] = []
        size = 0
        while True:
            before = numbers[0]
            try:
                row = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                self._reject_open(before + 1, numbers[0], error)
                continue
            if not row:
                continue
            if not header:
                header = [cell.strip() for cell in row]
                self._check_header(header)
                yield {name: [] for name in header}, []
                continue
            if not self._good(row, header, before + 1, numbers[0]):
                continue
            cells.append(row)
            places.append(before + 1)
            size += sum(map(len, row))
            if len(cells) >= self.options.batch_rows or size >= self.options.batch_bytes:
                yield self._columns(header, cells), places
                cells, places, size = [], [], 0
        if cells:
            yield self._columns(header, cells), places

    def _texts(self, lines: Lines, numbers: list[int]) -> Iterator[str]:
        for first, block in lines:
            for number, line in enumerate(block, first):
                numbers[0] = number
                try:
                    text = line.decode()
                except UnicodeDecodeError:
                    self._broken.add(number)
                    text = line.decode("utf-8", "replace")
                yield (text.removeprefix("\ufeff") if number == 1 else text).replace("\x00", "") + "\n"

    def _delimiter(self) -> str:
        header = read_head(self.path, 64 * 1024).lstrip(b"\r\n").partition(b"\n")[0]
        return max((",", ";", "\t"), key=lambda mark: header.count(mark.encode()))

    def _check_header(self, header: list[str]) -> None:
        double = sorted({name for name in header if header.count(name) > 1})
        if double:
            raise UnreadableSource(
                f"{self.path}: the header names {', '.join(double)} twice. Rename one of the columns."
            )

    def _good(self, row: list[str], header: list[str], first: int, last: int) -> bool:
        bad = self._broken.intersection(range(first, last + 1)) if self._broken else None
        if bad:
            self._reject(min(bad), "the line is not valid UTF-8; save the file as UTF-8", "invalid UTF-8")
            return False
        if len(row) != len(header):
            self._reject(first, f"the row has {len(row)} cells, the header {len(header)}", "wrong number of cells")
            return False
        return True

    def _reject_open(self, first: int, last: int, error: csv.Error) -> None:
        """Count the lines of a row that cannot be read: more than one where a quote hid their ends."""
        count = last - first + 1
        if count <= 1:
            self._reject(last, _not_csv(error), "not CSV")
            return
        self.report.rows += count
        reason = (
            f"a quote opens in this row and is not closed, or closed in a wrong place: it hides {count} lines, to line {last}. "
            'Close it here; a quote inside of a cell is written twice ("")'
        )
        self.report.reject(f"{self.path}:{first}", reason, "not CSV", count=count)

    def _reject(self, line: int, reason: str, kind: str) -> None:
        self.report.rows += 1
        self.report.reject(f"{self.path}:{line}", reason, kind)

    def _columns(self, header: list[str], cells: list[list[str]]) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {}
        for name, values in zip(header, zip(*cells, strict=True), strict=True):
            columns[name] = list(values) if name in self.texts else [value or None for value in values]
        return columns


def _not_csv(error: csv.Error) -> str:
    if "new-line character" in str(error):
        return "the row has a bare carriage return in it; save the file with line ends LF or CR LF"
    return f"the row cannot be read as CSV ({error})"
