"""The detectability map (`unquiet.map/1`) in a report of drills: its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unquiet.model.wording import in_percent, percent
from unquiet.report.words import where

Row = Mapping[str, Any]

MOST_SLICES, MOST_SIGNALS = 12, 4


def map_blocks(document: Row) -> list[dict[str, Any]]:
    """The table: a row a slice, a column a signal that a drill moves; nothing where there is no map."""
    map_: Row | None = document.get("map")
    if not map_:
        return []
    known = _known(map_)
    moved = dict.fromkeys(signal for drill in document["drills"] for signal in drill["signals"])
    signals = [name for name in moved if any(signal == name for _, signal in known)][:MOST_SIGNALS]
    within: Sequence[int] = map_["within_days"]
    rows = [
        [
            where(each["slice"]),
            f"{each['sessions_per_day']:.0f}",
            *(_cell(known.get((_key(each["slice"]), name)), within) for name in signals),
        ]
        for each in map_["slices"][:MOST_SLICES]
    ]
    days = ", ".join(str(each) for each in within)
    said = (
        f"The share of sessions that a failure must newly meet to be heard in {in_percent(map_['chance'])} of the cases within "
        f"{days} days. None: not even if it meets all of them."
    )
    return [
        {"kind": "text", "text": said},
        {"kind": "table", "head": ["slice", "sessions a day", *signals], "rows": rows, "stack": True},
    ]


def _known(map_: Row) -> dict[tuple[tuple[tuple[str, str], ...], str], Mapping[str, float | None]]:
    """The smallest failures upwards, by slice and signal."""
    return {
        (_key(each["slice"]), each["signal"]): each["smallest"]
        for each in map_["points"]
        if "smallest" in each and each["direction"] == "up"
    }


def _key(slice_: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(slice_.items()))


def _cell(smallest: Mapping[str, float | None] | None, within: Sequence[int]) -> str:
    if smallest is None:
        return "unknown"
    shares = [smallest.get(f"days_{days}") for days in within]
    return " / ".join("none" if share is None else percent(share) for share in shares)
