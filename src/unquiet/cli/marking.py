"""`unquiet mark` and `unquiet changes`: what changed beside the behaviour, told and listed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson

from unquiet.app.folders import known_folder
from unquiet.app.marks import mark, row_of
from unquiet.cli.looking import look_into
from unquiet.cli.moments import moment
from unquiet.cli.options import read_db, who
from unquiet.cli.showing import Output, printing, show_reports
from unquiet.model.changes import Change
from unquiet.model.errors import ConfigError
from unquiet.model.rejections import ReadReport
from unquiet.model.wording import counted
from unquiet.service.asking import served
from unquiet.sources.changes import read_changes, scope_of, tags_of
from unquiet.store import Store


@click.command("mark", short_help="Announce a change: a deploy, a new prompt, another model.")
@click.argument("what", required=False)
@click.option("--kind", default="deploy", show_default=True, help="What changed: prompt, model, tools, release.")
@click.option("--from", "before", metavar="VERSION", help="The version before.")
@click.option("--to", "after", metavar="VERSION", help="The version after; WHAT is then a note. Default: WHAT.")
@click.option("--at", metavar="TIME", help="When it happened, ISO 8601; default: now.")
@click.option("--scope", metavar="FACET=VALUE", multiple=True, help="Only this part of the traffic was changed.")
@click.option("--file", "files", type=click.Path(path_type=Path), multiple=True, help="All changes of a file.")
@click.option("--git-tags", "repositories", metavar="REPO", multiple=True, help="All tags of a Git repository.")
@read_db
def mark_command(
    what: str | None,
    kind: str,
    before: str | None,
    after: str | None,
    at: str | None,
    scope: tuple[str, ...],
    files: tuple[Path, ...],
    repositories: tuple[str, ...],
    db: Path | None,
) -> None:
    """Announce a change, so that an incident near it can name it. The same change twice counts once.

    \b
    unquiet mark "prompt v12"
    unquiet mark v12 --kind prompt --from v11 --at 2026-03-10T14:00:00Z
    unquiet mark v12 --kind prompt --scope tenant=harbor
    unquiet mark --file deployments.json --git-tags .
    """  # noqa: D301
    report = ReadReport()
    changes = [change for path in files for change in read_changes(path, report)]
    changes += [change for each in repositories for change in tags_of(Path(each), report)]
    version = after or what
    if version is not None:
        source = f"{who()}: {what}" if after and what else who()
        changes.append(Change(_moment(at), kind, before, version, source, _scope(scope)))
    elif not files and not repositories:
        raise ConfigError(
            'nothing to mark: say what changed, as in `unquiet mark "prompt v12"`, or name --file or --git-tags.'
        )
    if report.rejected_count:
        show_reports(Output(stderr=True), [(", ".join([*map(str, files), *repositories]), report)])
    new = _remember(known_folder(db), changes)
    if len(changes) == 1:
        (change,) = changes
        came = f"{change.before} -> {change.after}" if change.before else change.after
        click.echo(f"marked {change.kind} {came} at {change.at:%Y-%m-%d %H:%M} UTC")
    else:
        click.echo(f"marked {counted(len(changes), 'change')}, {new} of them new")


@click.command("changes", short_help="List what changed: announced, and seen in the traffic.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON, schema unquiet.changes/1.")
@read_db
def changes_command(as_json: bool, db: Path | None) -> None:
    """List the changes that were announced and those that the traffic showed, in order of time.

    \b
    unquiet changes
    unquiet changes --db history --json
    """  # noqa: D301
    with look_into(known_folder(db)) as look:
        document = look.changes()
    with printing():
        if as_json:
            click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
        else:
            _show(Output(), document)


def _remember(folder: Path, changes: Sequence[Change]) -> int:
    """Keep changes in the folder, or tell the service that owns it; how many were not known."""
    service = served(folder, os.environ)
    if service is None:
        with Store.open(folder, create=False) as store:
            return mark(store, changes)
    known = len(service.changes()["changes"])
    for change in changes:
        service.mark({name: value for name, value in row_of(change).items() if value is not None})
    return len(service.changes()["changes"]) - known


def _show(console: Output, document: Mapping[str, Any]) -> None:
    changes: Sequence[Mapping[str, Any]] = document["changes"]
    if not changes:
        console.print("no change is known (announce changes with `unquiet mark` or `scan --changes`)", soft_wrap=True)
        return
    for each in changes:
        scope = "".join(f", only {facet}={value}" for facet, value in (each.get("scope") or {}).items())
        line = f"{moment(each['at'])}  {each['kind']} {each['from']} -> {each['to']}{scope} ({each['source']})"
        console.print(line, soft_wrap=True, highlight=False)
    said = [f"{each['kind']} {counted(each['changes'], 'time')}" for each in document["kinds"]]
    days = next((each["days"] for each in document["kinds"]), None)
    over = "" if days is None else f" in {counted(days, 'day')}"
    console.print(f"how routine{over}: {', '.join(said)}", soft_wrap=True, highlight=False)


def _scope(parts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    try:
        return scope_of(",".join(parts))
    except ValueError as error:
        raise ConfigError(f"--scope: {error}.") from None


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--at {text}: expected a time like 2026-03-10T14:00:00Z.") from None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
