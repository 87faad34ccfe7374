"""Their stack beside ours, as `unquiet drill` prints it: a line a watcher, and the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import click
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from unquiet.app.watchers import WATCHERS
from unquiet.app.watchers.watching import Kit
from unquiet.cli.own_folder import read_folder
from unquiet.drills.comparing import Standing, answer, noticed_by_theirs, standings
from unquiet.model.drills import Rehearsed
from unquiet.promql import read_rules
from unquiet.sources.evals import read_evals

F = TypeVar("F", bound=Callable[..., object])


def stack_options(command: F) -> F:
    """The options that tell of the user's own stack."""
    rules = click.option(
        "--rules",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Your Prometheus alert rules, to be judged beside unquiet. Repeat for more.",
    )
    evals = click.option(
        "--evals", multiple=True, metavar="PATH", help="Reports of your eval suite; default: those of the folder."
    )
    return rules(evals(command))


def kit_of(rules: Sequence[Path], evals: Sequence[str], folder: Path | None) -> Kit:
    """What the user has today: rule files, and evals and voices as named or, where there is a folder, as it holds them.

    Raises:
        UnreadableSource, ConfigError, StoreError: one of them cannot be read.
    """
    named = pa.concat_tables([table for read in read_evals(evals) for table in read.tables]) if evals else None
    for path in rules:
        read_rules(path)
    if folder is None:
        return Kit(tuple(rules), named)
    with read_folder(folder) as store:
        return Kit(
            tuple(rules),
            named if named is not None else store.evals.read(),
            store.voices.read(),
            store.voice_joins.read(),
        )


def asked(found: Sequence[Rehearsed]) -> list[Rehearsed]:
    """The rehearsals that the stack was asked about: drills of unquiet itself change nothing that it could see."""
    return [each for each in found if each.watchers]


def stack_document(found: Sequence[Rehearsed], control: Mapping[str, bool]) -> dict[str, object]:
    """What the watchers made of all rehearsals, for JSON."""
    found = asked(found)
    told = answer(found, control)
    says = {watcher.name: watcher.says for watcher in WATCHERS}
    return {
        "answer": str(told),
        "failures": told.failures,
        "noticed_by_stack": told.theirs,
        "noticed_with_unquiet": told.together,
        "noticed_by_nobody": told.nobody,
        "watchers": [
            asdict(each) | {"is_unknown": each.is_unknown, "says": says[each.watcher]}
            for each in standings(found, control)
        ],
    }


def stack_column(found: Sequence[Rehearsed], preset: str) -> str:
    """In how many rehearsals of a drill any of the watchers noticed it; of unquiet's own failures they can know nothing."""
    mine = [each for each in asked(found) if each.preset == preset]
    return "-" if not mine else f"{sum(map(noticed_by_theirs, mine))}/{len(mine)}"


def show_stack(console: Console, found: Sequence[Rehearsed], control: Mapping[str, bool]) -> None:
    """Print a line a watcher, what could not be asked, and the answer; nothing where no watcher was asked."""
    found = asked(found)
    if not found:
        return
    table = Table(box=None, pad_edge=False)
    for name in ("your stack", "failures noticed", "rehearsals", "false alarms", "rings on controls"):
        table.add_column(name, justify="left" if name == "your stack" else "right", no_wrap=True)
    told = standings(found, control)
    if not told:
        return
    for each in told:
        table.add_row(each.watcher, *_cells(each))
    console.print()
    console.print(table)
    for each in told:
        for rule, why in each.unknown.items():
            name = each.watcher if rule == each.watcher else f"{each.watcher}, {rule}"
            console.print(f"not evaluated: {name}: {why}", soft_wrap=True, highlight=False)
    text = str(answer(found, control))
    console.print(text[:1].upper() + text[1:], soft_wrap=True)


def _cells(each: Standing) -> tuple[str, str, str, str]:
    if each.is_unknown:
        return "unknown", "unknown", "unknown", "unknown"
    return (
        str(len(each.failures)),
        f"{each.noticed}/{each.rehearsals}",
        f"{each.false_alarms}/{each.rehearsals + each.controls}",
        f"{each.on_controls}/{each.controls}",
    )
