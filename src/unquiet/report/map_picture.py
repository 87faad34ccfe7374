"""The detectability map as one picture: slices by signals, the smallest failure in each, as an SVG that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10
from typing import Any

from unquiet.model.detectability import DetectabilityMap, Point
from unquiet.model.wording import percent
from unquiet.report.rendering import to_picture

COLUMN, ROW, HEAD, FOOT = 96, 40, 74, 46
LEFT, RIGHT = 236, 12
LETTER = 6.6
FAINT, STRONG = 0.06, 0.62
"""How opaque a cell is in which only everything is heard, and one in which a thousandth is."""

LEAST = 1e-3


def map_svg(map_: DetectabilityMap, rows: Sequence[str], signals: Sequence[str], title: str) -> str:
    """The map as SVG. `rows` are names of slices, `signals` the columns, in their order."""
    return to_picture("map.svg", p=map_picture(map_, rows, signals), title=title)


def map_html(
    map_: DetectabilityMap, rows: Sequence[str], signals: Sequence[str], title: str, said: Sequence[str]
) -> str:
    """The picture with its sentences as one HTML file: no script, no network."""
    return to_picture("map.html", p=map_picture(map_, rows, signals), title=title, said=said)


def map_picture(map_: DetectabilityMap, rows: Sequence[str], signals: Sequence[str]) -> dict[str, Any]:
    """The geometry: a cell for each slice and signal, the stronger the smaller a failure of the first time is heard there."""
    known = {(point.slice.name, point.signal): point for point in map_.points if point.direction == "up"}
    per_day = {where.name: count for where, count in map_.slices}
    within = sorted({days for point in map_.points for days in point.smallest or {}})
    cells = [
        _cell(known.get((row, signal)), within, LEFT + COLUMN * j, HEAD + ROW * i)
        for i, row in enumerate(rows)
        for j, signal in enumerate(signals)
    ]
    return {
        "width": LEFT + COLUMN * len(signals) + RIGHT,
        "height": HEAD + ROW * len(rows) + FOOT,
        "cells": cells,
        "rows": [
            {
                "y": HEAD + ROW * i,
                "label": _cut(row, LEFT - 14),
                "whole": row,
                "per_day": f"{per_day.get(row, 0.0):.0f} sessions a day",
            }
            for i, row in enumerate(rows)
        ],
        "columns": [{"x": LEFT + COLUMN * (j + 0.5), "words": _lines(signal)} for j, signal in enumerate(signals)],
        "x": LEFT - 10,
        "cell": {"width": COLUMN - 3, "height": ROW - 3},
        "legend": _legend(within),
        "legend_y": HEAD + ROW * len(rows) + 24,
    }


def _cell(point: Point | None, within: Sequence[int], x: float, y: float) -> dict[str, Any]:
    at = {"x": x, "y": y, "middle": x + (COLUMN - 3) / 2}
    smallest: Mapping[int, float | None] | None = point.smallest if point is not None else None
    if point is None or smallest is None:
        why = point.why if point is not None else "it was never read there"
        return {**at, "label": "unknown", "later": "", "opacity": 0.0, "why": f"unknown: {why}"}
    shares = [smallest.get(days) for days in within]
    spoken = [f"{_said(share)} in {days} d" for days, share in zip(within, shares, strict=True)]
    return {
        **at,
        "label": _said(shares[0]),
        "later": " · ".join(_said(share) for share in shares[1:]),
        "opacity": _opacity(shares[0]),
        "why": f"{point.slice.name}, {point.signal}: {', '.join(spoken)}",
    }


def _opacity(share: float | None) -> float:
    if share is None:
        return 0.0
    part = min(max(log10(max(share, LEAST)) / log10(LEAST), 0.0), 1.0)
    return round(FAINT + (STRONG - FAINT) * part, 3)


def _said(share: float | None) -> str:
    return "none" if share is None else percent(share)


def _legend(within: Sequence[int]) -> str:
    first, *later = (f"{days} day{'s' if days > 1 else ''}" for days in within)
    below = f"; below it in {' · '.join(later)}" if later else ""
    return f"Smallest share of the slice's sessions heard in {first}, 9 times in 10{below}. Stronger: smaller failures are heard."


def _lines(signal: str) -> list[str]:
    """A signal's name in lines of its column's width."""
    lines = [""]
    for word in signal.split("_"):
        joined = f"{lines[-1]} {word}".strip()
        if lines[-1] and len(joined) * LETTER > COLUMN:
            lines.append(word)
        else:
            lines[-1] = joined
    return lines[:3]


def _cut(text: str, width: float) -> str:
    most = int(width / LETTER)
    return text if len(text) <= most else text[: most - 1] + "…"
