"""`unquiet drill`: known failures in recorded traffic, and who notices."""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import click
import orjson
import pyarrow as pa
from rich.console import Console

from unquiet.app.folders import known_folder
from unquiet.app.rehearsing import Rehearsal
from unquiet.cli.options import read_db
from unquiet.cli.showing import Bar
from unquiet.drills import PRESETS
from unquiet.model.settings import Settings
from unquiet.sources import read_files
from unquiet.store import Store


@click.command("drill", short_help="Put known failures into recorded traffic, and see who notices.")
@click.option("--preset", "names", multiple=True, help="A documented incident, by its name; default: all.")
@click.option("--traffic", multiple=True, help="Recorded traffic; default: that of the folder.")
@click.option("--seeds", type=click.IntRange(1, 1000), default=5, show_default=True, help="Rehearsals of each drill.")
@click.option("--learn-days", type=float, default=7.0, show_default=True, help="Length of the learning period.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@read_db
def drill_command(
    names: tuple[str, ...], traffic: tuple[str, ...], seeds: int, learn_days: float, as_json: bool, db: Path | None
) -> None:
    """Put known failures into recorded traffic, and see who notices."""
    presets = [each for each in PRESETS if not names or each.name in names]
    if traffic:
        turns = pa.concat_tables([table for read in read_files(traffic) for table in read.tables])
    else:
        with Store.open(known_folder(db), create=False) as store:
            extent = store.turn_extent()
            turns = store.turns_between(extent.first, extent.last + timedelta(microseconds=1))
    rehearsal = Rehearsal(turns, Settings(learn=timedelta(days=learn_days)))
    with Bar(Console(stderr=True)) as bar:
        found = rehearsal.run(rehearsal.drills(presets, range(seeds)), os.cpu_count() or 1, bar.update)
    if as_json:
        click.echo(orjson.dumps([asdict(each) for each in found], option=orjson.OPT_INDENT_2).decode())
        return
    for each in found:
        hours = f"{(each.raised_us - each.onset_us) / 3.6e9:.1f} h" if each.raised_us else "not found"
        click.echo(
            f"{each.preset} {each.seed} {each.slice.name}: {hours}, met {each.met} of {each.affected}, {each.incident} {each.slice_right} {each.onset_right}"
        )
