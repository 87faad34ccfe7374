"""Bytes and lines of a file, decompressed, in bounded memory, whatever is wrong with the file."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

from unquiet.model.errors import UnreadableSource
from unquiet.model.rejections import DAMAGED, ReadReport

CHUNK_BYTES = 1024 * 1024
_GZIP = b"\x1f\x8b"
_ARROW_CODECS = {b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2", b"\x04\x22\x4d\x18": "lz4"}

DAMAGE = (EOFError, zlib.error, OSError)
"""What a reader of a damaged compressed file raises."""


def is_compressed(path: Path) -> bool:
    """Whether the first bytes say gzip, zstd, bz2 or lz4."""
    with path.open("rb") as raw:
        return raw.read(4).startswith((_GZIP, *_ARROW_CODECS))


def open_bytes(path: Path) -> IO[bytes]:
    """The content of a file, decompressed where its first bytes say gzip, zstd, bz2 or lz4.

    Raises:
        UnreadableSource: the file is not there or may not be read.
    """
    try:
        with path.open("rb") as raw:
            magic = raw.read(4)
        if magic.startswith(_GZIP):
            return cast("IO[bytes]", gzip.open(path, "rb"))
        for prefix, codec in _ARROW_CODECS.items():
            if magic.startswith(prefix):
                return cast("IO[bytes]", pa.CompressedInputStream(pa.OSFile(str(path), "rb"), codec))
        return path.open("rb")
    except PermissionError as error:
        raise UnreadableSource(
            f"{path}: permission denied. Allow this user to read it, or run as its owner."
        ) from error
    except FileNotFoundError as error:
        raise UnreadableSource(f"{path}: there is no such file. Check the path.") from error
    except OSError as error:
        raise UnreadableSource(f"{path}: cannot be opened ({error.strerror or error}).") from error


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _read_some(stream: IO[bytes], size: int) -> bytes:
    # read1 hands over what was decompressed before the damage; read would lose it.
    read1 = getattr(stream, "read1", None)
    return read1(size) if read1 is not None else stream.read(size)


def read_head(path: Path, size: int) -> bytes:
    """The first `size` decompressed bytes, fewer where the file ends or is damaged before."""
    pieces: list[bytes] = []
    missing = size
    with open_bytes(path) as stream:
        while missing > 0:
            try:
                piece = _read_some(stream, missing)
            except DAMAGE:
                break
            if not piece:
                break
            pieces.append(piece)
            missing -= len(piece)
    return b"".join(pieces)


@dataclass(slots=True)
class Lines:
    """The lines of one file with their numbers.

    Iterating gives blocks `(number of the first line, lines without their newline)`. Over-long lines are
    skipped without being held, damage ends the iteration; both are counted in `report`.
    """

    path: Path
    report: ReadReport
    limit_bytes: int
    number: int = 1
    damaged: bool = False

    def where(self, line: int) -> str:
        """The place of a line, for a person."""
        return f"{self.path}:{line}"

    def __iter__(self) -> Iterator[tuple[int, list[bytes]]]:
        tail: list[bytes] = []
        skipping = False
        for chunk in self._chunks():
            head, newline, rest = chunk.partition(b"\n")
            if not skipping:
                tail.append(head)
                skipping = self._too_long(sum(map(len, tail)))
            if skipping:
                tail = []
            if not newline:
                continue
            lines = rest.split(b"\n")
            after = lines.pop()
            if skipping:
                self.number += 1
                skipping = False
            else:
                lines.insert(0, b"".join(tail))
            yield from self._allowed(lines)
            tail = [after]
            skipping = self._too_long(len(after))
        last = b"".join(tail)
        if last and not self.damaged and not skipping:
            yield self.number, [last]

    def _allowed(self, lines: list[bytes]) -> Iterator[tuple[int, list[bytes]]]:
        start = 0
        if lines and max(map(len, lines)) > self.limit_bytes:
            for i, line in enumerate(lines):
                if len(line) > self.limit_bytes:
                    if i > start:
                        yield self.number, lines[start:i]
                    self.number += i - start
                    self._too_long(len(line))
                    self.number += 1
                    start = i + 1
        if start < len(lines):
            yield self.number, lines[start:]
            self.number += len(lines) - start

    def _too_long(self, size: int) -> bool:
        if size <= self.limit_bytes:
            return False
        self.report.rows += 1
        self.report.reject(
            self.where(self.number),
            f"the line is longer than {self.limit_bytes:,} bytes and was skipped; shorten its texts",
            "over-long line",
        )
        return True

    def _chunks(self) -> Iterator[bytes]:
        with open_bytes(self.path) as stream:
            while True:
                try:
                    chunk = _read_some(stream, CHUNK_BYTES)
                except DAMAGE as error:
                    self.damaged = True
                    self.report.reject(
                        f"{self.path}:{self.number}",
                        f"the file is damaged or cut off here ({_why(error)}); what came before it was kept. "
                        "Copy the file again and read it again: turns already read are not doubled.",
                        DAMAGED,
                    )
                    return
                if not chunk:
                    return
                yield chunk


def read_exactly(stream: IO[bytes], size: int) -> bytes:
    """The next `size` bytes, fewer only at the end of the stream."""
    pieces: list[bytes] = []
    while size > 0:
        piece = _read_some(stream, min(size, CHUNK_BYTES))
        if not piece:
            break
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
