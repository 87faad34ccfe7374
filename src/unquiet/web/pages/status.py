"""The facts of the page of status: the service, the folder, and how small a change could be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unquiet import __version__
from unquiet.app.status_lines import (
    NO_FOLDER,
    coverage_of,
    event_name,
    folder_lines,
    incident_line,
    night_line,
    running_lines,
    slice_name,
)
from unquiet.model.errors import UnquietError
from unquiet.report.plain import one_line
from unquiet.web.backend import Shown
from unquiet.web.pages import overviews as says
from unquiet.web.pages.now import NO_SERVICE, line
from unquiet.web.pages.numbers import iso, moment_of

Document = Mapping[str, Any]

MOST_SLICES, MOST_RUNS = 60, 10
RANK = {"failing": 0, "unknown": 1, "ok": 2}
NOTHING = "How small a change could be seen is not known: nothing was judged."
RATES = "Rates that would be noticed about every second time, had the change begun so many days ago."


def status_page(backend: Shown, now_us: int) -> says.StatusPage:
    """The page of status."""
    status = backend.status()
    coverage = coverage_of(status)
    service = [line(each) for each in running_lines(status)]
    folder = [line(each) for each in folder_lines(status, coverage)] if "folder" in status else [line(NO_FOLDER)]
    visible = _visible(coverage)
    runs, voices, unread = _outside(backend)
    return says.StatusPage(
        title="Status",
        path="/status",
        made_at=iso(now_us),
        version=__version__,
        service=service or [says.Line(name="service", text=NO_SERVICE, warn=False)],
        conditions=_conditions(backend),
        folder=[*folder, *_last(status), *unread],
        visible=visible,
        visible_note=RATES if visible else NOTHING,
        eval_runs=[_run(each) for each in list(runs)[: -MOST_RUNS - 1 : -1]],
        voices=[] if voices is None else _voices(voices),
    )


def _outside(backend: Shown) -> tuple[Sequence[Document], Document | None, list[says.Line]]:
    """The eval runs, the voices, and a line that says why where they could not be read."""
    try:
        return backend.evals()["runs"], backend.voices(), []
    except UnquietError as error:
        return (), None, [line(("evals, voices", f"not known: {one_line(str(error), 300)}", True))]


def _last(status: Document) -> list[says.Line]:
    """The last night of drills, and the incidents."""
    if "folder" not in status:
        return []
    night = status.get("drills")
    return [line(each) for each in (*([night_line(night)] if night else []), incident_line(status))]


def _conditions(backend: Shown) -> list[says.Condition]:
    found = [
        says.Condition(
            name=each.name,
            state=each.state,
            severity=each.severity,
            detail=one_line(each.detail, 600),
            todo=one_line(each.todo, 600),
            since=iso(each.since_us),
        )
        for each in backend.conditions()
    ]
    return sorted(found, key=lambda each: RANK[each.state])


def _visible(coverage: Document) -> list[says.Visible]:
    rows: Sequence[Document] = coverage.get("smallest_detectable") or ()
    singles = [row for row in rows if len(row["slice"]) < 2]
    singles.sort(key=lambda row: (len(row["slice"]) > 0, -row["sessions_per_day"]))
    return [
        says.Visible(
            where=one_line(slice_name(row["slice"])),
            what=event_name(row),
            sessions_per_day=row["sessions_per_day"],
            usual=row["rate"],
            days_1=row["days_1"],
            days_7=row["days_7"],
            days_28=row["days_28"],
        )
        for row in singles[:MOST_SLICES]
    ]


def _run(run: Document) -> says.EvalRun:
    return says.EvalRun(
        run=one_line(run["run"], 120),
        tool=one_line(run["tool"], 60),
        at=moment_of(run["at"]),
        **{name: run[name] for name in ("passed", "failed", "error")},
    )


def _voices(voices: Document) -> list[says.Line]:
    if not voices["voices"]:
        none = "none were added; add tickets, ratings or posts with `unquiet voices PATH`"
        return [says.Line(name="voices", text=none, warn=False)]
    joined = ", ".join(f"{count} by {how}" for how, count in voices["joined_by"].items() if count)
    return [says.Line(name="voices", text=f"{voices['voices']}; joined to sessions: {joined}", warn=False)]
