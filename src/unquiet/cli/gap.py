"""Commands that put evals and voices beside what unquiet saw."""

from __future__ import annotations

from pathlib import Path

import click

from unquiet.app.adding import Added, add_records
from unquiet.app.folders import known_folder
from unquiet.cli.exporting import export_evals_command
from unquiet.cli.gap_page import gap_command
from unquiet.cli.marking import changes_command
from unquiet.cli.options import read_db
from unquiet.cli.report_page import report_command
from unquiet.cli.showing import Output, show_reports
from unquiet.cli.voices import voices_command
from unquiet.cli.why_green import why_green_command
from unquiet.model.wording import counted
from unquiet.sources.evals import read_evals
from unquiet.store import Store


@click.command("evals", short_help="Add reports of an evaluation suite.")
@click.argument("paths", nargs=-1, required=True)
@read_db
def evals_command(paths: tuple[str, ...], db: Path | None) -> None:
    """Add reports of an evaluation suite to a folder.

    \b
    unquiet evals report.xml
    """  # noqa: D301
    with Store.open(known_folder(db), create=False) as store:
        _say(add_records(store, store.evals, read_evals(paths)), "eval result")


def _say(added: Added, what: str) -> None:
    show_reports(Output(stderr=True), added.reports)
    click.echo(f"{counted(added.new, what)} added", err=True)


GAP_COMMANDS = (
    evals_command,
    voices_command,
    export_evals_command,
    gap_command,
    report_command,
    why_green_command,
    changes_command,
)
