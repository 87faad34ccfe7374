"""`unquiet drill --nightly`: the scorecard of the latest traffic, kept and compared; and scorecards as JUnit XML."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import pyarrow as pa

from unquiet.app.folders import known_folder
from unquiet.app.nightly import Night, keep_night, latest_turns
from unquiet.cli.showing import Output
from unquiet.drills.junit import lost_line, rang_line, to_junit
from unquiet.drills.scorecard import Score
from unquiet.model.drills import Preset
from unquiet.model.errors import ConfigError, StoreError, UnquietError
from unquiet.model.nights import LEAST_SEEDS
from unquiet.model.settings import Settings
from unquiet.service.asking import served
from unquiet.store import Store

C = TypeVar("C", bound=Callable[..., Any])

LOST = 4
"""Exit code: a drill that was found in the last month is not found any more."""

RANG = 5
"""Exit code: nothing is lost, but a harmless change raised an incident."""

_OPTIONS = (
    click.option(
        "--nightly",
        is_flag=True,
        help="On the latest traffic only; keep the scorecard in the folder and compare it with those of the last month.",
    ),
    click.option(
        "--junit",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Write JUnit XML for CI as well.",
    ),
)


def night_options(command: C) -> C:
    """The options of regular drills."""
    for add in reversed(_OPTIONS):
        command = add(command)
    return command


def check_seeds(seeds: int) -> None:
    """See that a loss could show.

    Raises:
        ConfigError: it could not, with so few rehearsals.
    """
    if seeds < LEAST_SEEDS:
        raise ConfigError(
            f"--nightly --seeds {seeds}: expected {LEAST_SEEDS} or more. With fewer rehearsals a night, chance explains every loss."
        )


def night_turns(db: Path | None, settings: Settings) -> pa.Table:
    """The latest traffic of a folder."""
    with _own(known_folder(db), create=False) as store:
        return latest_turns(store, settings)


def keep(db: Path | None, scores: Sequence[Score], presets: Sequence[Preset], settings: Settings) -> Night:
    """Keep the scorecard of a night; with a folder that is named and empty, the history begins in it."""
    with _own(known_folder(db), create=db is not None) as store:
        return keep_night(store, scores, presets, settings, datetime.now(UTC))


def _own(folder: Path, *, create: bool) -> Store:
    if served(folder, os.environ) is not None:
        raise StoreError(
            f"{folder} belongs to a running service. Let the service drill: set `nightly` in [drills] of its configuration; or "
            "name a copy of the folder with --db."
        )
    return Store.open(folder, create=create)


def show_night(night: Night) -> None:
    """What was lost, and what rang without a reason; to standard error, after the scorecard."""
    console = Output(stderr=True)
    for each in night.lost:
        console.print(f"LOST {each.preset}: {lost_line(each)}", soft_wrap=True, highlight=False)
    for each in night.rang:
        console.print(f"FALSE ALARM {each.preset}: {rang_line(each)}", soft_wrap=True, highlight=False)
    if not night.lost and not night.rang:
        console.print("nothing that was found in the last month is lost, and the controls were quiet", soft_wrap=True)


def exit_code(night: Night | None) -> int:
    """0, LOST or RANG."""
    if night is None:
        return 0
    return LOST if night.lost else RANG if night.rang else 0


def write_junit(path: Path, scores: Sequence[Score], titles: Mapping[str, str], night: Night | None) -> None:
    """Write the scorecard as JUnit XML.

    Raises:
        UnquietError: the file cannot be written.
    """
    text = to_junit(scores, titles, night.lost if night is not None else ())
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UnquietError(f"{path} cannot be written ({error.strerror}). Name another file with --junit.") from error
