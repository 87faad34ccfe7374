"""What the demo prints: what is about to be played, the incident, the truth beside it, and what to do next."""

from __future__ import annotations

from datetime import timedelta

from rich.console import Console
from rich.table import Table

from unquiet.app.demonstrating import Comparison, Demo
from unquiet.app.status_lines import slice_name
from unquiet.cli.looking import Stored
from unquiet.cli.moments import clock, moment
from unquiet.cli.showing import read_line, show_incident, show_incidents, show_reports, show_steps
from unquiet.store import Store

INTRO = """\
Two weeks of a made-up shop's support agent: ten kinds of request, five locales, tools, quiet nights, other weekends.
In one kind of request and one locale the agent quietly begins to fail. unquiet is not told; it reads the file like any
other. This takes about half a minute, the second time a few seconds.
"""


def show_demo(console: Console, demo: Demo) -> None:
    """The answer of the scan and, where the story was found, the incident beside what really happened."""
    document, found = demo.result.document, demo.found
    show_reports(console, demo.result.reports)
    console.print(read_line(document, f" read from {demo.story.turns}"), soft_wrap=True)
    incidents = document["incidents"]
    if isinstance(incidents, list) and (found is None or len(incidents) > 1):
        show_incidents(console, incidents, {})
    if found is None:
        return
    console.print()
    with Store.open(demo.store, create=False) as store:
        show_incident(console, found.incident, Stored(store, demo.store).turns, "", brief=True)
    _show_truth(console, demo, found)
    _show_charts(console, demo)
    _show_next(console, str(found.incident["id"]))


def _show_truth(console: Console, demo: Demo, found: Comparison) -> None:
    story, incident = demo.story, found.incident
    onset = incident["onset"]
    ends = " to ".join(clock(onset[end], story.onset) for end in ("earliest", "latest"))
    if found.deploy_rank is None:
        suspected = "not among the changes near the onset"
    else:
        suspected = f"number {found.deploy_rank} of {len(incident['suspects'])} changes near the onset"
    table = Table("", "what was done to the traffic", "what unquiet says", box=None, pad_edge=False)
    where = slice_name(story.slice)
    table.add_row("where", where, slice_name(incident["slice"]))
    since = f"{clock(onset['at'], story.onset)} ({ends})" + ("" if found.inside else ", which 1 time in 20 misses it")
    table.add_row("since", moment(story.onset.isoformat()), since)
    table.add_row("with", "{kind} {from} -> {to}".format_map(story.deploy), suspected)
    table.add_row("sessions", f"{len(story.affected)} met", f"{found.claimed} claimed, {found.right} of them met")
    table.add_row("noticed", "", f"{_span(found.late)} after it began, when {found.met} had been met")
    console.print("\nThe truth beside it", style="bold")
    console.print(table)


def _show_charts(console: Console, demo: Demo) -> None:
    table = Table("what the usual charts show", "before", "since", box=None, pad_edge=False)
    for chart in demo.story.charts:
        table.add_row(chart.name, chart.before, chart.since)
    console.print()
    console.print(table)


def _show_next(console: Console, incident_id: str) -> None:
    steps = (
        (f"report {incident_id}", "its post-mortem: facts, each with its source, and room for what only people know"),
        (f"incident {incident_id}", "the incident again, with all that speaks for and against each change"),
        (f"incident {incident_id} --sessions", "the ids of the sessions that it claims"),
        ("incidents", "all incidents of this traffic"),
        ("status", "what was read, and how small a change could have been seen"),
        ("scan YOUR-FILE", "your own traffic: JSONL, CSV or Parquet, a row a turn; traces and exports as they are"),
    )
    console.print("\nGo on with", style="bold")
    show_steps(console, steps)


def _span(late: timedelta) -> str:
    minutes = round(late.total_seconds() / 60)
    return f"{minutes // 60} h {minutes % 60} min"
