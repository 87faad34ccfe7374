"""Their stack beside ours, as `unquiet drill` prints it: a line a watcher, and the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from unquiet.app.watchers import WATCHERS
from unquiet.drills.comparing import Standing, answer, noticed_by_theirs, standings
from unquiet.model.drills import Rehearsed


def stack_document(found: Sequence[Rehearsed], control: Mapping[str, bool]) -> dict[str, object]:
    """What the watchers made of all rehearsals, for JSON."""
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
    """In how many rehearsals of a drill any of the watchers noticed it."""
    mine = [each for each in found if each.preset == preset]
    return f"{sum(map(noticed_by_theirs, mine))}/{len(mine)}"


def show_stack(console: Console, found: Sequence[Rehearsed], control: Mapping[str, bool]) -> None:
    """Print a line a watcher, what could not be asked, and the answer."""
    table = Table(box=None, pad_edge=False)
    for name in ("your stack", "failures noticed", "rehearsals", "false alarms", "rings on controls"):
        table.add_column(name, justify="left" if name == "your stack" else "right", no_wrap=True)
    told = standings(found, control)
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
        return ("unknown",) * 4
    return (
        str(len(each.failures)),
        f"{each.noticed}/{each.rehearsals}",
        f"{each.false_alarms}/{each.rehearsals + each.controls}",
        f"{each.on_controls}/{each.controls}",
    )
