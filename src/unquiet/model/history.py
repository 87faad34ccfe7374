"""What has been counted so far, session by session: what an incident is explained from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.int8]

DAY_US = 86_400_000_000
WINDOW_US = 42 * DAY_US
LATEST_US = 2**62

FORGOTTEN = ""
"""The id of a recorded session that was forgotten: it is counted on, and no longer named."""


@dataclass(slots=True)
class Recorded:
    """n sessions as they were counted, in order of the tick in which they closed.

    `y` (n, events) is 1, 0 or -1 (does not apply). `member_session`, `member_slice` are parallel: session m is in slice s.
    """

    session_id: npt.NDArray[np.object_]
    visit_id: npt.NDArray[np.object_]
    user: npt.NDArray[np.object_]
    started_us: IntArray
    tick_us: IntArray
    stratum: IntArray
    y: Bytes
    member_session: npt.NDArray[np.int32]
    member_slice: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.started_us)


@dataclass(slots=True)
class History:
    """The sessions of the window in which changes are explained: WINDOW_US before a day, and the day so far.

    It moves on once a day: what is known at a tick must not depend on how much of its day was appended at once.
    """

    chunks: list[Recorded] = field(default_factory=list[Recorded])
    appended: int = 0

    def append(self, chunk: Recorded) -> None:
        """Add sessions that closed after all known ones."""
        self.appended += len(chunk)
        if len(chunk):
            self.chunks.append(chunk)

    @property
    def first(self) -> int:
        """The number of the first session known; sessions are numbered in the order in which they were appended."""
        return self.appended - sum(len(chunk) for chunk in self.chunks)

    def with_event(self, column: Bytes) -> None:
        """Add one more event at the end, its answers in the order of all sessions known."""
        self._join()
        self.chunks = [replace(chunk, y=np.concatenate([chunk.y, column[:, None]], axis=1)) for chunk in self.chunks]

    def without_last_event(self) -> None:
        """Drop the event that was added last."""
        self.chunks = [replace(chunk, y=chunk.y[:, :-1]) for chunk in self.chunks]

    def begin_epoch(self, events: IntArray, since_us: int) -> None:
        """Let events (k,) not apply to the sessions that began before a moment: they are not compared with any more."""
        self._join()
        for place, chunk in enumerate(self.chunks):
            y = chunk.y.copy()
            y[np.ix_(chunk.started_us < since_us, events)] = -1
            self.chunks[place] = replace(chunk, y=y)

    def forget(self, tick_us: int) -> None:
        """Drop the sessions that are not of the window on the day of a tick."""
        tick_us = _window_us(tick_us)
        kept = [_between(chunk, tick_us, LATEST_US) for chunk in self.chunks if chunk.tick_us[-1] > tick_us]
        self.chunks = [chunk for chunk in kept if len(chunk)]

    def upto(self, tick_us: int) -> Recorded:
        """The sessions of the window that had closed by the end of a tick, as one table."""
        self._join()
        if not self.chunks:
            raise ValueError("no session has been recorded yet")
        whole = self.chunks[0]
        last = min(tick_us, int(whole.tick_us[-1]))
        return _between(whole, _window_us(last), last)

    def _join(self) -> None:
        if len(self.chunks) < 2:
            return
        chunks = self.chunks
        offsets = np.cumsum([0, *(len(chunk) for chunk in chunks)])
        sessions = [chunk.member_session + np.int32(at) for chunk, at in zip(chunks, offsets, strict=False)]
        joined = Recorded(
            np.concatenate([chunk.session_id for chunk in chunks]),
            np.concatenate([chunk.visit_id for chunk in chunks]),
            np.concatenate([chunk.user for chunk in chunks]),
            np.concatenate([chunk.started_us for chunk in chunks]),
            np.concatenate([chunk.tick_us for chunk in chunks]),
            np.concatenate([chunk.stratum for chunk in chunks]),
            np.concatenate([chunk.y for chunk in chunks]),
            np.concatenate(sessions).astype(np.int32),
            np.concatenate([chunk.member_slice for chunk in chunks]),
        )
        self.chunks = [joined]


def _window_us(tick_us: int) -> int:
    """The moment after which sessions are of the window on the day of a tick; a tick at midnight ends the day before."""
    return (tick_us - 1) // DAY_US * DAY_US - WINDOW_US


def _between(whole: Recorded, after_us: int, until_us: int) -> Recorded:
    """The sessions that closed after one moment and by another."""
    low, high = np.searchsorted(whole.tick_us, [after_us, until_us], side="right")
    if low == 0 and high == len(whole):
        return whole
    inside = (whole.member_session >= low) & (whole.member_session < high)
    return Recorded(
        whole.session_id[low:high],
        whole.visit_id[low:high],
        whole.user[low:high],
        whole.started_us[low:high],
        whole.tick_us[low:high],
        whole.stratum[low:high],
        whole.y[low:high],
        (whole.member_session[inside] - low).astype(np.int32),
        whole.member_slice[inside],
    )
