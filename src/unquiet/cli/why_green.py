"""`unquiet why-green`: why the evals did not see an incident."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import orjson
import pyarrow as pa

from unquiet.app.folders import known_folder
from unquiet.app.green import why_green
from unquiet.cli.moments import moment
from unquiet.cli.options import read_db
from unquiet.cli.own_folder import incident_of, own_folder
from unquiet.cli.showing import Output, printing, show_reports
from unquiet.model.wording import counted
from unquiet.sources.evals import read_evals

evals_option = click.option(
    "--evals", multiple=True, metavar="PATH", help="Reports to look at beside those in the folder; they are not kept."
)


@click.command("why-green", short_help="Say why the evals did not see an incident.")
@click.argument("incident_id")
@evals_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON, schema unquiet.why-green/1.")
@read_db
def why_green_command(incident_id: str, evals: tuple[str, ...], as_json: bool, db: Path | None) -> None:
    """Say why the evals did not see an incident.

    \b
    unquiet why-green 20260318-a50e8c
    unquiet why-green 20260318-a50e8c --evals reports/
    """  # noqa: D301
    extra = read_extra(evals)
    folder = known_folder(db)
    with own_folder(folder) as look:
        found = why_green(look.store, incident_of(look.store.incidents(), incident_id, folder), extra)
    with printing():
        if as_json:
            click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        else:
            _show(Output(), found)


def read_extra(paths: Sequence[str]) -> list[pa.Table]:
    """The eval results of files, with what was rejected said on standard error.

    Raises:
        UnreadableSource: a file cannot be read.
    """
    reads = list(read_evals(paths)) if paths else []
    tables = [table for read in reads for table in read.tables]
    show_reports(Output(stderr=True), [(str(read.path), read.report) for read in reads])
    return tables


def _show(console: Output, found: Mapping[str, Any]) -> None:
    console.print(str(found["title"]), style="bold", soft_wrap=True)
    console.print(_headline(found), soft_wrap=True)
    for rank, cause in enumerate(found["causes"], start=1):
        console.print(f"\n{rank}. {cause['cause']}", style="bold", soft_wrap=True)
        console.print(f"   {cause['said']}", soft_wrap=True)
        for pair in cause["evidence"].get("nearest", ())[:2]:
            console.print(f"   affected: {pair['request']}", style="dim", soft_wrap=True)
            console.print(
                f"   nearest:  {pair['case_input']} ({pair['case']}, distance {pair['distance']:.2f})",
                style="dim",
                soft_wrap=True,
            )
    for title, part in (("not known", "unknown"), ("not the reason", "ruled_out")):
        if found[part]:
            console.print(f"\n{title}:")
        for each in found[part]:
            console.print(f"  {each['cause']}: {each['said']}", soft_wrap=True)


def _headline(found: Mapping[str, Any]) -> str:
    evals, saw = found["evals"], found["saw"]
    if not evals["results"]:
        return "no evals are known, so why they were green cannot be said"
    known = f"{counted(evals['cases'], 'eval case')} known, last run {moment(evals['last'])}"
    if saw is not None:
        hours = saw["hours_after_the_alarm"]
        when = f"{abs(hours):.1f} hours {'after' if hours > 0 else 'before'} the alarm of unquiet"
        close = f", {len(saw['near_the_affected_requests'])} of them near the affected requests"
        cases = counted(len(saw["failed_cases"]), "case")
        return f"the evals were not green: {cases} failed since the onset, first {moment(saw['first_failed_at'])}, {when}{close}"
    if found["green"] is None:
        return f"{known}; none came to a result since the onset {_at(found)}"
    return f"{known}; green since the onset {_at(found)}"


def _at(found: Mapping[str, Any]) -> str:
    return f"({datetime.fromisoformat(found['onset']['at']):%a %d %b %H:%M} UTC)"
