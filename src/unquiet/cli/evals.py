"""`unquiet evals`: add reports of an evaluation suite, and list its runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import orjson

from unquiet.app.adding import add_records
from unquiet.app.eval_runs import read_document, read_report
from unquiet.app.folders import known_folder
from unquiet.cli.looking import look_into
from unquiet.cli.moments import moment
from unquiet.cli.options import read_db
from unquiet.cli.showing import Output, printing, show_reports
from unquiet.model.evals import STATUSES
from unquiet.model.wording import counted
from unquiet.service.asking import Served, served
from unquiet.sources.evals import read_evals
from unquiet.sources.finding import find_files
from unquiet.store import Store

SHOWN = 20
"""So many runs are listed, the last ones; --json has all."""


@click.command("evals", short_help="Add reports of an evaluation suite; list its runs.")
@click.argument("paths", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print the runs as JSON, schema unquiet.evals/1.")
@read_db
def evals_command(paths: tuple[str, ...], as_json: bool, db: Path | None) -> None:
    """Add reports of an evaluation suite to a folder: JUnit XML, promptfoo, Inspect, DeepEval, pytest-json-report, and
    evaluation results in OTLP. What is known already adds nothing. Without PATH, list the runs.

    \b
    unquiet evals report.xml results/
    unquiet evals
    """  # noqa: D205, D301
    folder = known_folder(db)
    new, read = _added(folder, paths) if paths else (0, [])
    with look_into(folder) as look:
        document = dict(look.evals())
    if paths:
        document |= {"added": new, "files": read}
    with printing():
        if as_json:
            click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
        elif not paths:
            show_runs(Output(), document["runs"])
    if paths:
        show_reports(Output(stderr=True), [(each["path"], read_report(each)) for each in read], "eval result")
        click.echo(f"{counted(new, 'eval result')} added", err=True)


def _added(folder: Path, paths: Sequence[str]) -> tuple[int, list[dict[str, Any]]]:
    """How many results were new, and what was read of each file. A service that owns the folder is sent the files."""
    service = served(folder, os.environ)
    if service is not None:
        return _sent(service, paths)
    with Store.open(folder, create=False) as store:
        added = add_records(store, store.evals, read_evals(paths))
        return added.new, [read_document(name, report) for name, report in added.reports]


def _sent(service: Served, paths: Sequence[str]) -> tuple[int, list[dict[str, Any]]]:
    answers = [service.send_evals(path) for path in find_files(paths)]
    return sum(answer["added"] for answer in answers), [each for answer in answers for each in answer["files"]]


def show_runs(console: Output, runs: Sequence[Mapping[str, Any]]) -> None:
    """The last runs, the latest last."""
    if not runs:
        console.print("no run of an evaluation suite is known: add reports with `unquiet evals PATH`", soft_wrap=True)
        return
    if len(runs) > SHOWN:
        console.print(f"the last {SHOWN} of {counted(len(runs), 'run')}", style="dim")
    for run in runs[-SHOWN:]:
        suite = ", ".join(run["suites"]) or str(run["run"])
        console.print(f"{moment(run['at'])}  {suite} ({run['tool']})", style="bold", soft_wrap=True)
        console.print(f"  {_numbers(run)}", soft_wrap=True)


def _numbers(run: Mapping[str, Any]) -> str:
    total = sum(run[name] for name in STATUSES) - run["on_turns"]
    counts = [f"{run[name]} {name.replace('_', ' ')}" for name in STATUSES if run[name]]
    requests = "every request known" if run["with_input"] == total else f"{run['with_input']} of {total} requests known"
    judged = [f"{run['on_turns']} of production turns"] if run["on_turns"] else []
    models = f"model {', '.join(run['models'])}" if run["models"] else "model not told"
    told = [*judged, models] if total == 0 else [*judged, requests, models]
    return "; ".join([", ".join(counts), *told])
