"""Every command, its options and its exit code: 0 nothing open, 1 open incidents; the others are in `running`."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import click
import orjson
from rich.console import Console

from unquiet import __version__
from unquiet.app.demonstrating import run_demo
from unquiet.app.folders import HOME, is_store, known_folder, remember, scan_folder
from unquiet.app.measuring import measure_files, needing_history
from unquiet.app.scanning import ScanResult, scan
from unquiet.app.status import OPEN
from unquiet.cli.demo_page import INTRO, show_demo
from unquiet.cli.drilling import drill_command
from unquiet.cli.forgetting import forget_command
from unquiet.cli.gap import GAP_COMMANDS
from unquiet.cli.labelling import judge_command, label_command
from unquiet.cli.looking import look_into
from unquiet.cli.options import found_at, keep_db, read_db
from unquiet.cli.serving import COMMANDS
from unquiet.cli.showing import (
    Bar,
    Output,
    printing,
    show_incident,
    show_incidents,
    show_reports,
    show_scan,
)
from unquiet.cli.status import show_status
from unquiet.cli.ui import ui_command
from unquiet.cli.voices import show_incident_voices
from unquiet.model.errors import ConfigError, UnquietError
from unquiet.model.settings import Settings
from unquiet.model.turns import TURNS
from unquiet.model.wording import counted


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="unquiet")
def unquiet() -> None:
    """Hear when an AI agent quietly starts to behave differently, inside a stated false-alarm budget."""


@unquiet.command("demo", short_help="Play two weeks of traffic with a quiet failure in it.")
@click.option("--seed", type=int, default=7, show_default=True, help="Another seed tells the story with other traffic.")
def demo_command(seed: int) -> None:
    """Play two weeks of a support agent's traffic with one quiet failure in it, and find it.

    \b
    unquiet demo
    """  # noqa: D301
    folder = HOME / "demo"
    console = Output()
    with printing():
        console.print(INTRO, soft_wrap=True)
    with Bar(Console(stderr=True)) as bar:
        demo = run_demo(folder, seed, bar.update)
    remember(demo.store)
    with printing():
        show_demo(console, demo)
    if demo.found is None:
        raise UnquietError(
            f"the demo's failure ({demo.story.slice} since {demo.story.onset:%d %b %H:%M} UTC) was not found with seed "
            f"{seed}. Run it without --seed, and please report the seed."
        )


@unquiet.command("scan", short_help="Find the incidents in recorded traffic.")
@click.argument("paths", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, schema unquiet.scan/1.")
@keep_db
@click.option("--budget", type=float, default=1.0, show_default=True, help="False incidents accepted per 30 days.")
@click.option("--map", "maps", multiple=True, metavar="NAME=COLUMN", help="Which column holds NAME: input=question.")
@click.option(
    "--changes",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Deploy markers: time, kind, from, to; or events of other tools.",
)
@click.option("--evals", multiple=True, metavar="PATH", help="Reports of an evaluation suite; see `unquiet evals`.")
@click.option(
    "--voices", multiple=True, type=click.Path(path_type=Path), help="Tickets, ratings, posts: see `unquiet voices`."
)
@click.option("--learn-days", type=float, default=7.0, show_default=True, help="Length of the learning period.")
def scan_command(
    paths: tuple[str, ...],
    as_json: bool,
    db: Path | None,
    budget: float,
    maps: tuple[str, ...],
    changes: tuple[Path, ...],
    evals: tuple[str, ...],
    voices: tuple[Path, ...],
    learn_days: float,
) -> None:
    """Read recorded traffic and find the incidents in it.

    \b
    unquiet scan traffic.jsonl.gz
    unquiet scan exports/ --changes deploys.jsonl --json
    unquiet scan chat.csv --map input=question --map output=answer
    """  # noqa: D301
    settings = _settings(budget, learn_days)
    mapping = _mapping(maps)
    folder = db or scan_folder(paths, mapping, settings)
    try:
        with Bar(Console(stderr=True)) as bar:
            result = scan(
                paths,
                folder,
                settings,
                mapping=mapping,
                changes=changes,
                evals=evals,
                voices=voices,
                progress=bar.update,
            )
    except KeyboardInterrupt:
        if is_store(folder):
            remember(folder)
        raise
    remember(folder)
    _print_scan(result, folder, as_json)
    sys.exit(_code([str(i["status"]) for i in _incidents(result)]))


@unquiet.command("incidents", short_help="List the incidents of a folder.")
@read_db
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def incidents_command(db: Path | None, as_json: bool) -> None:
    """List the incidents of a folder.

    \b
    unquiet incidents
    unquiet incidents --db history --json
    """  # noqa: D301
    folder = known_folder(db)
    with look_into(folder) as look:
        documents, coverage = look.documents(), look.coverage()
    with printing():
        if as_json:
            shown = [{k: v for k, v in d.items() if k != "session_ids"} for d in documents]
            click.echo(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode())
            if "not_judged" in coverage:
                click.echo(coverage["not_judged"], err=True)
        else:
            show_incidents(Output(), documents, coverage)
            Output().print(f"in {folder}", style="dim", soft_wrap=True)
    sys.exit(_code([str(d["status"]) for d in documents]))


@unquiet.command("incident", short_help="Show one incident.")
@click.argument("incident_id")
@click.option("--sessions", is_flag=True, help="Print only the ids of the sessions it claims were affected.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@read_db
def incident_command(incident_id: str, sessions: bool, as_json: bool, db: Path | None) -> None:
    """Show one incident.

    \b
    unquiet incident 20260318-a50e8c
    unquiet incident 20260318-a50e8c --sessions > affected.txt
    """  # noqa: D301
    folder = known_folder(db)
    with look_into(folder) as look:
        documents = {str(each["id"]): each for each in look.documents()}
        document = documents.get(incident_id)
        if document is None:
            known = ", ".join(documents)
            said = f"its incidents: {known}. Name one of them" if known else "it has none. Look into another with --db"
            raise UnquietError(f"no incident {incident_id} in {folder}; {said}.")
        with printing():
            if sessions:
                click.echo("\n".join(document["session_ids"]))
            elif as_json:
                click.echo(orjson.dumps(look.with_voices(document), option=orjson.OPT_INDENT_2).decode())
            else:
                show_incident(Output(), document, look.turns, found_at(folder))
                told = look.with_voices(document).get("voices")
                if told is not None:
                    show_incident_voices(Output(), told)
    sys.exit(0 if sessions else _code([str(document["status"])]))


@unquiet.command("measure", short_help="Write the signals of every turn to a file.")
@click.argument("paths", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Parquet, or JSONL by its ending.")
@click.option("--sessions", is_flag=True, help="One row a session, with the session signals.")
@click.option("--map", "maps", multiple=True, metavar="NAME=COLUMN", help="Which column holds NAME: input=question.")
def measure_command(paths: tuple[str, ...], out: Path, sessions: bool, maps: tuple[str, ...]) -> None:
    """Write the behaviour signals of every turn (or session) to a file.

    \b
    unquiet measure traffic.jsonl.gz --out signals.parquet
    unquiet measure traffic.jsonl.gz --out sessions.jsonl --sessions
    """  # noqa: D301
    measured = measure_files(paths, _mapping(maps), out, per_session=sessions)
    show_reports(Output(stderr=True), measured.reports)
    lost = sum(report.lost_rows for _, report in measured.reports)
    what = counted(measured.rows, "session" if sessions else "turn")
    click.echo(f"{what} measured, {counted(lost, 'row')} not used -> {out}", err=True)
    if sessions:
        click.echo(
            f"  {', '.join(needing_history())}: needs history, so it has no value here; `unquiet scan` reads it",
            err=True,
        )


@unquiet.command("status", short_help="Say what was read, judged and cannot be seen.")
@read_db
@click.option("--all", "every_slice", is_flag=True, help="Show every slice, pairs of facet values too.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def status_command(db: Path | None, every_slice: bool, as_json: bool) -> None:
    """Say what was read, what was judged and what cannot be seen.

    \b
    unquiet status
    unquiet status --all
    """  # noqa: D301
    folder = known_folder(db)
    with look_into(folder) as look:
        known = look.status()
    with printing():
        if as_json:
            click.echo(orjson.dumps(known, option=orjson.OPT_INDENT_2).decode())
        else:
            show_status(Output(), known, every_slice=every_slice)


unquiet.add_command(drill_command)
unquiet.add_command(forget_command)
unquiet.add_command(label_command)
unquiet.add_command(judge_command)
unquiet.add_command(ui_command)
for command in (*COMMANDS, *GAP_COMMANDS):
    unquiet.add_command(command)


def _settings(budget: float, learn_days: float) -> Settings:
    wrong: list[str] = []
    if not 0 < budget <= 1000:
        wrong.append(f"--budget {budget:g}: expected false incidents per 30 days, more than 0 and at most 1000")
    if not 0.5 <= learn_days <= 60:
        wrong.append(f"--learn-days {learn_days:g}: expected days, from 0.5 to 60")
    if wrong:
        raise ConfigError("; ".join(wrong))
    return Settings(budget=budget, learn=timedelta(days=learn_days))


def _mapping(maps: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in maps]
    names = [name for name, _, _ in pairs]
    shapeless = [text for text, (name, _, column) in zip(maps, pairs, strict=True) if not (name and column)]
    unknown = [name for name, _, column in pairs if name and column and name not in TURNS.names]
    wrong = [f"--map {text}: expected NAME=COLUMN, for example --map input=question" for text in shapeless]
    if unknown:
        wrong.append(
            f"--map {', '.join(unknown)}: no such NAME; expected one of {', '.join(TURNS.names)} (every other column is "
            "kept under its own name)"
        )
    wrong += [f"--map {name}: given twice; give it once" for name in sorted({n for n in names if names.count(n) > 1})]
    if wrong:
        raise ConfigError(". ".join(wrong))
    return {name: column for name, _, column in pairs}


def _incidents(result: ScanResult) -> list[dict[str, object]]:
    found = result.document["incidents"]
    return found if isinstance(found, list) else []


def _print_scan(result: ScanResult, folder: Path, as_json: bool) -> None:
    with printing():
        if as_json:
            click.echo(orjson.dumps(result.document, option=orjson.OPT_INDENT_2).decode())
        else:
            show_scan(Output(), result, folder, found_at(folder))


def _code(statuses: list[str]) -> int:
    return 1 if any(status in OPEN for status in statuses) else 0
