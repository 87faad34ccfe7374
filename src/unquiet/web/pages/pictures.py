"""Pictures of the pages as geometry; y downwards, in pixels of the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

Document = Mapping[str, Any]
Picture = dict[str, Any]

LEFT, RIGHT, TOP, BOTTOM, HEIGHT = 44, 10, 8, 24, 150
SPARK_WIDTH, SPARK_HEIGHT = 150, 36


def gap_picture(days: Sequence[Document], width: int) -> Picture:
    """A bar a day of what users met: the part that a dashboard showed below, what nobody was shown above it."""
    highest = max((float(each["wrong"]) for each in days), default=0.0)
    top = highest or 1.0
    step = (width - LEFT - RIGHT) / max(len(days), 1)
    base = TOP + HEIGHT

    def y(value: float) -> float:
        return round(base - HEIGHT * value / top, 1)

    every = max(1, round(len(days) * 64 / (width - LEFT - RIGHT) + 0.49))
    return {
        "width": width,
        "height": base + BOTTOM,
        "base": base,
        "left": LEFT,
        "right": width - RIGHT,
        "bars": [
            {
                "x": round(LEFT + i * step + step * 0.14, 1),
                "width": round(step * 0.72, 1),
                "seen_y": y(float(each["seen"])),
                "seen_height": round(base - y(float(each["seen"])), 1),
                "unseen_y": y(float(each["wrong"])),
                "unseen_height": round(y(float(each["seen"])) - y(float(each["wrong"])), 1),
                "label": f"{each['day']}: {each['wrong']:.0f} went wrong, a dashboard showed {each['seen']:.0f}",
            }
            for i, each in enumerate(days)
        ],
        "ticks_y": [{"y": y(value), "label": f"{value:.0f}"} for value in _ticks(highest)],
        "ticks_x": [
            {"x": round(LEFT + (i + 0.5) * step, 1), "label": f"{datetime.fromisoformat(each['day']):%d %b}"}
            for i, each in enumerate(days)
            if i % every == 0
        ],
    }


def spark(days: Sequence[Document]) -> Picture:
    """Small bars of a rate a day, and the highest that was to be expected as a line."""
    top = max([0.02, *(float(each[name] or 0.0) for each in days for name in ("rate", "expected"))])
    step = SPARK_WIDTH / max(len(days), 1)

    def y(value: float) -> float:
        return round(SPARK_HEIGHT - (SPARK_HEIGHT - 2) * value / top, 1)

    bars = [
        {
            "x": round(i * step + step * 0.1, 1),
            "y": y(float(each["rate"])),
            "width": round(step * 0.8, 1),
            "height": round(max(SPARK_HEIGHT - y(float(each["rate"])), 0.5), 1),
            "high": each["low"] > each["expected_high"] or each["high"] < each["expected_low"],
        }
        for i, each in enumerate(days)
        if each["rate"] is not None
    ]
    usual = next((float(each["expected"]) for each in reversed(days) if each["expected"] is not None), None)
    return {"width": SPARK_WIDTH, "height": SPARK_HEIGHT, "bars": bars, "usual": None if usual is None else y(usual)}


def _ticks(highest: float) -> list[float]:
    """At most five round numbers from 0 up."""
    if highest <= 0.0:
        return [0.0]
    step = 1.0
    for factor in (2.0, 2.5, 2.0) * 8:
        if highest / step <= 4.5:
            break
        step *= factor
    return [i * step for i in range(int(highest / step) + 1)]
