"""Reading the log, usually in another process than the one that writes it."""

from __future__ import annotations

from pathlib import Path

from unquiet.model.errors import WalError
from unquiet.wal.failures import explained
from unquiet.wal.layout import (
    DAMAGED,
    QUARANTINE,
    SEGMENT_HEAD_BYTES,
    Entry,
    Position,
    segment_path,
    segment_sizes,
)
from unquiet.wal.quarantine import Quarantine
from unquiet.wal.walking import SegmentFile, Step


class WalReader:
    """The one reader of a log folder, from a committed position on. For one thread at a time."""

    def __init__(self, folder: Path, start: Position) -> None:
        """`start` is what the caller has committed: `release` is never needed for what lies before it."""
        self._folder, self._quarantine = folder, Quarantine(folder)
        self._position = self._committed = start

    @property
    def position(self) -> Position:
        """Where the next `read` begins."""
        return self._position

    def read(self, bytes_max: int) -> list[Entry]:
        """The next entries in order, without waiting; none when nothing complete is there.

        Args:
            bytes_max: of payload, in all; one entry that is larger is returned alone.

        Raises:
            WalError: the disk failed, or a segment has a format that this version does not know.
        """
        try:
            entries = self._read(bytes_max)
            self._remove_drained()
        except OSError as error:
            raise explained(self._folder, "reading the log", error) from error
        return entries

    def release(self, upto: Position) -> None:
        """Remove the segments that lie wholly before a position that the caller has committed.

        A segment whose last entry ends there is removed by a later `read`, once the next segment has begun.

        Raises:
            WalError: a file cannot be removed.
        """
        self._committed = max(self._committed, upto)
        try:
            self._remove_drained()
        except OSError as error:
            raise explained(self._folder, "removing a drained segment", error) from error

    @property
    def undrained_bytes(self) -> int:
        """Bytes of records behind the committed position, one that is being written included.

        Raises:
            WalError: the folder cannot be listed.
        """
        try:
            sizes = segment_sizes(self._folder)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise explained(self._folder, "looking at the log", error) from error
        at = self._committed
        return sum(
            max(size - (max(at.offset, SEGMENT_HEAD_BYTES) if number == at.segment else SEGMENT_HEAD_BYTES), 0)
            for number, size in sizes.items()
            if number >= at.segment
        )

    @property
    def next_arrival_us(self) -> int | None:
        """When the oldest body that was not read yet arrived, microseconds since 1970; None where all was read.

        May be asked from another thread than the one that reads.

        Raises:
            WalError: the disk failed.
        """
        at = self._position
        try:
            for number in self._numbers():
                if number >= at.segment and (found := self._arrival(number, at)) is not None:
                    return found
        except OSError as error:
            raise explained(self._folder, "looking at the log", error) from error
        return None

    def _arrival(self, number: int, at: Position) -> int | None:
        try:
            segment = SegmentFile(self._folder, number, sealed=False)
        except FileNotFoundError:
            # It was read to its end and removed meanwhile.
            return None
        try:
            return segment.next_arrival_us(at.offset if number == at.segment else 0)
        finally:
            segment.close()

    def _read(self, bytes_max: int) -> list[Entry]:
        entries: list[Entry] = []
        room = bytes_max
        # Listed before it is read: a segment that is followed by another now is complete.
        numbers = [number for number in self._numbers() if number >= self._position.segment]
        for number, following in zip(numbers, [*numbers[1:], None], strict=False):
            if number > self._position.segment:
                self._position = Position(number, 0)
            segment = SegmentFile(self._folder, number, sealed=following is not None)
            try:
                while room > 0 and (step := segment.step(self._position.offset)) is not None:
                    size = len(step.body.payload) if step.body else 0
                    if entries and size > room:
                        return entries
                    entries.append(self._entry(segment, number, step))
                    self._position = entries[-1].end
                    room -= size
            finally:
                segment.close()
            if room <= 0:
                return entries
            if following is not None:
                self._position = Position(following, 0)
        return entries

    def _numbers(self) -> list[int]:
        try:
            return list(segment_sizes(self._folder))
        except FileNotFoundError:
            # No writer has been here yet.
            return []

    def _entry(self, segment: SegmentFile, number: int, step: Step) -> Entry:
        end = Position(number, step.end)
        if step.body is not None:
            return Entry(step.body, end)
        lost = step.end - step.start
        name = f"{number:012d}-{step.start}{DAMAGED}"
        where = f"{segment_path(self._folder, number).name}, bytes {step.start:,} to {step.end:,}"
        try:
            self._quarantine.keep(name, segment.read(step.start, lost))
            kept = f"They are kept in {QUARANTINE}/{name}."
        except (OSError, WalError) as error:
            kept = f"They could not be kept ({error})."
        return Entry(None, end, f"The log is damaged ({where}): {lost:,} bytes could not be read. {kept}", lost)

    def _remove_drained(self) -> None:
        """Remove what lies before the committed position, and its segment too where nothing is left in it."""
        for number in self._numbers():
            if number >= self._position.segment or number > self._committed.segment:
                return
            if number == self._committed.segment and not self._ends_at(self._committed):
                return
            segment_path(self._folder, number).unlink(missing_ok=True)

    def _ends_at(self, place: Position) -> bool:
        """Whether a segment that is followed by another has nothing more from a place on."""
        segment = SegmentFile(self._folder, place.segment, sealed=True)
        try:
            return segment.step(place.offset) is None
        finally:
            segment.close()
