"""The picture of delays: a row a drill, from the onset to the alarm, on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10
from typing import Any

Picture = dict[str, Any]

TICKS_H = {1 / 60: "1 min", 1 / 6: "10 min", 1.0: "1 h", 6.0: "6 h", 24.0: "1 day", 72.0: "3 days", 168.0: "7 days"}
ROW, TOP, BOTTOM = 22, 8, 26
LETTER = 6.8
FOUND = 56
LEAST_H, MOST_H = 1 / 60, 168.0


def delays_picture(rows: Sequence[Mapping[str, Any]], width: int) -> Picture:
    """Of each row the quartiles as a line, the median as a dot, its name before and how often it was found behind."""
    left = min(12 + LETTER * max(len(str(each["name"])) for each in rows), width * 0.4)
    right = width - FOUND - 8
    low = min([1.0, *(each["hours"][0] for each in rows)])
    first = max((at for at in TICKS_H if at <= low), default=LEAST_H)

    def x(hours: float) -> float:
        at = min(max(hours, first), MOST_H)
        return round(left + (right - left) * log10(at / first) / log10(MOST_H / first), 1)

    base = TOP + ROW * len(rows)
    apart = 44 if width > 500 else 40
    ticks: list[Picture] = []
    for at, label in TICKS_H.items():
        if at >= first and (not ticks or x(at) - ticks[-1]["x"] >= apart):
            ticks.append({"x": x(at), "label": label})
    return {
        "width": width,
        "height": base + BOTTOM,
        "base": base,
        "top": TOP,
        "left": round(left, 1),
        "right": right,
        "ticks": ticks,
        "rows": [_row(each, TOP + ROW * i + ROW / 2, x) for i, each in enumerate(rows)],
    }


def _row(each: Mapping[str, Any], y: float, x: Any) -> Picture:
    low, middle, high = each["hours"]
    return {
        "y": y,
        "name": each["name"],
        "low": x(low),
        "middle": x(middle),
        "high": x(high),
        "found": f"{each['found']} of {each['rehearsals']}",
        "always": each["found"] == each["rehearsals"],
    }
