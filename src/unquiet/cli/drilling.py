"""`unquiet drill`: known failures in recorded traffic, and who notices."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import click
import orjson
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from unquiet.app.folders import known_folder
from unquiet.app.nightly import latest_of, titles_of
from unquiet.app.rehearsing import Rehearsal, failure_of
from unquiet.cli.drill_fire import fire, fire_options
from unquiet.cli.drill_nights import check_seeds, exit_code, keep, night_options, night_turns, show_night, write_junit
from unquiet.cli.drill_report import map_of, report_options, rests_on, write_reports
from unquiet.cli.drill_stack import kit_of, show_stack, stack_column, stack_document, stack_options
from unquiet.cli.map_page import with_map
from unquiet.cli.options import read_db
from unquiet.cli.own_folder import read_folder
from unquiet.cli.showing import Bar, Output, printing
from unquiet.drills import PRESETS, UNDRILLED
from unquiet.drills.deaths import DEATH_PRESETS, death_of
from unquiet.drills.scorecard import Score, score
from unquiet.model.drills import Preset, Rehearsed
from unquiet.model.errors import ConfigError
from unquiet.model.settings import Settings
from unquiet.model.turns import empty_turns
from unquiet.sources import read_files

FAMILY = "d19"
"""Names all drills of the monitor itself."""

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
@report_options
@night_options
@fire_options
@stack_options
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
    html: Path | None,
    markdown: Path | None,
    nightly: bool,
    junit: Path | None,
    is_fire: bool,
    config_path: Path | None,
    rules: tuple[Path, ...],
    evals: tuple[str, ...],
    db: Path | None,
) -> None:
    """Put known silent failures into recorded traffic, replay it as in production, and see what is heard, when, by whom.

    Nothing is written into the folder, and nobody is alerted. With --nightly the scorecard is kept there, and compared with those
    of the last month.

    \b
    unquiet drill --list
    unquiet drill --preset D9 --preset D14 --seeds 20
    unquiet drill --traffic traffic.jsonl.gz --json > scorecard.json
    unquiet drill --seeds 20 --html drills.html
    unquiet drill --nightly --junit drills.xml
    unquiet drill --fire --config unquiet.toml
    """  # noqa: D301
    presets = _presets(names)
    if only_list:
        with printing():
            _show_list(presets)
        return
    if is_fire:
        sys.exit(fire(presets if names else [], config_path))
    if nightly:
        check_seeds(seeds)
    settings = Settings(budget=budget, learn=timedelta(days=learn_days))
    kit = kit_of(rules, evals, None if traffic else known_folder(db))
    rehearsal = Rehearsal(_latest(traffic, db, settings) if nightly else _turns(traffic, db), settings, kit)
    found = _rehearse(rehearsal, presets, range(seeds))
    control = {each.name: failure_of(each).control for each in presets}
    scores = score(found, control)
    night = keep(db, scores, presets, settings) if nightly else None
    if junit is not None:
        write_junit(junit, scores, titles_of(presets), night)
    document = _document(scores, found, control, budget) | rests_on(presets, rehearsal.turns, settings, seeds, night)
    if html or markdown:
        write_reports(document | map_of(rehearsal, presets, found), html, markdown)
    with printing():
        if as_json:
            click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
        else:
            _show(scores, found)
            show_stack(Output(), found, control)
        if night is not None:
            show_night(night)
    sys.exit(exit_code(night))


def _rehearse(rehearsal: Rehearsal, presets: Sequence[Preset], seeds: Sequence[int]) -> list[Rehearsed]:
    """Every drill with every seed: those of traffic through the judge, those of the monitor on one of its own."""
    drills = rehearsal.drills([each for each in presets if death_of(each) is None], seeds)
    with Bar(Console(stderr=True)) as bar:
        found = rehearsal.run(drills, os.cpu_count() or 1, bar.update) if drills else []
    return [*found, *_deaths(presets, seeds, rehearsal.turns)]


def _presets(names: Sequence[str]) -> list[Preset]:
    every = [*PRESETS, *DEATH_PRESETS]
    if not names:
        return every
    known = {each.name.lower(): [each] for each in every} | {FAMILY: list(DEATH_PRESETS)}
    unknown = [name for name in names if name.lower() not in known]
    if unknown:
        raise ConfigError(
            f"--preset {', '.join(unknown)}: no such drill. The drills: {', '.join(e.name for e in every)}."
        )
    chosen = [each for name in names for each in known[name.lower()]]
    return list({each.name: each for each in chosen}.values())


def _deaths(presets: Sequence[Preset], seeds: Sequence[int], turns: pa.Table) -> list[Rehearsed]:
    """The drills of the monitor itself among them."""
    if not any(death_of(each) for each in presets):
        return []
    # They bring all parts of a service along, and other commands would wait for that.
    from unquiet.service.dying import rehearse_deaths

    return rehearse_deaths(presets, seeds, turns, os.cpu_count() or 1)


def _latest(traffic: Sequence[str], db: Path | None, settings: Settings) -> pa.Table:
    """The traffic of a night."""
    return latest_of(_turns(traffic, db), settings) if traffic else night_turns(db, settings)


def _turns(traffic: Sequence[str], db: Path | None) -> pa.Table:
    if traffic:
        tables = [table for read in read_files(traffic) for table in read.tables]
        return pa.concat_tables(tables) if tables else empty_turns()
    with read_folder(known_folder(db)) as store:
        extent = store.turn_extent()
        if extent.first is None or extent.last is None:
            return empty_turns()
        return store.turns_between(extent.first, extent.last + timedelta(microseconds=1))


def _document(
    scores: Sequence[Score], found: Sequence[Rehearsed], control: Mapping[str, bool], budget: float
) -> dict[str, object]:
    rehearsed = [asdict(each) | {"slice": each.slice.as_dict(), "ratio": each.ratio} for each in found]
    return {
        "schema": SCHEMA,
        "budget_per_30_days": budget,
        "scores": [asdict(s) for s in scores],
        "stack": stack_document(found, control),
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
    console = Output()
    console.print(table)
    console.print(f"{len(presets)} drills. Signals that none of them moves:")
    for name, why in UNDRILLED.items():
        console.print(f"  {name}: {why}", soft_wrap=True)


def _show(scores: Sequence[Score], found: Sequence[Rehearsed]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("drill", "found", "hours to it", "met", "of", "x best", "slice", "onset", "stack"):
        table.add_column(name, justify="left" if name == "drill" else "right", no_wrap=True)
    for each in scores:
        hours = "-" if each.hours is None else f"{each.hours[1]:.1f} ({each.hours[0]:.1f}-{each.hours[2]:.1f})"
        name = f"({each.preset})" if each.control else each.preset
        shares = ["-" if share is None else f"{share:.0%}" for share in (each.slice_right, each.onset_right)]
        met = "-" if each.met is None else f"{each.met:g}"
        theirs = stack_column(found, each.preset)
        ratio = "-" if each.ratio is None else f"{each.ratio:.1f}"
        table.add_row(name, f"{each.found}/{each.rehearsals}", hours, met, f"{each.affected:g}", ratio, *shares, theirs)
    console = Output()
    console.print(table)
    console.print(
        "In brackets: harmless changes. met: affected sessions before the alarm; best: an oracle that sees whom they meet."
    )
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
