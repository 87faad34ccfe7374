"""What is known of evaluation suites, as a document."""

from __future__ import annotations

from typing import Any

from unquiet.app.describing import iso
from unquiet.gap.runs import EvalRun, runs_of
from unquiet.model.rejections import ReadReport, Rejection
from unquiet.store import Store

SCHEMA = "unquiet.evals/1"
COLUMNS = ("run", "time", "tool", "suite", "status", "input", "model", "prompt_hash", "turn_id")


def eval_runs(store: Store) -> dict[str, Any]:
    """The runs that a folder knows, the earliest first, schema `unquiet.evals/1`."""
    return {"schema": SCHEMA, "runs": [_run(each) for each in runs_of(store.evals.read(COLUMNS))]}


def _run(run: EvalRun) -> dict[str, Any]:
    return {
        "run": run.run,
        "tool": run.tool,
        "suites": list(run.suites),
        "at": iso(run.first_us),
        "until": iso(run.last_us),
        **run.counts,
        "with_input": run.with_input,
        "on_turns": run.on_turns,
        "models": list(run.models),
        "prompt_hashes": list(run.prompt_hashes),
    }


def read_document(name: str, report: ReadReport) -> dict[str, Any]:
    """What was read of one report: its cases, those that were used, the rejections by kind with examples, and notes."""
    return {
        "path": name,
        "cases": report.rows,
        "used": report.turns,
        "rejected": dict(sorted(report.rejected.items())),
        "examples": [{"where": each.where, "reason": each.reason} for each in report.examples],
        "notes": list(report.notes),
    }


def read_report(document: dict[str, Any]) -> ReadReport:
    """A report from what `read_document` made of it."""
    return ReadReport(
        rows=document["cases"],
        turns=document["used"],
        rejected=dict(document["rejected"]),
        examples=[Rejection(each["where"], each["reason"]) for each in document["examples"]],
        notes=list(document["notes"]),
    )
