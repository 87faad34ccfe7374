"""Commands that put evals and voices beside what unquiet saw."""

from __future__ import annotations

from pathlib import Path

import click

from unquiet.app.adding import Added, add_records
from unquiet.app.folders import known_folder
from unquiet.cli.coverage import coverage_command
from unquiet.cli.options import read_db
from unquiet.cli.showing import Output, show_reports
from unquiet.cli.why_green import why_green_command
from unquiet.model.wording import counted
from unquiet.sources.evals import read_evals
from unquiet.sources.voices import read_voices
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


@click.command("voices", short_help="Add tickets, ratings and posts.")
@click.argument("paths", nargs=-1, required=True)
@read_db
def voices_command(paths: tuple[str, ...], db: Path | None) -> None:
    """Add tickets, ratings and posts to a folder.

    \b
    unquiet voices tickets.csv
    """  # noqa: D301
    with Store.open(known_folder(db), create=False) as store:
        _say(add_records(store, store.voices, read_voices(paths)), "voice")


def _say(added: Added, what: str) -> None:
    show_reports(Output(stderr=True), added.reports)
    click.echo(f"{counted(added.new, what)} added", err=True)


GAP_COMMANDS = (evals_command, voices_command, why_green_command, coverage_command)
