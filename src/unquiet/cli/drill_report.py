"""`unquiet drill --html FILE --markdown FILE`: what the scorecard rests on, and the report of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import click
import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console

from unquiet import __version__
from unquiet.app.detectability import detectability
from unquiet.app.nightly import Night
from unquiet.app.rehearsing import DAY_US, Rehearsal, failure_of
from unquiet.cli.map_page import map_document
from unquiet.cli.showing import Bar
from unquiet.drills.deaths import death_of
from unquiet.drills.junit import lost_line, rang_line
from unquiet.drills.map import explains
from unquiet.model.detectability import WITHIN_DAYS, DetectabilityMap
from unquiet.model.drills import Preset, Rehearsed
from unquiet.model.errors import UnquietError
from unquiet.model.settings import Settings
from unquiet.report import drill_sections, drill_title, to_html, to_markdown
from unquiet.report.words import moment

C = TypeVar("C", bound=Callable[..., Any])

SAID_SLICES = 3
"""Slices in which a failure was missed that the map is asked about."""

_OPTIONS = tuple(
    click.option(
        f"--{name}",
        name,
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help=f"Write the report as {what}.",
    )
    for name, what in (("html", "one HTML file that needs nothing else"), ("markdown", "Markdown"))
)


def report_options(command: C) -> C:
    """The options of the report."""
    for add in reversed(_OPTIONS):
        command = add(command)
    return command


def rests_on(
    presets: Sequence[Preset], turns: pa.Table, settings: Settings, seeds: int, night: Night | None
) -> dict[str, object]:
    """What the figures of a scorecard rest on: the drills, the traffic, the settings; and what became of the night."""
    at = pc.min_max(turns.column("time")).as_py()
    told: dict[str, object] = {
        "seeds": seeds,
        "learn_days": settings.learn.total_seconds() / 86_400,
        "traffic": {
            "first": at["min"].isoformat(),
            "last": at["max"].isoformat(),
            "turns": turns.num_rows,
            "sessions": pc.count_distinct(turns.column("session_id")).as_py(),
        },
        "drills": [_drill(each) for each in presets],
    }
    if night is not None:
        told["night"] = {
            "lost": [f"{each.preset}, {lost_line(each)}" for each in night.lost],
            "rang": [f"{each.preset}, {rang_line(each)}" for each in night.rang],
        }
    return told


def map_of(rehearsal: Rehearsal, presets: Sequence[Preset], found: Sequence[Rehearsed]) -> dict[str, object]:
    """The detectability map of the undisturbed record, with the slices of the failures, and what it says of those missed.

    Empty where nothing was judged.
    """
    judged = rehearsal.judged
    if judged is None or judged.plan is None:
        return {}
    met = tuple(dict.fromkeys(each.slice for each in found))
    with Bar(Console(stderr=True)) as bar:
        map_ = detectability(judged, bar.update, also=met, helps=False)
    return {
        "map": map_document(map_, WITHIN_DAYS),
        "map_says": {each.name: said_of(map_, each, found) for each in presets},
    }


def said_of(map_: DetectabilityMap, preset: Preset, found: Sequence[Rehearsed]) -> list[str]:
    """What the map says of the rehearsals of a failure in which it was missed: a sentence a slice, for those most often missed.

    Its share is that of the slice's usual sessions that it met until the end, which tells of a dose that grows or has conditions
    too; of several rehearsals it is the median. Where those sessions are not known it is that of the dose.
    """
    failure, per_day = failure_of(preset), dict(map_.slices)
    if failure.control or death_of(preset) is not None:
        return []
    missed = [each for each in found if each.preset == preset.name and each.raised_us is None and each.affected]
    said: list[str] = []
    for where, _ in Counter(each.slice for each in missed).most_common(SAID_SLICES):
        own = [each for each in missed if each.slice == where]
        days = median((each.horizon_us - each.onset_us) / DAY_US for each in own)
        sessions = per_day.get(where, 0.0) * days
        met = min(median(each.affected for each in own) / sessions, 1.0) if sessions else preset.dose.share
        said.append(explains(map_, where, failure.signals, met, days))
    return said


def _drill(preset: Preset) -> dict[str, object]:
    failure, part = failure_of(preset), death_of(preset)
    return {
        "name": preset.name,
        "title": preset.title,
        "says": failure.says,
        "control": failure.control,
        "signals": list(failure.signals),
        "dose": asdict(preset.dose),
        "condition": part.condition if part is not None else None,
    }


def write_reports(document: dict[str, Any], html: Path | None, markdown: Path | None) -> None:
    """Write the files that were asked for.

    Raises:
        UnquietError: one cannot be written.
    """
    traffic = document["traffic"]
    made_by = (
        f"Drills on {traffic['turns']} turns, {moment(traffic['first'], year=True)} to {moment(traffic['last'], year=True)}; "
        f"written by unquiet {__version__}."
    )
    for path, write in ((html, to_html), (markdown, to_markdown)):
        if path is None:
            continue
        try:
            path.write_text(write(drill_title(document), drill_sections(document), made_by), encoding="utf-8")
        except OSError as error:
            raise UnquietError(f"{path} cannot be written ({error.strerror}). Name another file.") from error
        click.echo(f"{path} written", err=True)
