"""The suite did not run, or its cases came to no result."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from unquiet.gap.green.runs import Run, runs_of, usual_gap_us
from unquiet.gap.green.scene import HOLDS, NOT, UNKNOWN, Finding, Scene
from unquiet.model.evals import ERROR, FAILED, NOT_RUN, PASSED
from unquiet.model.wording import counted

DAY_US = 86_400_000_000
HALF = 0.5


class NotRunning:
    """No run since the onset came to a result."""

    name = "evaluator not running"

    def judge(self, scene: Scene) -> Finding:
        """By the runs since the onset, against the rhythm before, and by what became of the near cases in them."""
        if not scene.results.num_rows:
            return Finding(self.name, UNKNOWN, "no eval results are known: add reports with `unquiet evals PATH`")
        runs = runs_of(scene.results.column("run").to_numpy(zero_copy_only=False), scene.time_us, scene.status)
        start_us = int(scene.time_us[scene.after].min(initial=scene.end_us + 1))
        before = [run for run in runs if run.at_us < min(start_us, scene.onset.at_us)]
        after = [run for run in runs if start_us <= run.at_us <= scene.end_us]
        evidence = _evidence(before, after)
        if not after:
            return Finding(self.name, HOLDS, _stale(scene, before), evidence, 1.0)
        lost = sum(run.errors + run.not_run for run in after)
        whole = sum(run.count for run in after)
        if lost >= HALF * whole:
            return Finding(self.name, HOLDS, _broken(after), evidence, lost / whole)
        silent = _silent(scene)
        if silent is not None:
            return Finding(self.name, HOLDS, silent, evidence, 0.9)
        last = max(after, key=lambda run: run.at_us)
        when = "since the onset" if last.at_us >= scene.onset.at_us else "within the interval of the onset"
        said = f"it ran {counted(len(after), 'time')} {when}, last on {_day(last.at_us)}: {_outcome(last)}"
        return Finding(self.name, NOT, said, evidence)


def _stale(scene: Scene, before: list[Run]) -> str:
    days = max(scene.end_us - scene.onset.at_us, 0) / DAY_US
    if not before:
        return f"no run is known from before the end of the incident, {days:.1f} days after its onset"
    last, gap = before[-1], usual_gap_us(before)
    ago = (scene.onset.at_us - last.at_us) / DAY_US
    said = f"no run since the onset ({days:.1f} days): the last was on {_day(last.at_us)}, {ago:.1f} days before it"
    if gap is None:
        return said
    due = "" if scene.end_us - last.at_us > gap else ", so none was due yet"
    return f"{said}; before, it ran every {gap / DAY_US:.1f} days{due}"


def _broken(after: list[Run]) -> str:
    errors, skipped = sum(run.errors for run in after), sum(run.not_run for run in after)
    whole = sum(run.count for run in after)
    return (
        f"{errors + skipped} of {counted(whole, 'result')} since the onset say nothing: {counted(errors, 'error')}, "
        f"{skipped} not run"
    )


def _silent(scene: Scene) -> str | None:
    """That the cases which could have seen the incident did not come to a result, though others did."""
    mine = scene.after & np.isin(scene.case, scene.covering)
    covered = len(scene.covering)
    if not covered:
        return None
    status = scene.status[mine]
    if np.isin(status, (PASSED, FAILED)).any():
        return None
    what = f"the {counted(covered, 'case')} near the affected requests"
    if not len(status):
        return f"{what} did not run since the onset, though others did"
    errors, skipped = int((status == ERROR).sum()), int((status == NOT_RUN).sum())
    return f"{what} came to no result since the onset: {counted(errors, 'error')}, {skipped} not run"


def _outcome(run: Run) -> str:
    return f"{run.passed} passed, {run.failed} failed, {counted(run.errors, 'error')}, {run.not_run} not run"


def _day(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us / 1e6, UTC):%a %d %b %H:%M} UTC"


def _evidence(before: list[Run], after: list[Run]) -> dict[str, Any]:
    gap = usual_gap_us(before)
    return {
        "runs_before": len(before),
        "runs_since_onset": len(after),
        "last_run_before": _iso(before[-1].at_us) if before else None,
        "usual_days_between_runs": None if gap is None else round(gap / DAY_US, 3),
        "since_onset": [
            {
                "run": run.name,
                "at": _iso(run.at_us),
                "passed": run.passed,
                "failed": run.failed,
                "errors": run.errors,
                "not_run": run.not_run,
            }
            for run in after
        ],
    }


def _iso(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat().replace("+00:00", "Z")
