"""Objects of a JSON file: one a line, or one document (an object, or a list of them)."""

from __future__ import annotations

import contextlib
import gc
import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from unquiet.model.errors import UnreadableSource
from unquiet.model.rejections import ReadReport
from unquiet.sources.protocol import ReadOptions
from unquiet.sources.stream import Lines, read_head

DOCUMENT_LIMIT_BYTES = 128 * 1024 * 1024
"""A document is held whole, and its objects take several times its size."""

Record: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class RecordBatch:
    """Objects with their places (a line number, or `item n` of a list)."""

    records: list[Record] = field(default_factory=list[Record])
    places: list[str | int] = field(default_factory=list[str | int])
    size_bytes: int = 0

    def add(self, values: list[Any], places: list[str | int]) -> None:
        """Append objects."""
        self.records += values
        self.places += places


class BadJsonError(ValueError):
    """A line that holds no JSON; `kind` groups such lines in the report."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def parse(line: bytes) -> Any:
    """The JSON value of a line; accepts NaN and lone surrogates, which some exporters write.

    Raises:
        BadJsonError: no JSON, or not UTF-8.
    """
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        first = error
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise BadJsonError(
            "invalid UTF-8", f"the line is not valid UTF-8 (byte {error.start}); save the file as UTF-8"
        ) from None
    except (ValueError, RecursionError):
        raise BadJsonError("not JSON", f"the line is not JSON (from column {first.colno} on)") from None
    return _without_surrogates(value)


@contextlib.contextmanager
def uncollected() -> Generator[None]:
    """No search for garbage cycles inside: JSON has none, and the search takes longer than the parsing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


@dataclass(slots=True)
class JsonRecords:
    """The objects of a file, in batches of bounded size; what is no object is rejected."""

    path: Path
    options: ReadOptions
    report: ReadReport

    def __iter__(self) -> Iterator[RecordBatch]:
        if self._is_document():
            yield from self._of_document()
        else:
            yield from self._of_lines()

    def _is_document(self) -> bool:
        """Whether the first line that holds something is not a whole value by itself."""
        head = read_head(self.path, 64 * 1024).removeprefix(b"\xef\xbb\xbf").lstrip()
        line, newline, rest = head.partition(b"\n")
        if line[:1] not in (b"{", b"["):
            return False
        if line[:1] == b"[":
            return True
        if not newline:
            return False
        try:
            orjson.loads(line)
        except orjson.JSONDecodeError:
            return line.strip() == b"{" or rest.lstrip()[:1] != b"{"
        return False

    def _of_document(self) -> Iterator[RecordBatch]:
        data = read_head(self.path, DOCUMENT_LIMIT_BYTES + 1)
        if len(data) > DOCUMENT_LIMIT_BYTES:
            raise UnreadableSource(
                f"{self.path}: one JSON document of more than {DOCUMENT_LIMIT_BYTES:,} bytes. "
                "Write one object a line instead (jq -c '.[]' FILE > FILE.jsonl)."
            )
        try:
            value = parse(data.removeprefix(b"\xef\xbb\xbf"))
        except BadJsonError:
            yield from self._of_lines()
            return
        values = value if isinstance(value, list) else [value]
        for start in range(0, len(values), self.options.batch_rows):
            batch = RecordBatch()
            part = values[start : start + self.options.batch_rows]
            places: list[str | int] = [f"item {start + i + 1}" for i in range(len(part))] if len(values) > 1 else [1]
            self._add(batch, part, places)
            yield batch

    def _of_lines(self) -> Iterator[RecordBatch]:
        batch = RecordBatch()
        lines = Lines(self.path, self.report, self.options.line_limit_bytes)
        for first, block in lines:
            for start in range(0, len(block), self.options.batch_rows):
                part = block[start : start + self.options.batch_rows]
                self._parse_block(first + start, part, batch)
                batch.size_bytes += sum(map(len, part))
                if len(batch.records) >= self.options.batch_rows or batch.size_bytes >= self.options.batch_bytes:
                    yield batch
                    batch = RecordBatch()
        if batch.records:
            yield batch

    def _parse_block(self, first: int, block: list[bytes], batch: RecordBatch) -> None:
        try:
            with uncollected():
                values = list(map(orjson.loads, block))
        except orjson.JSONDecodeError:
            self._parse_lines(first, block, batch)
        else:
            self._add(batch, values, list(range(first, first + len(block))))

    def _parse_lines(self, first: int, block: list[bytes], batch: RecordBatch) -> None:
        for number, line in enumerate(block, first):
            content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if not content.strip():
                continue
            try:
                value = parse(content)
            except BadJsonError as error:
                self.report.rows += 1
                self.report.reject(f"{self.path}:{number}", str(error), error.kind)
            else:
                self._add(batch, value if isinstance(value, list) else [value], [number])

    def _add(self, batch: RecordBatch, values: list[Any], places: list[str | int]) -> None:
        if len(places) == 1 and len(values) > 1:
            places = places * len(values)
        if set(map(type, values)) <= {dict}:
            batch.add(values, places)
            return
        for value, place in zip(values, places, strict=True):
            if isinstance(value, dict):
                batch.add([value], [place])
            else:
                self.report.rows += 1
                self.report.reject(
                    f"{self.path}:{place}",
                    f"a {type(value).__name__} is there, not an object",
                    "not an object",
                )
