"""Writing the log: appended by many threads, made durable by one sync for all that wait."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from unquiet.model.bodies import Body
from unquiet.model.errors import WalError, WalFull
from unquiet.wal.failures import explained
from unquiet.wal.layout import LOCK, Position, record_start, segment_head, segment_path, segment_sizes

SMALL_BYTES = 1 << 16
"""Payloads up to here are copied behind their head, which is cheaper than a second write."""

WAIT_S, LOOK_S = 30.0, 0.05
"""How long one waits for an earlier writer to end, and how often it is looked: it may still answer what is under way."""

SIZES_AGE_S, FREE_AGE_S = 0.1, 0.5
"""How old the looks at the sizes of the segments and at the free disk may be."""


@dataclass(slots=True)
class _Group:
    """The appends that one sync makes durable."""

    done: bool = False
    error: OSError | None = None


class WalWriter:
    """The one writer of a log folder; its methods may be called from any thread.

    A segment that is full is followed by a new one. After a failed sync nothing more is written to that segment, because
    the system may have forgotten which of its pages are not on disk.
    """

    def __init__(
        self,
        folder: Path,
        number: int,
        *,
        segment_bytes: int,
        undrained_bytes_max: int,
        free_bytes_min: int,
        clock: Callable[[], float],
    ) -> None:
        self._folder = folder
        self._next_number = number
        # The open segment counts as undrained, so it must stay well below the bound.
        self._segment_bytes = min(segment_bytes, max(undrained_bytes_max // 4, 1))
        self._undrained_bytes_max = undrained_bytes_max
        self._free_bytes_min = free_bytes_min
        self._clock = clock
        self._condition = threading.Condition()
        self._group = _Group()
        self._syncing = False
        self._closed = False
        self._file = -1
        self._number = 0
        self._size = 0
        self._sizes_at = self._free_at = float("-inf")
        self._undrained = self._free = 0
        self._last_room: WalFull | None = None
        self._lock = -1

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        after: Position,
        segment_bytes: int = 64 << 20,
        undrained_bytes_max: int,
        free_bytes_min: int,
        clock: Callable[[], float] = time.monotonic,
        wait_s: float = WAIT_S,
    ) -> WalWriter:
        """Begin a new segment in a folder, which is made if need be.

        Readers take a segment that is followed by another as complete, so an earlier writer must have ended: it is waited for.

        Args:
            folder: where the segments are; one writer at a time.
            after: what was drained and committed; the new segment comes after it and after every segment present.
            segment_bytes: when a segment is full; no more than a quarter of `undrained_bytes_max` is used.
            undrained_bytes_max: no body is taken while the segments present are larger together.
            free_bytes_min: no body is taken while the disk has less free.
            clock: seconds that only grow; for how old a look at the disk may be.
            wait_s: how long an earlier writer is waited for.

        Raises:
            WalError: the folder cannot be made or written, or another process writes to it.
        """
        lock = -1
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = _locked(folder, wait_s)
            newest = max(segment_sizes(folder), default=0)
            writer = cls(
                folder,
                max(newest, after.segment) + 1,
                segment_bytes=segment_bytes,
                undrained_bytes_max=undrained_bytes_max,
                free_bytes_min=free_bytes_min,
                clock=clock,
            )
            writer._start_segment()
        except OSError as error:
            if lock >= 0:
                os.close(lock)
            raise explained(folder, "opening the log", error) from error
        writer._lock = lock
        return writer

    def append(self, body: Body) -> None:
        """Write a body; when this returns, it is on the disk.

        Raises:
            WalFull: there is no room now; nothing was written.
            WalError: the disk failed; the body was not acknowledged and need not be there.
        """
        with self._condition:
            self._write(body)
            group = self._group
            while not group.done:
                if self._syncing:
                    self._condition.wait()
                else:
                    self._sync()
        if group.error is not None:
            raise explained(self._folder, "syncing the log", group.error) from group.error

    def room(self) -> WalFull | None:
        """Why no body is taken now, None where one would be. Cheap enough for every request.

        Raises:
            WalError: the disk failed.
        """
        if not self._condition.acquire(blocking=False):
            # Somebody is writing; who asks may be an event loop, which must not wait for a disk.
            return self._last_room
        try:
            full = self._room(0)
            if full is not None and full.bound == "undrained":
                # What waits may all be in the open segment, which the reader can only remove when it is followed by one.
                self._make_segment_open()
            self._last_room = full
            return full
        finally:
            self._condition.release()

    @property
    def undrained_bytes(self) -> int:
        """The segments present, together; the reader removes those that are drained."""
        with self._condition:
            self._look()
            return self._undrained

    @property
    def free_bytes(self) -> int:
        """What the disk has free for this user."""
        with self._condition:
            self._look()
            return self._free

    def close(self) -> None:
        """Make everything durable and let go of the file. Later appends raise WalError.

        Raises:
            WalError: the last sync failed.
        """
        with self._condition:
            self._closed = True
            group = self._group
            self._end_segment()
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1
        if group.error is not None:
            raise explained(self._folder, "closing the log", group.error) from group.error

    def _room(self, more_bytes: int) -> WalFull | None:
        self._look()
        if self._undrained + more_bytes > self._undrained_bytes_max and self._undrained > self._segment_bytes:
            return WalFull(
                f"{self._undrained:,} bytes in {self._folder} wait to be counted; at most {self._undrained_bytes_max:,} "
                "may. Send the same again later; if this stays, see `unquiet status`.",
                "undrained",
            )
        if self._free - more_bytes < self._free_bytes_min:
            return WalFull(
                f"The disk of {self._folder} has {self._free:,} bytes free; {self._free_bytes_min:,} are kept free. "
                "Free some space; the same may be sent again then.",
                "disk",
            )
        return None

    def _look(self) -> None:
        """Know sizes and free disk, no older than allowed.

        Raises:
            WalError: the folder is gone or not readable.
        """
        now = self._clock()
        try:
            if now - self._sizes_at >= SIZES_AGE_S:
                self._undrained, self._sizes_at = sum(segment_sizes(self._folder).values()), now
            if now - self._free_at >= FREE_AGE_S:
                disk = os.statvfs(self._folder)
                self._free, self._free_at = disk.f_bavail * disk.f_frsize, now
        except OSError as error:
            raise explained(self._folder, "looking at the log", error) from error

    def _write(self, body: Body) -> None:
        """Write a record to the end of the open segment, whole or not at all."""
        if self._closed:
            raise WalError(f"The log in {self._folder} is closed: unquiet is stopping. Send the same again later.")
        self._make_segment_open()
        full = self._room(len(body.payload))
        if full is not None:
            raise full
        start = record_start(body, self._number)
        small = len(body.payload) <= SMALL_BYTES
        try:
            for piece in (start + body.payload,) if small else (start, body.payload):
                _write_all(self._file, piece)
        except OSError as error:
            self._undo_write()
            raise explained(self._folder, "writing to the log", error) from error
        written = len(start) + len(body.payload)
        self._size += written
        self._undrained += written
        self._free -= written

    def _undo_write(self) -> None:
        """Take back half a record; where that fails too, nothing more is written behind it."""
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            # What stays is a torn end, which readers know; others may still wait for the records before it.
            self._size = max(self._size, self._segment_bytes)

    def _make_segment_open(self) -> None:
        """Have a segment that is not full. Other threads may write while this waits for a sync.

        Raises:
            WalError: none can be made.
        """
        while self._file < 0 or self._size >= self._segment_bytes:
            if self._syncing:
                self._condition.wait()
                continue
            self._end_segment()
            try:
                self._start_segment()
            except OSError as error:
                raise explained(self._folder, "beginning a segment", error) from error

    def _start_segment(self) -> None:
        """Make the next segment, durable in its folder; raises OSError, and leaves no file then."""
        number = self._next_number
        path = segment_path(self._folder, number)
        head = segment_head(number)
        self._next_number += 1
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            _write_all(file, head)
            _sync_data(file)
            _sync_folder(self._folder)
        except OSError:
            os.close(file)
            # What stays of it is a torn segment without records, which readers know.
            with suppress(OSError):
                path.unlink()
            raise
        self._file, self._number, self._size = file, number, len(head)
        self._undrained += len(head)

    def _end_segment(self) -> None:
        """Make the open segment durable and close it."""
        while self._syncing:
            self._condition.wait()
        if self._file >= 0:
            self._sync()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _sync(self) -> None:
        """Make durable what was written until now. The condition is held at the begin and end, not in between."""
        group, self._group = self._group, _Group()
        self._syncing, file = True, self._file
        error: OSError | None = None
        self._condition.release()
        try:
            _sync_data(file)
        except OSError as failure:
            error = failure
        finally:
            self._condition.acquire()
            self._syncing = False
            group.done, group.error = True, error
            if error is not None:
                self._abandon(error)
            self._condition.notify_all()

    def _abandon(self, error: OSError) -> None:
        """Leave a segment that could not be synced; what was written to it meanwhile failed with it."""
        self._group.done, self._group.error = True, error
        self._group = _Group()
        with suppress(OSError):
            os.close(self._file)
        self._file = -1


def _locked(folder: Path, wait_s: float) -> int:
    """The lock of the one writer, which ends with its process; raises WalError where another one keeps it."""
    file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < until:
                time.sleep(LOOK_S)
                continue
            os.close(file)
            raise WalError(
                f"Another process has been writing to the log in {folder} for {wait_s:g} s. One service owns a folder: stop the "
                "other, or choose another folder."
            ) from None
        return file


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _sync_data(file: int) -> None:
    if hasattr(os, "fdatasync"):
        os.fdatasync(file)
    else:
        os.fsync(file)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
