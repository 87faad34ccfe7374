"""Pictures as geometry: what the templates draw as inline SVG. Coordinates in pixels of the picture, y downwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from unquiet.model.wording import percent
from unquiet.stats.intervals import wilson

Document = Mapping[str, Any]
Picture = dict[str, Any]

LEFT, RIGHT, BOTTOM, ROW = 44, 10, 26, 17
HEIGHT = 170
"""Of the plot itself; labels of the marks stand above it, a row each."""

WIDE, NARROW = 760, 350
LETTER = 6.4
"""About the width of a letter of a label, to keep labels inside."""

PANEL_WIDTH, PANEL_HEIGHT = 240, 64


def days_picture(block: Document, width: int) -> Picture | None:
    """Bars of a rate a day, the range that was to be expected, the onset's interval and the marks; None without days."""
    days: Sequence[Document] = list(block["days"])
    if not days:
        return None
    first = datetime.fromisoformat(days[0]["day"]).replace(tzinfo=UTC)
    last = first + timedelta(days=len(days))
    marks = [mark for mark in block["marks"] if first <= datetime.fromisoformat(mark["at"]) <= last]
    top = 6 + ROW * len(marks)
    low, high = _expected(days)
    tops = [float(each.get("high") or each["rate"]) for each in days if each["rate"] is not None]
    highest = max([0.02, *tops, *high.tolist()])
    step = (width - LEFT - RIGHT) / len(days)
    base = top + HEIGHT

    def x(at: datetime) -> float:
        return round(LEFT + (at - first) / timedelta(days=1) * step, 1)

    def y(rate: float) -> float:
        return round(base - HEIGHT * rate / highest, 1)

    onset = datetime.fromisoformat(block["onset"]["at"])
    ends = [min(max(datetime.fromisoformat(block["onset"][name]), first), last) for name in ("earliest", "latest")]
    return {
        "width": width,
        "height": base + BOTTOM,
        "top": top,
        "base": base,
        "left": LEFT,
        "right": width - RIGHT,
        "bars": [_bar(each, first, step, y, onset, base) for each in days if each["rate"] is not None],
        "band": _band([(LEFT + i * step, y(low[i]), y(high[i])) for i in range(len(days))], step),
        "onset": {"x": x(ends[0]), "width": round(max(x(ends[1]) - x(ends[0]), 1.5), 1)},
        "marks": [_mark(mark, x(datetime.fromisoformat(mark["at"])), i, width) for i, mark in enumerate(marks)],
        "ticks_y": [{"y": y(rate), "label": percent(rate)} for rate in _ticks(highest)],
        "ticks_x": _ticks_x(days, step, width),
    }


def panel_picture(panel: Document, onset: str) -> Picture:
    """The values of a panel as a line with its limits, the moment of the onset, and the points that fired before and since."""
    points, began = panel["points"], datetime.fromisoformat(onset)
    # A value is known once its day is over.
    at = [datetime.fromisoformat(each["until"]).timestamp() for each in points]
    first, last = at[0], max(at[-1], at[0] + 1.0)
    numbers = [each[name] for each in points for name in ("value", "low", "high") if each[name] is not None]
    low, high = (min(numbers, default=0.0), max(numbers, default=1.0))
    room = (high - low) * 0.1 or max(abs(high), 1.0) * 0.1

    def x(moment: float) -> float:
        return round(4 + (PANEL_WIDTH - 8) * (moment - first) / (last - first), 1)

    def y(value: float) -> float:
        return round(PANEL_HEIGHT - 4 - (PANEL_HEIGHT - 8) * (value - low + room) / (high - low + 2 * room), 1)

    placed = [(x(t), each) for t, each in zip(at, points, strict=True)]
    limits = [(px, each) for px, each in placed if each["low"] is not None]
    outline = [f"{px},{y(each['high'])}" for px, each in limits] + [
        f"{px},{y(each['low'])}" for px, each in limits[::-1]
    ]
    return {
        "width": PANEL_WIDTH,
        "height": PANEL_HEIGHT,
        "onset": x(min(max(began.timestamp(), first), last)),
        "line": " ".join(f"{px},{y(each['value'])}" for px, each in placed if each["value"] is not None),
        "band": " ".join(outline),
        "fired": [
            {"x": px, "y": y(each["value"]), "since": datetime.fromisoformat(each["until"]) > began}
            for px, each in placed
            if each["fired"]
        ],
    }


def _expected(days: Sequence[Document]) -> tuple[Any, Any]:
    """Of each day the range (n,), (n,) that a rate as expected would lie in 95 times in 100."""
    n = np.array([float(each["n"]) for each in days])
    rate = np.array([float(each["expected"] or 0.0) for each in days])
    low, high = wilson(rate * n, n)
    return np.where(n > 0, low, 0.0), np.where(n > 0, high, 0.0)


def _bar(day: Document, first: datetime, step: float, y: Any, onset: datetime, base: float) -> Picture:
    at = datetime.fromisoformat(day["day"]).replace(tzinfo=UTC)
    number = (at - first).days
    height = y(float(day["rate"]))
    middle = round(LEFT + (number + 0.5) * step, 1)
    # Days that say the interval of their rate have it drawn.
    interval = {"x": middle, "low": y(float(day["low"])), "high": y(float(day["high"]))} if "low" in day else None
    return {
        "interval": interval,
        "x": round(LEFT + number * step + step * 0.12, 1),
        "y": height,
        "width": round(step * 0.76, 1),
        "height": round(max(base - height, 0.5), 1),
        "since": at + timedelta(days=1) > onset,
        "label": f"{at:%a %d %b}: {percent(float(day['rate']))} of {day['n']}",
    }


def _band(steps: Sequence[tuple[float, float, float]], step: float) -> str:
    """The outline of a band that is flat within each day."""
    upper = [f"{x:.1f},{high} {x + step:.1f},{high}" for x, _, high in steps]
    lower = [f"{x + step:.1f},{low} {x:.1f},{low}" for x, low, _ in reversed(steps)]
    return " ".join(upper + lower)


def _mark(mark: Document, x: float, row: int, width: int) -> Picture:
    at = datetime.fromisoformat(mark["at"])
    long, short = f"{mark['label']}, {at:%d %b %H:%M}", f"{mark['label']}, {at:%d %b}"
    right = x + 6 + LETTER * len(long) > width and x > width / 2
    room = round((x - 6 if right else width - x - 6) / LETTER)
    label = long if len(long) <= room else short
    return {
        "x": x,
        "y": 14 + ROW * row,
        "anchor": "end" if right else "start",
        "text_x": round(x - 5 if right else x + 5, 1),
        "label": label if len(label) <= room else label[: max(room - 3, 8)] + "...",
        "at": mark["at"],
        "kind": mark["kind"],
    }


def _ticks(highest: float) -> list[float]:
    for step in (0.01, 0.02, 0.05, 0.1, 0.25, 0.5):
        if highest / step <= 4.5:
            return [i * step for i in range(int(highest / step) + 1)]
    return [0.0, 0.5, 1.0]


def _ticks_x(days: Sequence[Document], step: float, width: int) -> list[Picture]:
    every = max(1, round(len(days) * 64 / (width - LEFT - RIGHT) + 0.49))
    return [
        {"x": round(LEFT + (i + 0.5) * step, 1), "label": f"{datetime.fromisoformat(each['day']):%d %b}"}
        for i, each in enumerate(days)
        if i % every == 0
    ]
