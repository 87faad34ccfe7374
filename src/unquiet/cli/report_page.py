"""`unquiet report ID`: the post-mortem of an incident as Markdown, HTML or JSON."""

from __future__ import annotations

from pathlib import Path

import click
import orjson

from unquiet import __version__
from unquiet.app.folders import known_folder
from unquiet.app.incident_facts import green_causes
from unquiet.app.reporting import gather, shown_sessions
from unquiet.cli.looking import Document, Stored
from unquiet.cli.options import found_at, read_db
from unquiet.cli.own_folder import incident_of, own_folder
from unquiet.cli.showing import printing
from unquiet.model.errors import ConfigError, UnquietError
from unquiet.report import headline, report_sections, to_html, to_markdown
from unquiet.report.words import moment


@click.command("report", short_help="Write the post-mortem of an incident.")
@click.argument("incident_id")
@click.option("--html", "as_html", is_flag=True, help="One HTML file that needs nothing else; default: Markdown.")
@click.option("--json", "as_json", is_flag=True, help="Print the sections as JSON, schema unquiet.report/1.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write; default: standard output.")
@read_db
@click.pass_context
def report_command(
    context: click.Context, incident_id: str, as_html: bool, as_json: bool, out: Path | None, db: Path | None
) -> None:
    """Write the post-mortem of an incident: facts, each with its source, and room for what only people know.

    \b
    unquiet report 20260318-a50e8c
    unquiet report 20260318-a50e8c --html --out report.html
    """  # noqa: D301
    if as_html and as_json:
        raise ConfigError("--html and --json: expected one of them. Leave one out.")
    folder = known_folder(db)
    group = context.parent.command if context.parent is not None else None
    commands = group.commands if isinstance(group, click.Group) else {}
    with own_folder(folder) as look:
        document = incident_of(look.documents(), incident_id, folder)
        text = _written(look, document, found_at(folder), frozenset(commands), as_html=as_html, as_json=as_json)
    if out is None:
        with printing():
            click.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UnquietError(f"{out} cannot be written ({error.strerror}). Name another file with --out.") from error
    click.echo(f"{out} written", err=True)


def _written(
    look: Stored, document: Document, option: str, commands: frozenset[str], *, as_html: bool, as_json: bool
) -> str:
    turns = look.turns(shown_sessions(document))
    facts = gather(
        look.store,
        document,
        turns,
        look.coverage(),
        why_green=green_causes(look.store, document),
        voices=look.with_voices(document).get("voices"),
        option=option,
        commands=commands,
    )
    sections = report_sections(facts)
    if as_json:
        told = {
            "schema": "unquiet.report/1",
            "incident": document["id"],
            "title": document["title"],
            "sections": sections,
        }
        return orjson.dumps(told, option=orjson.OPT_INDENT_2).decode() + "\n"
    made_by = (
        f"Incident {document['id']}, as of {moment(document['told_at'], year=True)}; written by unquiet {__version__}."
    )
    write = to_html if as_html else to_markdown
    return write(headline(document), sections, made_by)
