"""`unquiet drill`: known failures in recorded traffic, and who notices."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import click
import orjson
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from unquiet.app.folders import known_folder
from unquiet.app.rehearsing import Rehearsal, failure_of
from unquiet.cli.map_page import with_map
from unquiet.cli.options import read_db
from unquiet.cli.showing import Bar, Output, printing
from unquiet.drills import PRESETS
from unquiet.drills.scorecard import Score, score
from unquiet.model.drills import Preset, Rehearsed
from unquiet.model.errors import ConfigError
from unquiet.model.settings import Settings
from unquiet.model.turns import empty_turns
from unquiet.sources import read_files
from unquiet.store import Store

SCHEMA = "unquiet.drill/1"


@click.command("drill", short_help="Put known failures into recorded traffic; who notices?")
@click.option(
    "--preset", "names", multiple=True, metavar="NAME", help="A drill, by its name. Repeat for more; default: all."
)
@click.option("--list", "only_list", is_flag=True, help="Only list the drills.")
@click.option("--traffic", multiple=True, metavar="PATH", help="Recorded traffic; default: that of the folder.")
@click.option("--seeds", type=click.IntRange(1, 1000), default=5, show_default=True, help="Rehearsals of each drill.")
@click.option(
    "--budget", type=click.FloatRange(0.001, 1000), default=1.0, show_default=True, help="False incidents per 30 days."
)
@click.option(
    "--learn-days",
    type=click.FloatRange(0.5, 60),
    default=7.0,
    show_default=True,
    help="Length of the learning period.",
)
@click.option("--json", "as_json", is_flag=True, help=f"Print as JSON, schema {SCHEMA}.")
@read_db
@with_map
def drill_command(
    names: tuple[str, ...],
    only_list: bool,
    traffic: tuple[str, ...],
    seeds: int,
    budget: float,
    learn_days: float,
    as_json: bool,
    db: Path | None,
) -> None:
    """Put known silent failures into recorded traffic, replay it as in production, and see what is heard, when, by whom.

    Nothing is written into the folder, and nobody is alerted.

    \b
    unquiet drill --list
    unquiet drill --preset D9 --preset D14 --seeds 20
    unquiet drill --traffic traffic.jsonl.gz --json > scorecard.json
    """  # noqa: D301
    presets = _presets(names)
    if only_list:
        with printing():
            _show_list(presets)
        return
    settings = Settings(budget=budget, learn=timedelta(days=learn_days))
    rehearsal = Rehearsal(_turns(traffic, db), settings)
    with Bar(Console(stderr=True)) as bar:
        found = rehearsal.run(rehearsal.drills(presets, range(seeds)), os.cpu_count() or 1, bar.update)
    scores = score(found, {each.name: failure_of(each).control for each in presets})
    with printing():
        if as_json:
            click.echo(orjson.dumps(_document(scores, found, budget), option=orjson.OPT_INDENT_2).decode())
        else:
            _show(scores)
    sys.exit(0)


def _presets(names: Sequence[str]) -> list[Preset]:
    known = {each.name.lower(): each for each in PRESETS}
    unknown = [name for name in names if name.lower() not in known]
    if unknown:
        raise ConfigError(
            f"--preset {', '.join(unknown)}: no such drill. The drills: {', '.join(e.name for e in PRESETS)}."
        )
    return [known[name.lower()] for name in dict.fromkeys(names)] if names else list(PRESETS)


def _turns(traffic: Sequence[str], db: Path | None) -> pa.Table:
    if traffic:
        tables = [table for read in read_files(traffic) for table in read.tables]
        return pa.concat_tables(tables) if tables else empty_turns()
    with Store.open(known_folder(db), create=False) as store:
        extent = store.turn_extent()
        if extent.first is None or extent.last is None:
            return empty_turns()
        return store.turns_between(extent.first, extent.last + timedelta(microseconds=1))


def _document(scores: Sequence[Score], found: Sequence[Rehearsed], budget: float) -> dict[str, object]:
    rehearsed = [asdict(each) | {"slice": each.slice.as_dict(), "ratio": each.ratio} for each in found]
    return {
        "schema": SCHEMA,
        "budget_per_30_days": budget,
        "scores": [asdict(s) for s in scores],
        "rehearsals": rehearsed,
    }


def _show_list(presets: Sequence[Preset]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("drill", "what happens", "dose"):
        table.add_column(name, overflow="fold")
    for each in presets:
        where = " in one slice" if each.dose.slice_share else ""
        on = f", {each.dose.condition}" if each.dose.condition else ""
        table.add_row(
            each.name, f"{each.title} - the agent {failure_of(each).says}", f"{each.dose.share:.1%}{where}{on}"
        )
    Output().print(table)


def _show(scores: Sequence[Score]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("drill", "found", "after (quartiles)", "met before", "of", "x oracle", "slice", "onset"):
        table.add_column(name, justify="left" if name == "drill" else "right", no_wrap=True)
    for each in scores:
        hours = "-" if each.hours is None else f"{each.hours[1]:.1f} h ({each.hours[0]:.1f}-{each.hours[2]:.1f})"
        name = f"{each.preset} (control)" if each.control else each.preset
        shares = ["-" if share is None else f"{share:.0%}" for share in (each.slice_right, each.onset_right)]
        met = "-" if each.met is None else f"{each.met:g}"
        ratio = "-" if each.ratio is None else f"{each.ratio:.1f}"
        table.add_row(name, f"{each.found}/{each.rehearsals}", hours, met, f"{each.affected:g}", ratio, *shares)
    console = Output()
    console.print(table)
    failures = [each for each in scores if not each.control]
    always = sum(each.found == each.rehearsals for each in failures)
    never = [each.preset for each in failures if not each.found]
    false = sum(each.found for each in scores if each.control)
    console.print(
        f"{always} of {len(failures)} failures found every time; never: {', '.join(never) or 'none'}", soft_wrap=True
    )
    console.print(
        f"{false} false alarms in {sum(e.rehearsals for e in scores if e.control)} rehearsals of harmless changes"
    )
