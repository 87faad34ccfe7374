"""The report of drills: a scorecard (`unquiet.drill/1`) as the sections that reports are written from.

See `unquiet.report.sections` for what a section is. One more block is

    {"kind": "delays", "rows": [...], "caption": str}       a picture of the delays; its numbers stand in the table

and a table with `stack` is shown row by row on small screens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from unquiet.model.wording import counted, in_percent, percent
from unquiet.report.plain import one_line
from unquiet.report.sizes import map_blocks
from unquiet.report.words import moment

Document = Mapping[str, Any]
Section = dict[str, Any]
Row = Mapping[str, Any]

HOUR_US = 3_600_000_000
DAY_H = 24.0
SURE = 0.05
MOST_MISSES = 12
SOURCE = "unquiet drill --json"


MADE = (
    (
        "Failures are made by changing recorded answers, tool calls and lengths. What users would have said to that is not in it, "
        "and a real failure may read otherwise."
    ),
)
RECORD = "is taken as it is: an incident that it raises by itself is counted for no drill."
JUDGED = (
    (
        "Onsets lie at random moments after the learning period. A rehearsal ends with its first incident, after seven days, or "
        "with the record; what is not heard by then counts as missed."
    ),
    (
        "Found means that an incident was raised that the record alone does not raise. Whether it named the right slice and onset "
        "is told beside it."
    ),
)
MEASURED = (
    "The oracle is a CUSUM that is told of every session whether it was met, with the same alarm budget.",
    "Users are counted by their ids, where the record has them.",
    (
        "Drills of unquiet itself (D19) run its parts in a folder of their own with a clock moved by hand: the doors are only "
        "spoken for, receivers are stand-ins."
    ),
)


def drill_sections(document: Document) -> list[Section]:
    """The sections of a report of drills, in the order in which they are read; those without facts are left out."""
    made = [
        ("summary", "In short", _summary(document)),
        ("scorecard", "What was heard, and when", _scorecard(document)),
        ("misses", "What was missed, and why", _misses(document)),
        ("map", "How big a failure must be", map_blocks(document)),
        ("stack", "The present stack beside it", _stack(document)),
        ("controls", "Harmless changes", _controls(document)),
        ("assumed", "What was assumed", [{"kind": "list", "items": assumed(document)}]),
    ]
    return [
        {"id": name, "title": title, "source": SOURCE if name == "scorecard" else "", "blocks": blocks}
        for name, title, blocks in made
        if blocks
    ]


def drill_title(document: Document) -> str:
    """The answer as a heading."""
    failures = _failures(document)
    heard = sum(each["found"] == each["rehearsals"] for each in failures)
    return f"{heard} of {counted(len(failures), 'known failure')} would be heard every time"


def hours(value: float) -> str:
    """A length of time in its unit: `40 s`, `12 min`, `4.2 h`, `3.1 days`."""
    if value < 1 / 30:
        return f"{3600 * value:.0f} s"
    if value < 1:
        return f"{60 * value:.0f} min"
    return f"{value:.1f} h" if value < 2 * DAY_H else f"{value / DAY_H:.1f} days"


def dose(said: Row) -> str:
    """How much of the traffic a failure meets: `40 % of a slice of about 10 %`."""
    share = percent(said["share"])
    if said.get("slice_share"):
        text = f"{share} of a slice of about {percent(said['slice_share'])}"
    else:
        text = f"{share} of all sessions" if said["share"] < 1 else "all sessions"
    more = [said["condition"]] if said.get("condition") else []
    if said["shape"] == "ramp":
        more.append(f"growing for {said['ramp_days']:g} days")
    if said["shape"] == "flicker":
        more.append("every second hour")
    if said.get("sticky"):
        more.append("always the same users")
    if said.get("lasts_hours"):
        more.append(f"over after {said['lasts_hours']:g} h")
    return ", ".join([text, *more])


def _failures(document: Document) -> list[Row]:
    return [each for each in document["scores"] if not each["control"]]


def _named(document: Document) -> dict[str, Row]:
    return {each["name"]: each for each in document["drills"]}


def _summary(document: Document) -> list[Section]:
    failures = _failures(document)
    controls = [each for each in document["scores"] if each["control"]]
    always = [each for each in failures if each["found"] == each["rehearsals"]]
    never = [each for each in failures if not each["found"]]
    said = (
        f"{counted(len(failures), 'known silent failure was', 'known silent failures were')} put into recorded traffic, "
        f"{counted(document['seeds'], 'time')} each, and judged as in production. "
        f"{len(always)} were heard every time, {len(failures) - len(always) - len(never)} sometimes, {len(never)} never. "
    )
    if controls:
        rang = sum(each["found"] for each in controls)
        said += (
            f"Harmless changes raised {counted(rang, 'false alarm') if rang else 'no alarm'} in "
            f"{counted(sum(each['rehearsals'] for each in controls), 'rehearsal')}."
        )
    blocks: list[Section] = [{"kind": "text", "text": said}]
    stack: Row | None = document.get("stack")
    if stack and stack.get("watchers"):
        answer = str(stack["answer"])
        blocks.append({"kind": "text", "text": answer[:1].upper() + answer[1:] + "."})
    blocks.append({"kind": "facts", "rows": _tiles(document)})
    night: Row | None = document.get("night")
    if night:
        told = [f"Lost: {line}" for line in night["lost"]] + [f"False alarm: {line}" for line in night["rang"]]
        blocks.append({"kind": "list", "items": told or ["Nothing that was found in the last month is lost."]})
    return blocks


def _tiles(document: Document) -> list[list[str]]:
    named = _named(document)
    heard = [
        each["hours"][1] for each in _failures(document) if each["hours"] and not named[each["preset"]]["condition"]
    ]
    ratios = [each["ratio"] for each in _failures(document) if each["ratio"] is not None]
    traffic = document["traffic"]
    return [
        ["Traffic", f"{counted(traffic['sessions'], 'session')}, {traffic['first'][:10]} to {traffic['last'][:10]}"],
        ["Alarm budget", f"{counted(document['budget_per_30_days'], 'false incident')} per 30 days"],
        ["Until it is heard", f"{hours(median(heard))} (median of the drills)" if heard else "never heard"],
        ["Against the best possible", f"{median(ratios):.1f} times as long" if ratios else "not known"],
    ]


def _scorecard(document: Document) -> list[Section]:
    named = _named(document)
    head = ["drill", "dose", "found", "after", "met before the alarm", "met in all", "x oracle", "slice, onset right"]
    rows = [
        [f"{each['preset']}: {named[each['preset']]['title']}", *_score_cells(each, named)]
        for each in _failures(document)
    ]
    pictured = [each for each in _failures(document) if each["hours"]]
    blocks: list[Section] = []
    if pictured:
        blocks.append(
            {
                "kind": "delays",
                "caption": "From the onset to the alarm: the middle of the rehearsals that were heard, and their quartiles",
                "rows": [
                    {
                        "name": each["preset"],
                        "hours": each["hours"],
                        "found": each["found"],
                        "rehearsals": each["rehearsals"],
                    }
                    for each in sorted(pictured, key=lambda each: each["hours"][1])
                ],
            }
        )
    blocks.append({"kind": "table", "head": head, "rows": rows})
    blocks.append(
        {
            "kind": "text",
            "text": (
                "After: median (quartiles) from the onset to the alarm, of those that were heard. Met before the alarm: sessions "
                "and users whom the failure had reached by then; met in all: sessions in the whole rehearsal (medians). x oracle: "
                "the delay over that of a watch that is told of every session whether it was met; nobody can be much faster."
            ),
        }
    )
    return blocks


def _score_cells(each: Row, named: Mapping[str, Row]) -> list[str]:
    delay = each["hours"]
    met = f"{counted(round(each['met']), 'session')}, {counted(round(each['users']), 'user')}" if delay else "-"
    drill = named[each["preset"]]
    right = [each[name] for name in ("slice_right", "onset_right")]
    return [
        f"told by {drill['condition']}" if drill["condition"] else dose(drill["dose"]),
        f"{each['found']} of {each['rehearsals']}",
        f"{hours(delay[1])} ({hours(delay[0])} to {hours(delay[2])})" if delay else "-",
        met,
        f"{each['affected']:.0f}",
        "-" if each["ratio"] is None else f"{each['ratio']:.1f}",
        "-" if None in right else ", ".join(map(in_percent, right)),
    ]


def _misses(document: Document) -> list[Section]:
    missed = [each for each in _failures(document) if each["found"] < each["rehearsals"]]
    if not missed:
        return [{"kind": "text", "text": "Nothing: every rehearsal of every failure was heard."}]
    missed.sort(key=lambda each: (each["found"] / each["rehearsals"], -each["affected"]))
    named = _named(document)
    says: Mapping[str, Sequence[str]] = document.get("map_says", {})
    rows = [
        [
            f"{each['preset']}: {named[each['preset']]['title']}",
            f"{each['found']} of {each['rehearsals']}",
            f"{each['affected']:.0f}",
            why_missed(each, named[each["preset"]], document["rehearsals"], says.get(each["preset"], ())),
        ]
        for each in missed[:MOST_MISSES]
    ]
    blocks: list[Section] = [
        {"kind": "table", "head": ["drill", "found", "sessions met", "why"], "rows": rows, "stack": True}
    ]
    if len(missed) > MOST_MISSES:
        blocks.append({"kind": "text", "text": f"And {len(missed) - MOST_MISSES} more; the table above has them all."})
    return blocks


def why_missed(each: Row, drill: Row, rehearsals: Sequence[Row], map_says: Sequence[str] = ()) -> str:
    """Why a failure was not heard every time, as far as the rehearsals and the map say: of it, a sentence a slice."""
    missed = [one for one in rehearsals if one["preset"] == each["preset"] and one["raised_us"] is None]
    if not any(one["affected"] for one in missed):
        return "it met nobody: this traffic has no such sessions after the onset"
    said = drill["dose"]
    size = counted(round(median(one["affected"] for one in missed)), "session")
    days = median((one["horizon_us"] - one["onset_us"]) / HOUR_US / DAY_H for one in missed)
    grown = ""
    if said["shape"] == "ramp" and days < said["ramp_days"]:
        grown = f"it grows for {said['ramp_days']:g} days, of which a rehearsal saw {days:.1f}; "
    by_map = f" By the map: it {'. It '.join(map_says)}." if map_says else ""
    if sum(one["oracle_us"] is None for one in missed) * 2 >= len(missed):
        return (
            f"{grown}too small for anybody: it met {size} in {days:.1f} days, and a watch that is told whom it meets would "
            f"mostly not be sure of it by then within the budget.{by_map}"
        )
    oracle = hours(median(one["oracle_us"] for one in missed if one["oracle_us"] is not None) / HOUR_US)
    by = f" It moves {', '.join(drill['signals'])}." if drill["signals"] else ""
    return (
        f"{grown}it met {size} in {days:.1f} days and could be heard: a watch that is told whom it meets would take {oracle}. What "
        f"unquiet measures in this traffic does not tell it from what is usual soon enough.{by}{by_map}"
    )


def _stack(document: Document) -> list[Section]:
    stack: Row | None = document.get("stack")
    if not stack or not stack.get("watchers"):
        return []
    told: Sequence[Row] = stack["watchers"]
    rows = [
        [
            f"{each['watcher']}: {each['says']}",
            *(["unknown"] * 3 if each["is_unknown"] else _standing(each, len(stack["failures"]))),
        ]
        for each in told
    ]
    unknown = [
        f"Not evaluated: {each['watcher']}, {rule}: {why}" for each in told for rule, why in each["unknown"].items()
    ]
    blocks: list[Section] = [
        {
            "kind": "table",
            "head": ["watcher", "failures noticed", "false alarms", "rings on harmless changes"],
            "rows": rows,
            "stack": True,
        },
        _side_by_side(document, [each["watcher"] for each in told]),
    ]
    if unknown:
        blocks.append({"kind": "list", "items": unknown})
    return blocks


def _standing(each: Row, failures: int) -> list[str]:
    return [
        f"{len(each['failures'])} of {failures} (in {each['noticed']} of {each['rehearsals']} rehearsals)",
        f"{each['false_alarms']} of {each['rehearsals'] + each['controls']}",
        f"{each['on_controls']} of {each['controls']}",
    ]


def _side_by_side(document: Document, watchers: Sequence[str]) -> Section:
    """A row a failure: in how many rehearsals unquiet and each of the others noticed it."""
    rows: list[list[str]] = []
    for each in _failures(document):
        mine = [one for one in document["rehearsals"] if one["preset"] == each["preset"] and one.get("watchers")]
        if not mine:
            continue
        heard = f"{each['found']} of {each['rehearsals']}"
        rows.append([each["preset"], heard, *(_noticed(mine, name) for name in watchers)])
    return {"kind": "table", "head": ["drill", "unquiet", *watchers], "rows": rows}


def _noticed(rehearsals: Sequence[Row], watcher: str) -> str:
    """`2 of 3`; unknown where it could be asked in none of them."""
    asked: list[Row] = [one["watchers"][watcher] for one in rehearsals if watcher in one["watchers"]]
    known = [each for each in asked if not each.get("blind")]
    return f"{sum(each['at_us'] is not None for each in known)} of {len(known)}" if known else "unknown"


def _controls(document: Document) -> list[Section]:
    controls = [each for each in document["scores"] if each["control"]]
    if not controls:
        return [{"kind": "text", "text": "None was rehearsed, so this says nothing of false alarms."}]
    named = _named(document)
    rows = [
        [
            f"{each['preset']}: {named[each['preset']]['title']}",
            str(each["rehearsals"]),
            str(each["found"]),
            "; ".join(_rang(document, each["preset"])) or "quiet",
        ]
        for each in controls
    ]
    return [{"kind": "table", "head": ["drill", "rehearsals", "false alarms", "what was raised"], "rows": rows}]


def _rang(document: Document, preset: str) -> list[str]:
    raised = [one["incident"] for one in document["rehearsals"] if one["preset"] == preset and one["incident"]]
    return list(dict.fromkeys(one_line(f"{each['signal']} {each['direction']}") for each in raised))


def assumed(document: Document) -> list[str]:
    """What the figures rest on."""
    seeds, traffic = document["seeds"], document["traffic"]
    first, last = (moment(traffic[name], year=True) for name in ("first", "last"))
    sure = in_percent(SURE ** (1 / seeds))
    return [
        *MADE,
        f"The record ({first} to {last}) {RECORD}",
        *JUDGED,
        f"Each drill was rehearsed {_sure(seeds, sure)}",
        *MEASURED,
    ]


def _sure(seeds: int, sure: str) -> str:
    return (
        f"{counted(seeds, 'time')}: {seeds} of {seeds} shows with 95 % confidence only that at least {sure} of such failures would "
        "be found. More rehearsals (--seeds) say more."
    )
