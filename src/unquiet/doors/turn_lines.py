"""Turns as JSON lines: each line is taken or rejected by itself."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from unquiet.conventions.otlp_json_faults import DEPTH_MAX, nested_deeper
from unquiet.conventions.times import BadTimeError, to_us

REJECTED_LISTED = 100
"""So many rejected lines are named in an answer; all are counted."""

DAY_US = 86_400_000_000
EARLIEST_US = 946_684_800_000_000
"""The year 2000."""


@dataclass(slots=True)
class TurnLines:
    """The lines of a request that are turns, and why the others are not."""

    count: int = 0
    payload: bytes = b""
    rejected_count: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def reject(self, line: int, reason: str) -> None:
        """Count a line, and name it while there is room."""
        self.rejected_count += 1
        if len(self.rejected) < REJECTED_LISTED:
            self.rejected.append({"line": line, "reason": reason})


def read_turn_lines(raw: bytes, now_us: int, clean: Callable[[dict[str, Any]], bool]) -> TurnLines:
    """Check each line, clean it, and join what is good; bytes that need no change stay as they are.

    Args:
        raw: JSON lines; empty lines are skipped.
        now_us: microseconds since 1970; a turn more than a day later is rejected.
        clean: removes what may not be kept from a row, True where it changed something.
    """
    found = TurnLines()
    kept: list[bytes] = []
    same = True
    for number, line in enumerate(io.BytesIO(raw), 1):
        if not line.strip():
            continue
        try:
            row = _row(line, now_us)
        except ValueError as error:
            found.reject(number, str(error))
            same = False
            continue
        if clean(row):
            line = orjson.dumps(row)
            same = False
        kept.append(line.rstrip(b"\n"))
    found.count = len(kept)
    found.payload = raw if same else b"".join(line + b"\n" for line in kept)
    return found


def _row(line: bytes, now_us: int) -> dict[str, Any]:
    """The turn in a line; ValueError says why there is none."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"no JSON: {error}") from error
    if not isinstance(row, dict):
        raise ValueError("not an object like {time, session_id, ...}")
    if nested_deeper(row):
        raise ValueError(f"nested deeper than {DEPTH_MAX} levels")
    session = row.get("session_id")
    if isinstance(session, bool) or not isinstance(session, str | int | float) or session == "":
        raise ValueError("session_id is missing, or neither a text nor a number")
    try:
        at, _ = to_us(row.get("time"))
    except (BadTimeError, OverflowError) as error:
        raise ValueError(str(error)) from error
    if not EARLIEST_US <= at <= now_us + DAY_US:
        raise ValueError("the time lies before the year 2000 or more than a day in the future")
    return row
