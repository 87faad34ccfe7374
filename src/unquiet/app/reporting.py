"""The report of an incident: its facts gathered from a folder, or from what a service tells of one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from unquiet.app.gapping import Drawn, draw, incident_panels
from unquiet.gap.dashboards import TRAILING_US
from unquiet.model.evals import NOT_RUN, PASSED
from unquiet.report import Facts
from unquiet.store import Store

Document = Mapping[str, Any]

BEFORE = timedelta(days=21)
"""How far before the onset the panels are drawn, and the days of their rule before that."""

SHOWN_PAIRS = 2


def gather(
    store: Store,
    document: Document,
    turns: Sequence[Document],
    coverage: Document,
    *,
    why_green: Document | None = None,
    voices: Document | None = None,
    option: str = "",
    commands: Collection[str] = (),
    drawn: Drawn | None = None,
) -> Facts:
    """The facts of an incident's report.

    Args:
        store: the folder.
        document: the incident, with what people did about it.
        turns: the turns of the sessions of `shown_sessions`, in order of time.
        coverage: of the folder: its budget is told.
        why_green: why the evals did not see it, None where that was not asked.
        voices: the voices of the incident, None where they were not looked at.
        option: how commands find the folder.
        commands: the names of the commands that there are.
        drawn: as of `draw`.
    """
    budget = coverage.get("budget_per_30_days")
    common: dict[str, Any] = {"why_green": why_green, "voices": voices, "budget": budget}
    common |= {"option": option, "commands": frozenset(commands)}
    begin = datetime.fromisoformat(document["onset"]["at"]) - BEFORE - timedelta(microseconds=TRAILING_US)
    end = datetime.fromisoformat(document.get("resolved_at") or document["told_at"])
    return Facts(
        document,
        turns,
        beside=incident_panels(document, draw(store, begin, end + timedelta(days=1), drawn)),
        eval_runs=eval_runs(store.evals.read(["run", "time", "status"])),
        eval_results=store.evals.count(),
        voice_count=store.voices.count(),
        **common,
    )


def shown_sessions(document: Document) -> list[str]:
    """The sessions whose texts a report shows."""
    evidence = document["evidence"]
    return [*evidence["before"][:SHOWN_PAIRS], *evidence["after"][:SHOWN_PAIRS]]


def eval_runs(results: pa.Table) -> list[dict[str, Any]]:
    """The runs of eval results in order of time: `run`, `at` (ISO), the cases that `ran` and those that `passed`."""
    ran = results.filter(pc.not_equal(results.column("status"), NOT_RUN))
    rows = pa.table(
        {
            "run": ran.column("run"),
            "time": ran.column("time"),
            "passed": pc.equal(ran.column("status"), PASSED).cast(pa.int64()),
        }
    )
    found = rows.group_by("run", use_threads=False).aggregate([("time", "min"), ("passed", "sum"), ("passed", "count")])
    runs = [
        {"run": each["run"], "at": _iso(each["time_min"]), "passed": each["passed_sum"], "ran": each["passed_count"]}
        for each in found.to_pylist()
    ]
    return sorted(runs, key=lambda run: (run["at"], run["run"]))


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
