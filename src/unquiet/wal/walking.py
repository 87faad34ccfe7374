"""Walking through one segment file, past what is damaged in it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from unquiet.model.bodies import Body
from unquiet.model.errors import WalError
from unquiet.wal.layout import (
    FORMAT_VERSION,
    MARKER,
    RECORD_HEAD_BYTES,
    SEGMENT_HEAD_BYTES,
    read_body,
    read_record_head,
    segment_path,
    version_of,
)

WINDOW_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Step:
    """What was found at a place: a body, or damaged bytes where it is None; `end` is the byte behind it."""

    body: Body | None
    start: int
    end: int


class SegmentFile:
    """One segment, open to be read. `sealed`: nobody writes to it any more."""

    def __init__(self, folder: Path, number: int, *, sealed: bool) -> None:
        self._number, self._sealed = number, sealed
        self._path = segment_path(folder, number)
        self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self._file).st_size

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def read(self, start: int, size: int) -> bytes:
        """Bytes of the file, fewer only at its end; raises OSError."""
        pieces: list[bytes] = []
        while size > 0 and (piece := os.pread(self._file, size, start)):
            pieces.append(piece)
            start, size = start + len(piece), size - len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def step(self, start: int) -> Step | None:
        """What is at `start`: a record or damage; None at the end of what is there.

        A record that is cut off by the end of the file is the end: it was never acknowledged, or is being written. The
        last record of a segment that is still written to is no damage until something follows it.

        Raises:
            OSError: the disk failed.
            WalError: the segment has a format that this version does not know.
        """
        if start < SEGMENT_HEAD_BYTES:
            if self.size < SEGMENT_HEAD_BYTES:
                return None
            if not self._head_is_whole():
                return self._damaged(0)
            start = SEGMENT_HEAD_BYTES
        if self.size - start < RECORD_HEAD_BYTES:
            return None
        head = read_record_head(self.read(start, RECORD_HEAD_BYTES), self._number)
        if head is None:
            return self._damaged(start)
        content_start = start + RECORD_HEAD_BYTES
        end = content_start + head.content_bytes
        if end > self.size:
            return None
        body = read_body(head, self.read(content_start, head.content_bytes), self._number)
        if body is None and end == self.size and not self._sealed:
            return None
        return Step(body, start, end)

    def next_arrival_us(self, start: int) -> int | None:
        """When the first whole record from `start` on arrived, microseconds since 1970; None where there is none.

        Of a record only the head is read: its payload may be damaged.

        Raises:
            OSError, WalError: as of `step`.
        """
        at = max(start, SEGMENT_HEAD_BYTES)
        head = read_record_head(self.read(at, RECORD_HEAD_BYTES), self._number)
        if head is not None:
            return head.arrived_us if at + RECORD_HEAD_BYTES + head.content_bytes <= self.size else None
        step = self.step(start)
        while step is not None and step.body is None:
            step = self.step(step.end)
        return step.body.arrived_us if step is not None and step.body is not None else None

    def _head_is_whole(self) -> bool:
        version = version_of(self.read(0, SEGMENT_HEAD_BYTES), self._number)
        if version not in (None, FORMAT_VERSION):
            raise WalError(
                f"{self._path} has format version {version}; this unquiet reads version {FORMAT_VERSION}. Upgrade unquiet to "
                "the version that wrote it."
            )
        return version is not None

    def _damaged(self, start: int) -> Step | None:
        """Damage from `start` to the next record whose checksums hold, or to the end."""
        end = self._next_record(start + 1)
        if end is not None:
            return Step(None, start, end)
        if not self._sealed or self._is_blank(start):
            return None
        return Step(None, start, self.size)

    def _next_record(self, start: int) -> int | None:
        """The first place from `start` with a whole, sound record."""
        while self.size - start >= RECORD_HEAD_BYTES:
            window = self.read(start, WINDOW_BYTES)
            at = window.find(MARKER)
            while at >= 0:
                if self._is_record(start + at):
                    return start + at
                at = window.find(MARKER, at + 1)
            # A marker may lie across the end of the window.
            start += max(len(window) - len(MARKER) + 1, 1)
        return None

    def _is_record(self, start: int) -> bool:
        head = read_record_head(self.read(start, RECORD_HEAD_BYTES), self._number)
        if head is None or start + RECORD_HEAD_BYTES + head.content_bytes > self.size:
            return False
        content = self.read(start + RECORD_HEAD_BYTES, head.content_bytes)
        return read_body(head, content, self._number) is not None

    def _is_blank(self, start: int) -> bool:
        """Whether only zeros follow: after a power loss a file may be longer than what was written to the disk."""
        while window := self.read(start, WINDOW_BYTES):
            if window.count(0) != len(window):
                return False
            start += len(window)
        return True
