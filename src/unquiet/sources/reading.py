"""Reading files: the format is found by looking at the content, one report a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from unquiet.model.errors import UnreadableSource
from unquiet.model.rejections import UNREADABLE, ReadReport
from unquiet.sources.finding import find
from unquiet.sources.glimpse import Glimpse, look_at
from unquiet.sources.protocol import ReadOptions, Source
from unquiet.sources.stream import is_compressed

NO_ROWS = "the file holds no rows"
"""What a note says of a file that is whole and has nothing in it."""


class FileRead(NamedTuple):
    """A file being read: its turns come while `tables` is iterated, and the report fills meanwhile."""

    path: Path
    tables: Iterator[pa.Table]
    report: ReadReport


def source_of(glimpse: Glimpse, sources: Sequence[Source]) -> Source:
    """The source that is surest to read the file.

    Raises:
        UnreadableSource: none knows it.
    """
    scores = [source.sniff(glimpse) for source in sources]
    best = max(range(len(sources)), key=scores.__getitem__)
    if scores[best] <= 0:
        names = ", ".join(dict.fromkeys(source.name for source in sources))
        raise UnreadableSource(f"{glimpse.path}: {_looks_like(glimpse)}. What can be read: {names}.")
    return sources[best]


def _is_utf16(head: bytes) -> bool:
    """With its mark, or without: every other byte of what is mostly ASCII is then zero."""
    start = head[:1024]
    zeros = max(start[0::2].count(0), start[1::2].count(0)), min(start[0::2].count(0), start[1::2].count(0))
    return start[:2] in (b"\xff\xfe", b"\xfe\xff") or (zeros[0] > 0.4 * len(start) and zeros[1] == 0)


def _looks_like(glimpse: Glimpse) -> str:
    if _is_utf16(glimpse.head):
        return "a UTF-16 text; save it as UTF-8 (iconv -f UTF-16 -t UTF-8 FILE > NEW)"
    kinds = {"binary": "a binary file of no known format", "zip": "a zip archive that is no evaluation log"}
    return kinds.get(glimpse.shape, f"no known format (it looks like {glimpse.shape})")


def _empty(path: Path) -> str:
    if path.stat().st_size and is_compressed(path):
        return "nothing could be decompressed: the file is damaged, cut off, or empty inside. Copy or export it again."
    return "the file is empty. Check the export that wrote it."


def read_with(sources: Sequence[Source], paths: Sequence[Path | str], options: ReadOptions) -> Iterator[FileRead]:
    """Every file of the paths with the source that knows it.

    A file that cannot be read at all is an error where it is the only one; among others it is a rejection in
    its report.

    Raises:
        UnreadableSource: see `find`; or the only file cannot be read.
    """
    found = find(paths)
    notes = found.notes
    for path in found.files:
        report = ReadReport(notes=notes)
        notes = []
        yield FileRead(path, _tables(sources, path, options, report, alone=len(found.files) == 1), report)


def _tables(
    sources: Sequence[Source], path: Path, options: ReadOptions, report: ReadReport, *, alone: bool
) -> Iterator[pa.Table]:
    try:
        glimpse = look_at(path)
        if glimpse.shape == "empty":
            raise UnreadableSource(f"{path}: {_empty(path)}")
        yield from source_of(glimpse, sources).read(path, options, report)
        if report.rows == 0 and not report.notes and not report.rejected:
            report.notes.append(f"{path}: {NO_ROWS}")
    except UnreadableSource as error:
        if alone:
            raise
        report.reject(str(path), str(error).removeprefix(f"{path}: "), UNREADABLE)
