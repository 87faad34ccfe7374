"""What a file door is: recognises a file by its content and turns it into turn tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from unquiet.conventions.times import to_iso
from unquiet.model.rejections import ReadReport
from unquiet.sources.glimpse import Glimpse

BATCH_ROWS = 4096
BATCH_BYTES = 32 * 1024 * 1024
LINE_LIMIT_BYTES = 64 * 1024 * 1024
WHOLE_LIMIT_BYTES = 256 * 1024 * 1024
FUTURE_ALLOWANCE_US = 24 * 3600 * 1_000_000
EARLIEST_US = 946_684_800_000_000
"""The year 2000: an earlier time is a zero, a broken clock or a wrong unit, and would stretch the record by decades."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How files are read.

    `mapping` names, for a column of the turn table, the column of the file that holds it. `now_us` is the
    present (microseconds since 1970): turns more than a day later are rejected, like those before the year
    2000. A batch holds at most `batch_rows` rows and about `batch_bytes` of input; lines longer than
    `line_limit_bytes` are skipped and counted. `scale` is the range of ratings, worst to best, None where it is to be found.
    `line_limit_bytes` are skipped and counted. What must be held whole, such as a report in one JSON document, may have
    `whole_limit_bytes` when it is decompressed; its objects take several times that.
    """

    now_us: int
    mapping: Mapping[str, str] = field(default_factory=dict[str, str])
    batch_rows: int = BATCH_ROWS
    batch_bytes: int = BATCH_BYTES
    line_limit_bytes: int = LINE_LIMIT_BYTES
    scale: tuple[float, float] | None = None
    whole_limit_bytes: int = WHOLE_LIMIT_BYTES

    @property
    def latest_us(self) -> int:
        """The last time a turn may bear, microseconds since 1970."""
        return self.now_us + FUTURE_ALLOWANCE_US


def misplaced(time_us: int, options: ReadOptions) -> tuple[str, str] | None:
    """Kind and reason of the rejection of a turn whose time cannot be true; None where it can."""
    if time_us > options.latest_us:
        reason = f"the time {to_iso(time_us)} lies more than a day after now; check its unit and the clock"
        return "time in the future", reason
    if time_us < EARLIEST_US:
        reason = f"the time {to_iso(time_us)} lies before the year 2000; check its unit and the clock that wrote it"
        return "time before 2000", reason
    return None


class Source(Protocol):
    """One file format."""

    @property
    def name(self) -> str:
        """What the format is called in messages."""
        ...

    def sniff(self, glimpse: Glimpse) -> float:
        """How sure the source is that the file is its own: 0 (no) to 1; the surest source reads it."""
        ...

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Turn tables of the schema TURNS, in the order of the file, each of bounded size.

        Rows that cannot become turns are counted in `report`.

        Raises:
            UnreadableSource: the file as a whole cannot be understood.
        """
        ...
