"""What the dashboards of a folder would have shown, and the gap: a number per day of sessions that nothing else saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from unquiet.gap.dashboards import (
    COLUMNS,
    DAY_US,
    EVALS,
    HOUR_US,
    TRAILING_US,
    Panel,
    Verdict,
    bucketed,
    daily_panel,
    eval_panel,
    slow_limits,
    turn_panels,
    verdict,
)
from unquiet.gap.unseen import Gap, sighted, unseen
from unquiet.model.errors import StoreError
from unquiet.model.evals import ERROR, FAILED
from unquiet.store import Store

Document = Mapping[str, Any]

DAYS = 28
DAY = timedelta(days=1)
LEAD = timedelta(microseconds=TRAILING_US)
SIGHTED = ("turn_id", "session_id", "time", "error", "latency_ms")
NO_EVALS = "not looked at: no evals were added (unquiet evals PATH)"
Drawn = dict[datetime, tuple[int, Mapping[int, pa.Table]]]
"""By day: how many turns it has, and its buckets by width."""

NEVER = {"error_rate": "no error was ever recorded", "tool_error_rate": "no error of a tool was ever recorded"}


def gap_document(
    store: Store, documents: Sequence[Document], days: int = DAYS, drawn: Drawn | None = None
) -> dict[str, Any]:
    """The gap of the last `days` days of the folder's traffic, and the panels beside each incident: `unquiet.gap/1`.

    `drawn` is as of `draw`.

    Raises:
        StoreError: the folder holds no turns.
    """
    first, last = window(store, days)
    panels = draw(store, first - LEAD, last + DAY, drawn)
    found = the_gap(store, documents, slow_limits(panels), [first + i * DAY for i in range((last - first) // DAY + 1)])
    mine = [each for each in documents if _touches(each, first)]
    return {
        "schema": "unquiet.gap/1",
        "first": f"{first:%Y-%m-%d}",
        "last": f"{last:%Y-%m-%d}",
        "days": [_day(each) for each in found.days],
        "wrong": round(found.wrong, 2),
        "seen": round(found.seen, 2),
        "seen_by": {name: round(value, 2) for name, value in found.seen_by.items()},
        "unseen": _number(found.unseen),
        "left_out": [{"incident": name, "why": why} for name, why in found.left_out],
        "incidents": [incident_panels(each, panels) for each in mine],
    }


def window(store: Store, days: int) -> tuple[datetime, datetime]:
    """The first and the last day (their beginnings, UTC) of the newest `days` days of traffic, fewer where there are fewer.

    Raises:
        StoreError: the folder holds no turns.
    """
    extent = store.turn_extent()
    if extent.first is None or extent.last is None:
        raise StoreError("the folder holds no turns, so there is no day to tell of. Scan traffic into it first.")
    last = _midnight(extent.last)
    return max(_midnight(extent.first), last - (days - 1) * DAY), last


def draw(store: Store, begin: datetime, end: datetime, drawn: Drawn | None = None) -> list[Panel]:
    """The panels by day, by hour, and of the evals where there are any, from the turns of begin <= time < end.

    A day is read at a time, so that a long history needs no more memory than its busiest day. `drawn` keeps what was read for the
    next time; a day with another number of turns is read again.
    """
    tables: dict[int, list[pa.Table]] = {DAY_US: [], HOUR_US: []}
    kept = {} if drawn is None else drawn
    for day, count in store.turns_per_day():
        if begin <= day < end:
            known = kept.get(day)
            if known is None or known[0] != count:
                turns = store.turns_between(day, day + DAY, columns=COLUMNS)
                known = count, {width: bucketed(turns, width) for width in tables}
                kept[day] = known
            for width, found in tables.items():
                found.append(known[1][width])
    panels = [each for width, found in tables.items() if found for each in turn_panels(pa.concat_tables(found), width)]
    results = store.evals.read()
    return [*panels, *([eval_panel(results)] if results.num_rows else [])]


def the_gap(store: Store, documents: Sequence[Document], slow_ms: Mapping[int, float], days: Sequence[datetime]) -> Gap:
    """The gap of some days, with the sessions that the documents claim looked up in the folder."""
    ids = sorted({str(name) for each in documents for name in each["session_ids"]})
    turns = store.turns_of_sessions(ids, columns=SIGHTED)
    results = store.evals.read(["status", "session_id", "turn_id"])
    failed = results.filter(pc.is_in(results.column("status"), pa.array([FAILED, ERROR])))
    return unseen(documents, sighted(turns, slow_ms, failed), [_us(day) for day in days])


def incident_panels(document: Document, panels: Sequence[Panel]) -> dict[str, Any]:
    """What every panel did from an incident's onset until it was over or told, and the incident's own signal beside them."""
    since = _us(datetime.fromisoformat(document["onset"]["at"]))
    until = _us(datetime.fromisoformat(document.get("resolved_at") or document["told_at"])) + 1
    hours = {panel.kind.name: verdict(panel, since, until) for panel in panels if panel.width_us == HOUR_US}
    shown = [panel for panel in panels if panel.width_us != HOUR_US]
    told = [_panel(panel, verdict(panel, since, until), hours.get(panel.kind.name), since) for panel in shown]
    if all(panel.kind is not EVALS for panel in shown):
        told.append(
            {"name": EVALS.name, "title": EVALS.title, "unit": EVALS.unit, "verdict": "unknown", "why": NO_EVALS}
        )
    return {
        "incident": document["id"],
        "title": document["title"],
        "signal": {
            "event": document["event"],
            "before": document["before"]["rate"],
            "since": document["after"]["rate"],
            "raised_at": document["raised_at"],
            "rule": _own_rule(document, since, until),
        },
        "panels": told,
    }


def _panel(panel: Panel, said: Verdict, hours: Verdict | None, since_us: int) -> dict[str, Any]:
    kind = panel.kind
    note = NEVER.get(kind.name, "") if said.since == 0.0 and not panel.value[panel.value > 0].size else ""
    return {
        "name": kind.name,
        "title": kind.title,
        "unit": kind.unit,
        "verdict": said.status,
        "why": said.why or note or None,
        "before": said.before,
        "since": said.since,
        "first_fired_at": _iso(said.first_fired_us) if said.first_fired_us is not None else None,
        "fired": said.fired,
        "judged": said.judged,
        "fired_before": said.fired_before,
        "judged_before": said.judged_before,
        "by_hour": _hours(hours),
        "points": _points(panel, since_us),
    }


def _own_rule(document: Document, since_us: int, until_us: int) -> dict[str, Any] | None:
    """What the dashboards' rule would have said of the incident's own rate in its slice, by day: had it been a panel."""
    days = document.get("by_day") or ()
    if not days:
        return None
    at = [_us(datetime.fromisoformat(f"{each['day']}T00:00:00Z")) for each in days]
    rates = [None if each["rate"] is None else float(each["rate"]) for each in days]
    panel = daily_panel(document["event"], at, rates, -1 if document["direction"] == "down" else 1)
    said = verdict(panel, since_us, until_us)
    return {
        "verdict": said.status,
        "why": said.why or None,
        "first_fired_at": _iso(said.first_fired_us) if said.first_fired_us is not None else None,
        "fired": said.fired,
        "judged": said.judged,
        "fired_before": said.fired_before,
        "judged_before": said.judged_before,
        "points": _points(panel, since_us),
    }


def _hours(said: Verdict | None) -> dict[str, int] | None:
    if said is None:
        return None
    names = ("fired", "judged", "fired_before", "judged_before")
    return {name: getattr(said, name) for name in names}


def _points(panel: Panel, since_us: int) -> list[dict[str, Any]]:
    """The points of a panel for a picture, from three weeks before a moment."""
    columns = (
        panel.at_us.tolist(),
        panel.value.tolist(),
        panel.low.tolist(),
        panel.high.tolist(),
        panel.fired.tolist(),
    )
    return [
        {
            "at": _iso(at),
            "until": _iso(at + panel.width_us),
            "value": _known(value),
            "low": _known(low),
            "high": _known(high),
            "fired": bool(fired),
        }
        for at, value, low, high, fired in zip(*columns, strict=True)
        if at >= since_us - 21 * DAY_US
    ]


def _touches(document: Document, first: datetime) -> bool:
    """Whether an incident went on after the beginning of a day."""
    return datetime.fromisoformat(document.get("resolved_at") or document["told_at"]) >= first


def _day(each: Any) -> dict[str, Any]:
    return {
        "day": f"{datetime.fromtimestamp(each.day_us / 1e6, UTC):%Y-%m-%d}",
        "wrong": round(each.wrong, 2),
        "seen": round(each.seen, 2),
        "unseen": _number(each.unseen),
        "incidents": list(each.incidents),
    }


def _number(found: Any) -> dict[str, float]:
    return {"estimate": round(found.estimate, 2), "low": round(found.low, 2), "high": round(found.high, 2)}


def _known(value: float) -> float | None:
    return value if value == value else None


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _us(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6)


def _iso(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).isoformat().replace("+00:00", "Z")
