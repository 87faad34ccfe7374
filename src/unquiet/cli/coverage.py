"""`unquiet coverage`: what production asks that no eval does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import orjson
from rich.table import Table

from unquiet.app.coverage import coverage_map
from unquiet.app.folders import known_folder
from unquiet.cli.options import read_db
from unquiet.cli.own_folder import own_folder
from unquiet.cli.showing import Output, printing
from unquiet.cli.why_green import evals_option, read_extra
from unquiet.incidents.wording import percent
from unquiet.model.wording import counted

SHOWN = 20


@click.command("coverage", short_help="Show what production asks that no eval does.")
@evals_option
@click.option("--all", "every_kind", is_flag=True, help="Show every kind of request.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON, schema unquiet.coverage/1.")
@read_db
def coverage_command(evals: tuple[str, ...], every_kind: bool, as_json: bool, db: Path | None) -> None:
    """Show what production asks that no eval does, and the ten cases that would add most.

    \b
    unquiet coverage
    unquiet coverage --evals reports/ --json
    """  # noqa: D301
    extra = read_extra(evals)
    with own_folder(known_folder(db)) as look:
        found = coverage_map(look.store, extra)
    with printing():
        if as_json:
            click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        else:
            _show(Output(), found, every_kind=every_kind)


def _show(console: Output, found: Mapping[str, Any], *, every_kind: bool) -> None:
    if found["note"]:
        console.print(str(found["note"]), soft_wrap=True)
    cases = counted(found["cases_with_input"], "eval case")
    said = f"{percent(found['untouched_share'])} of the traffic is touched by none of {cases}"
    read = f"{counted(found['requests'], 'request')} looked at; kinds from {found['kinds_from']}"
    console.print(f"{said} ({read})", style="bold", soft_wrap=True)
    console.print()
    kinds = found["kinds"] if every_kind else found["kinds"][:SHOWN]
    table = Table("kind of request", "traffic", "cases", "untouched", box=None, pad_edge=False)
    for kind in kinds:
        table.add_row(kind["kind"], percent(kind["share"]), str(kind["cases"]), percent(kind["untouched_share"]))
    console.print(table)
    if len(kinds) < len(found["kinds"]):
        console.print(f"and {len(found['kinds']) - len(kinds)} more (--all)", style="dim")
    if found["add"]:
        console.print("\nthe cases that would add most:")
    for rank, each in enumerate(found["add"], start=1):
        console.print(f"  {rank}. {each['request']}", soft_wrap=True)
        console.print(f"     {each['kind']}, session {each['session_id']}", style="dim", soft_wrap=True)
