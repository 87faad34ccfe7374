"""`unquiet gap`: sessions per day that went wrong and that nothing else saw, and what the dashboards showed meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table

from unquiet.app.folders import known_folder
from unquiet.app.gapping import DAYS, gap_document
from unquiet.app.saying import plain_name
from unquiet.cli.behaviours import readable
from unquiet.cli.moments import moment
from unquiet.cli.options import read_db
from unquiet.cli.own_folder import own_folder
from unquiet.cli.picture import BLOCKS, PLAIN
from unquiet.cli.showing import Output, printing
from unquiet.cli.status import WARN
from unquiet.incidents.wording import percent
from unquiet.model.wording import counted
from unquiet.report.words import panel_value, panel_verdict

Document = Mapping[str, Any]


@click.command("gap", short_help="Sessions a day that went wrong unseen.")
@read_db
@click.option("--days", type=click.IntRange(1, 366), default=DAYS, show_default=True, help="How many days back.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON, schema unquiet.gap/1.")
def gap_command(db: Path | None, days: int, as_json: bool) -> None:
    """Sessions a day that went wrong and that errors, latency and evals did not see.

    \b
    unquiet gap
    unquiet gap --days 14 --json
    """  # noqa: D301
    with own_folder(known_folder(db)) as look:
        document = gap_document(look.store, look.documents(), days)
        coverage = look.coverage()
    with printing():
        if as_json:
            click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
        else:
            show_gap(Output(), document, coverage)


def show_gap(console: Console, document: Document, coverage: Document) -> None:
    """The gap as a line of signs and a table, and below it the panels beside each incident."""
    if "not_judged" in coverage:
        console.print(str(coverage["not_judged"]), style=WARN, soft_wrap=True)
    days: Sequence[Document] = document["days"]
    console.print(gap_sentence(document), style="bold", soft_wrap=True)
    top = max((each["unseen"]["estimate"] for each in days), default=0.0)
    blocks = BLOCKS if "utf" in console.encoding.lower() else PLAIN
    signs = "".join(blocks[round((len(blocks) - 1) * each["unseen"]["estimate"] / top) if top else 0] for each in days)
    first, last = (date.fromisoformat(document[end]) for end in ("first", "last"))
    console.print(f"  unseen a day  {signs}  0 to {top:.0f}, {first:%a %d %b} to {last:%a %d %b}", soft_wrap=True)
    for each in document["left_out"]:
        console.print(f"  {each['incident']}: {each['why']}", style=WARN, soft_wrap=True)
    touched = [each for each in days if each["wrong"] > 0]
    if touched:
        _show_days(console, touched)
    for each in document["incidents"]:
        _show_panels(console, each)


def gap_sentence(document: Document) -> str:
    """The gap in a sentence: how many, of how many, and what saw the others."""
    days, unseen = len(document["days"]), document["unseen"]
    seen = ", ".join(f"{name} {value:.0f}" for name, value in document["seen_by"].items())
    return (
        f"in {counted(days, 'day')} {document['wrong']:.0f} sessions went wrong beyond expected; "
        f"{unseen['estimate']:.0f} of them ({unseen['low']:.0f} to {unseen['high']:.0f}) were seen by nothing else "
        f"(seen by: {seen})"
    )


def _show_days(console: Console, days: Sequence[Document]) -> None:
    table = Table("day", "went wrong", "seen", "unseen", "incidents", box=None, pad_edge=False)
    for each in days:
        unseen = each["unseen"]
        number = f"{unseen['estimate']:.0f} ({unseen['low']:.0f} to {unseen['high']:.0f})"
        day = f"{date.fromisoformat(each['day']):%a %d %b}"
        table.add_row(day, f"{each['wrong']:.0f}", f"{each['seen']:.0f}", number, ", ".join(each["incidents"]))
    console.print(table)


def _show_panels(console: Console, beside: Document) -> None:
    console.print(f"\n{beside['incident']}  {beside['title']}", style="bold", soft_wrap=True)
    table = Table("what the dashboards showed", "before", "since", "3 sigma, 7 days", box=None, pad_edge=False)
    for each in beside["panels"]:
        before, since = (panel_value(each.get(name), each["unit"]) for name in ("before", "since"))
        table.add_row(each["title"], before, since, panel_verdict(each))
    signal = beside["signal"]
    rates = (percent(signal[name]) if signal[name] is not None else "-" for name in ("before", "since"))
    table.add_row(f"{readable(plain_name(signal['event']))} (unquiet)", *rates, f"raised {moment(signal['raised_at'])}")
    console.print(table)
