"""`unquiet status` for people: what was read, what was judged, and what could not have been seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from unquiet.app.service_lines import Line
from unquiet.app.status_lines import (
    NO_FOLDER,
    RARE,
    coverage_of,
    event_name,
    folder_lines,
    incident_line,
    night_line,
    running_lines,
    slice_name,
)
from unquiet.cli.label_page import judge_line, label_lines
from unquiet.model.wording import counted, percent

Row = Mapping[str, Any]

WARN = "yellow"


def show_status(console: Console, status: Row, *, every_slice: bool) -> None:
    """The facts as lines, then the table of what can be seen."""
    coverage = coverage_of(status)
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, text, warn in _facts(status, coverage):
        table.add_row(name, text, style=WARN if warn else None)
    console.print(table)
    rows = coverage.get("smallest_detectable")
    if not rows:
        console.print("how small a change could be seen: unknown, nothing was judged", style=WARN)
        return
    console.print()
    _show_visible(console, coverage, rows, every_slice)


def _facts(status: Row, coverage: Row) -> Iterator[Line]:
    """Name, text and whether it is a warning."""
    yield from running_lines(status)
    if "folder" not in status:
        yield NO_FOLDER
        return
    yield from folder_lines(status, coverage)
    for report in status["labels"]:
        for line, warn in label_lines(report, groups=False):
            yield "" if line.startswith(" ") else "labels", line.strip(), warn
    for labeller, condition in status["judges"].items():
        yield "judge", *judge_line(labeller, condition)
    if status["drills"] is not None:
        yield night_line(status["drills"])
    yield incident_line(status)


def _show_visible(console: Console, coverage: Row, rows: Sequence[Row], every_slice: bool) -> None:
    what = event_name(rows[0])
    console.print(
        f"the smallest rate of {what} that would be seen (about every second time)", style="bold", soft_wrap=True
    )
    pairs = [row for row in rows if len(row["slice"]) == 2]
    shown = [row for row in rows if every_slice or len(row["slice"]) < 2]
    shown.sort(key=lambda row: (len(row["slice"]) > 0, -row["sessions_per_day"]))
    table = Table("slice", "sessions a day", "usual rate", "1 day", "7 days", "28 days", box=None, pad_edge=False)
    table.columns[0].overflow = "fold"
    for column in table.columns[1:]:
        column.justify = "right"
    for row in shown:
        usual = percent(row["rate"]) + ("*" if row["event"] != rows[0]["event"] else "")
        cells = (_rate(row[f"days_{days}"]) for days in (1, 7, 28))
        table.add_row(slice_name(row["slice"]), f"{row['sessions_per_day']:.1f}", usual, *cells)
    console.print(table)
    if any(row[f"days_{days}"] is None for row in shown for days in (1, 7, 28)):
        console.print(
            "none: no change at all would be seen in that time, by any method inside the budget", soft_wrap=True
        )
    if any(row["event"] != rows[0]["event"] for row in shown):
        console.print(f"*: {what} are not measured there; the rates are those of {RARE}", soft_wrap=True)
    if pairs and not every_slice:
        console.print(_pairs(pairs))
    rare = coverage["smallest_detectable_of_rare"]
    numbers = ", ".join(f"{_rate(rare[f'days_{n}'])} in {counted(n, 'day')}" for n in (1, 7, 28))
    console.print(f"any behaviour of {percent(rare['rate'])} in all traffic: {numbers}", soft_wrap=True)


def _pairs(pairs: Sequence[Row]) -> str:
    per_day = [row["sessions_per_day"] for row in pairs]
    week: list[float | None] = sorted((row["days_7"] for row in pairs), key=lambda rate: 2.0 if rate is None else rate)
    count = counted(len(pairs), "pair")
    return (
        f"and {count} of facet values with {min(per_day):.1f} to {max(per_day):.1f} sessions a day: within 7 days "
        f"{_rate(week[0])} in the best of them, {_rate(week[len(week) // 2])} in the middle one, {_rate(week[-1])} in the worst; "
        "--all shows them"
    )


def _rate(rate: float | None) -> str:
    return "none" if rate is None else percent(rate)
