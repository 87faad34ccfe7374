"""The facts of a report as sections of blocks, each with its source; what was not looked at says so.

A section is `{"id", "title", "source", "blocks"}`. A block is one of

    {"kind": "text", "text": str}
    {"kind": "facts", "rows": [[name, value], ...]}
    {"kind": "table", "head": [str, ...], "rows": [[str, ...], ...]}
    {"kind": "list", "items": [str, ...]}
    {"kind": "pair", "sides": [{"name", "session", "at", "turns": [{"asked", "called", "answered"}], "left_out"}, ...]}
    {"kind": "commands", "items": [[command, why], ...]}
    {"kind": "steps", "items": [[what, command], ...]}      in their order; the command may be empty
    {"kind": "blank", "items": [str, ...]}                  for a person to fill in
    {"kind": "days", ...}, {"kind": "panels", ...}          pictures; their numbers

so that Markdown and HTML are two ways to write down the same blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unquiet.model.wording import counted
from unquiet.report.evidence import evidence_blocks
from unquiet.report.facts import Facts
from unquiet.report.happened import timeline
from unquiet.report.next_steps import follow_ups, next_steps
from unquiet.report.outside import caught, dashboards, suspects, unchecked, voices, why_green
from unquiet.report.plain import one_line
from unquiet.report.words import MIX, amount, bounds, doing, moment, people, share, span, subject, where

Document = Mapping[str, Any]
Section = dict[str, Any]


def report_sections(facts: Facts) -> list[Section]:
    """The sections of a report, in the order in which they are read."""
    document = facts.document
    shown = f"unquiet incident {document['id']} --json{facts.option}"
    asked = f"unquiet why-green {document['id']}{facts.option}"
    made = [
        ("summary", "What happened", shown, _summary(facts)),
        (
            "evidence",
            "The same request, before and since",
            f"{shown}: evidence",
            evidence_blocks(document, facts.turns),
        ),
        ("timeline", "Timeline", "named in each row", timeline(facts)),
        ("reached", "Who was reached", shown, _reached(facts)),
        ("dashboards", "What the dashboards showed", f"unquiet gap --json{facts.option}", dashboards(facts)),
        ("why-green", "Why the evals did not see it", asked, why_green(facts)),
        ("voices", "Who had already complained", "the voices of the folder", voices(facts)),
        ("suspects", "What else changed then", f"{shown}: suspects", suspects(document)),
        ("caught", "What would have caught it", "the sections above", caught(facts)),
        ("follow-ups", "What to do now", "", [*follow_ups(facts), *unchecked(facts)]),
    ]
    told = [each for each in made if each[3]]
    return [{"id": name, "title": title, "source": source, "blocks": blocks} for name, title, source, blocks in told]


def _summary(facts: Facts) -> list[Section]:
    document = facts.document
    return [
        {"kind": "text", "text": summary(document)},
        {"kind": "steps", "items": next_steps(facts)},
        {"kind": "facts", "rows": [list(row) for row in _tiles(document)]},
        {"kind": "days", **days_block(document)},
        {"kind": "text", "text": noticed(facts)},
    ]


def headline(document: Document) -> str:
    """What the agent does now, as a heading."""
    said = doing(document)
    return said[:1].upper() + said[1:]


def summary(document: Document) -> str:
    """What happened to whom in a few plain sentences, for somebody who knows nothing of unquiet."""
    begin, over = moment(document["onset"]["at"], year=True), document.get("resolved_at")
    since = f"Most likely from {begin} to {moment(over, year=True)}" if over else f"Most likely since {begin}"
    excess = document["excess_sessions"]
    users = people(document["users_reached"], excess)
    than = "fewer" if document["direction"] == "down" else "more"
    met = f"; {users} {'was' if document['users_reached'] == 1 else 'were'} affected" if users else ""
    ended = "It is over." if over else f"It was still so at the last look, {moment(document['told_at'])}."
    return (
        f"{since}, {doing(document)}. {_rates(document)} That is {amount(excess, 'conversation')} {than} than was to be "
        f"expected{met}. {ended}"
    )


def _rates(document: Document) -> str:
    """The rates of before and since in a sentence that says what they are of."""
    _, measure = subject(document)
    before, after = document["before"], share(document["after"]["rate"])
    usual = share(before.get("rate_mix_adjusted", before["rate"]))
    if document["signal"] == MIX:
        return f"Before, {share(before['rate'])} of all conversations were of that kind; since then {after}."
    if measure:
        return f'Counted is "{measure}": so were {usual} of such conversations before, and {after} since then.'
    if document["direction"] == "down":
        return f"What became rarer was there in {usual} of such conversations before, and in {after} since then."
    return f"Before, it did so in {usual} of such conversations; since then in {after}."


def noticed(facts: Facts) -> str:
    """Who noticed when: unquiet, and what else rang."""
    document = facts.document
    late = span(document["onset"]["at"], document["raised_at"])
    said = f"unquiet raised an alarm on {moment(document['raised_at'])}" + (
        f", {late} after the most likely start." if late else "."
    )
    if facts.beside is None:
        return said
    panels = facts.beside["panels"]
    flat = [each["title"] for each in panels if each["verdict"] == "flat"]
    fired = [_rang(each) for each in panels if each["verdict"] == "fired"]
    if flat:
        said += f" On the usual dashboards these stayed within their usual range: {', '.join(flat)}."
    if fired:
        said += f" These left theirs: {', '.join(fired)}."
    return said


def _rang(panel: Document) -> str:
    """`tokens per turn (on 1 of 14 days)`."""
    points = "runs" if panel["name"] == "eval_pass_rate" else "days"
    return f"{panel['title']} (on {panel['fired']} of {panel['judged']} {points})"


def _tiles(document: Document) -> list[tuple[str, str]]:
    onset, over = document["onset"], document.get("resolved_at")
    excess = document["excess_sessions"]
    reached = people(document["users_reached"], excess) or "users unknown"
    status = one_line(document["status"])
    still = "still so" if status == "open" else f"still so ({status})"
    return [
        ("Where", where(document["slice"])),
        ("Since", f"most likely {moment(onset['at'], year=True)} ({bounds(onset)})"),
        ("Reached", f"{amount(excess, 'conversation')}, {reached}"),
        ("Now", f"over since {moment(over)}" if over else f"{still}, last look {moment(document['told_at'])}"),
    ]


def days_block(document: Document) -> Section:
    """The picture of the days: numbers, and the moments to mark in it."""
    _, measure = subject(document)
    plainly = "in which it does so" if document["signal"] != MIX else "that are of that kind"
    rarer = "in which what became rarer is there" if document["direction"] == "down" else plainly
    counted_is = f'that are "{measure}"' if measure else rarer
    marks = [{"at": document["onset"]["at"], "label": "most likely start", "kind": "onset"}]
    marks += [
        {"at": each["at"], "label": one_line(f"{each['kind']} {each['from']} -> {each['to']}", 44), "kind": "change"}
        for each in document["suspects"]
    ]
    marks.append({"at": document["raised_at"], "label": "unquiet's alarm", "kind": "alarm"})
    if document.get("resolved_at"):
        marks.append({"at": document["resolved_at"], "label": "back to before", "kind": "over"})
    return {
        "caption": f"Share of conversations {counted_is}, by day ({where(document['slice'])})",
        "days": [dict(each) for each in document.get("by_day") or ()],
        "onset": dict(document["onset"]),
        "marks": sorted(marks, key=lambda mark: mark["at"]),
    }


def _reached(facts: Facts) -> list[Section]:
    document = facts.document
    before, after, excess = (document[name] for name in ("before", "after", "excess_sessions"))
    adjusted = before.get("rate_mix_adjusted")
    mixed = f" ({share(adjusted)} for the mix of requests since)" if adjusted is not None else ""
    claimed = counted(len(document["session_ids"]), "session")
    rows = [
        ["beyond expected", amount(excess, "session", named="95 % interval ")],
        ["users", people(document["users_reached"], excess) or "unknown"],
        ["listed", f"{claimed} that look like it; some would have gone the same way anyway"],
        ["slice", where(document["slice"])],
        ["also in", "; ".join(where(each) for each in document["also_in"]) or "no other slice"],
        ["rate before", f"{share(before['rate'])} of {counted(before['n'], 'session')}{mixed}"],
        ["rate since", f"{share(after['rate'])} of {counted(after['n'], 'session')}"],
    ]
    kinds = [
        f"{one_line(kind['label'])}: {counted(kind['sessions'], 'session')}" for kind in document.get("kinds") or ()
    ]
    if kinds:
        rows.append(["asked for", "; ".join(kinds)])
    blocks: list[Section] = [{"kind": "facts", "rows": rows}]
    if document["signal"] != MIX:
        blocks.append({"kind": "text", "text": "A session is one conversation of a user with the agent."})
    return blocks
