"""The timeline of a report: what happened when, each row with where it is known from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from unquiet.model.wording import counted
from unquiet.report.facts import Facts
from unquiet.report.plain import one_line
from unquiet.report.words import interval, moment, span

Document = Mapping[str, Any]
Row = tuple[str, str, str]
"""When (ISO), what, and where it is known from."""

MOST_RUNS = 2
"""Eval runs that are told of before the onset, and of those since."""

DEEDS = {
    "acknowledge": "acknowledged",
    "unacknowledge": "given back",
    "accept": "accepted as the new normal",
    "mute": "muted",
    "unmute": "unmuted",
}


def timeline(facts: Facts) -> list[dict[str, Any]]:
    """The rows in order of time."""
    rows = [*_of_incident(facts.document), *_of_evals(facts), *_of_voices(facts), *_of_panels(facts)]
    rows.sort(key=lambda row: datetime.fromisoformat(row[0]))
    shown = [[moment(at), what, source] for at, what, source in rows]
    over = facts.document.get("resolved_at")
    if not over:
        shown.append([moment(facts.document["told_at"]), "still so at the last look", "last session counted"])
    return [{"kind": "table", "head": ["when", "what", "known from"], "rows": shown}]


def _of_incident(document: Document) -> list[Row]:
    onset, raised = document["onset"], document["raised_at"]
    late = span(onset["at"], raised)
    rows: list[Row] = [(onset["at"], f"it began: {interval(onset)} (95 % interval)", "estimated from the sessions")]
    rows += [
        (each["at"], one_line(f"change: {each['kind']} {each['from']} -> {each['to']}"), one_line(each["source"], 80))
        for each in document["suspects"]
    ]
    rows.append(
        (raised, "unquiet raised the alarm" + (f", {late} after the most likely start" if late else ""), "unquiet")
    )
    for each in document.get("handled") or ():
        said = "; ".join(one_line(each[name]) for name in ("reason", "note") if each.get(name))
        what = f"{DEEDS.get(each['verb'], each['verb'])} by {one_line(each['who'], 60)}" + (f": {said}" if said else "")
        rows.append((each["at"], what, "unquiet"))
    if document.get("resolved_at"):
        rows.append((document["resolved_at"], "behaviour went back to what it was", "estimated from the sessions"))
    return rows


def _of_evals(facts: Facts) -> list[Row]:
    onset = datetime.fromisoformat(facts.document["onset"]["at"])
    runs = [run for run in facts.eval_runs if datetime.fromisoformat(run["at"]) >= onset - timedelta(days=14)]
    before = [run for run in runs if datetime.fromisoformat(run["at"]) < onset][-MOST_RUNS:]
    since = [run for run in runs if datetime.fromisoformat(run["at"]) >= onset][:MOST_RUNS]
    return [
        (run["at"], f"evals ran: {run['passed']} of {counted(run['ran'], 'case')} passed", one_line(run["run"], 80))
        for run in (*before, *since)
    ]


def _of_voices(facts: Facts) -> list[Row]:
    known, rows = facts.voices or {}, list[Row]()
    if known.get("first_at"):
        rows.append(
            (known["first_at"], "the first complaint about it", f"the first of {counted(known['count'], 'voice')}")
        )
    if known.get("alarm_at"):
        rows.append(
            (known["alarm_at"], "complaints alone would have raised an alarm", "the stream of voices, same budget")
        )
    return rows


def _of_panels(facts: Facts) -> list[Row]:
    panels = facts.beside["panels"] if facts.beside is not None else ()
    return [
        (each["first_fired_at"], f"{each['title']} left its usual range", "3-sigma rule of the dashboards, by day")
        for each in panels
        if each["verdict"] == "fired"
    ]
