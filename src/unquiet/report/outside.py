"""What the rest of the stack said meanwhile: dashboards, evals, complaints, changes; and what would have caught it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unquiet.model.wording import counted
from unquiet.report.facts import Facts
from unquiet.report.plain import one_line, plain
from unquiet.report.words import day, fit, moment, panel_chip, panel_value, panel_verdict, share, span

Document = Mapping[str, Any]
Block = dict[str, Any]

NO_EVALS = "not looked at: no evals were added (unquiet evals PATH)"
NO_VOICES = "not looked at: no voices were added (unquiet voices PATH)"
TIMING_ONLY = "That a change fits in time does not prove that it is the cause; none is proven."
RULE = (
    "A panel fires on a day whose value lies more than 3 standard deviations from the mean of the 7 days before it.{counts} By "
    "chance alone such a rule fires on about 1 day in 50, and on 1 in 25 where it looks both ways (tokens, turns)."
)
COUNTS = " In brackets: on how many of the days since, and before, it did."
CHECKS = (("automated tests", "unquiet evals PATH"), ("customer complaints", "unquiet voices PATH"))
"""What stands beside unquiet, and the command that connects it."""

MOST_VOICES = 5
MOST_EVIDENCE = 6


def dashboards(facts: Facts) -> list[Block]:
    """The panels, each with its verdict, and the behaviour signal beside them."""
    if facts.beside is None:
        return [_text("not looked at: the dashboards were not drawn")]
    panels, signal = facts.beside["panels"], facts.beside["signal"]
    rows = [
        [
            each["title"],
            *(panel_value(each.get(name), each["unit"]) for name in ("before", "since")),
            panel_verdict(each),
        ]
        for each in panels
    ]
    raised = f"unquiet's alarm {moment(signal['raised_at'])}"
    rows.append(["the behaviour, in its slice", share(signal["before"]), share(signal["since"]), raised])
    onset = facts.document["onset"]["at"]
    drawn = [_drawn(each, panel_verdict(each)) for each in panels if each.get("points")]
    if signal["rule"] is not None:
        own = {"title": "the behaviour, in its slice", "unit": "share", **signal, **signal["rule"]}
        drawn.append(_drawn(own, raised) | {"verdict": "fired", "chip": "alarm"})
    return [
        {"kind": "panels", "onset": onset, "panels": drawn},
        {"kind": "table", "head": ["all traffic", "mean before", "mean since", "3-sigma rule"], "rows": rows},
        _text(RULE.format(counts=COUNTS if any(each["verdict"] == "fired" for each in panels) else "")),
    ]


def _drawn(panel: Document, said: str) -> Block:
    """What a small picture of a panel needs."""
    levels = " -> ".join(panel_value(panel.get(name), panel["unit"]) for name in ("before", "since"))
    kept = {name: panel[name] for name in ("title", "verdict", "points")}
    return {**kept, "chip": panel_chip(panel["verdict"]), "levels": levels, "said": said}


def why_green(facts: Facts) -> list[Block]:
    """Why the evals did not see it; nothing where that was not asked."""
    known = facts.why_green
    if known is None:
        return []
    causes = [f"{one_line(str(each['cause']))}: {plain(str(each['says']))}" for each in known["causes"]]
    blocks: list[Block] = [{"kind": "list", "items": causes}] if causes else [_text("unknown: the data do not say")]
    for each in known["causes"]:
        rows = [
            [one_line(name.replace("_", " "), 60), said_value(value)]
            for name, value in each.get("evidence", {}).items()
        ]
        if rows:
            blocks.append({"kind": "facts", "rows": rows[:MOST_EVIDENCE]})
    return blocks


def voices(facts: Facts) -> list[Block]:
    """The complaints that belong to the incident, and how far the alarm was ahead; nothing where they were not looked at."""
    known = facts.voices
    if known is None:
        return []
    won = known.get("days_won") or {}
    rows = [
        ["complaints about it", f"{known['count']} (joined by {said_value(known.get('joined_by'))})"],
        ["the first", moment(known["first_at"]) if known.get("first_at") else "none so far"],
        ["alarm from complaints alone", moment(known["alarm_at"]) if known.get("alarm_at") else "none so far"],
        ["won against the first complaint", _days(won.get("first_voice"))],
        ["won against complaints alone", _days(won.get("voice_alarm"))],
    ]
    examples = [_voice(each) for each in (known.get("examples") or ())[:MOST_VOICES]]
    return [{"kind": "facts", "rows": rows}, *([{"kind": "list", "items": examples}] if examples else [])]


def _voice(voice: Document | str) -> str:
    """One voice on a line: when, how it was joined, and its words."""
    if isinstance(voice, str):
        return one_line(voice, 300)
    text = one_line(voice["text"], 260) if voice["text"] else f"rating {voice['rating']:g}"
    return f"{moment(voice['at'])}, by {voice['joined_by']}: {text}"


def suspects(document: Document) -> list[Block]:
    """Changes near the onset, the most fitting first, each with where it lies against it."""
    blocks: list[Block] = []
    rows = [
        [
            str(rank),
            one_line(f"{each['kind']} {each['from']} -> {each['to']}"),
            moment(each["at"]),
            fit(each["at"], document["onset"]),
            one_line(each["source"], 80),
        ]
        for rank, each in enumerate(document["suspects"], start=1)
    ]
    if rows:
        head = ["", "change", "when", "against the start", "known from"]
        blocks = [
            {"kind": "table", "head": head, "rows": rows},
            _text(TIMING_ONLY),
        ]
    else:
        blocks = [_text("No change is known near the onset (announce changes with unquiet mark or scan --changes).")]
    changed = document.get("provider_change")
    return [*blocks, *([_text(plain(str(changed["said"])))] if changed else [])]


def caught(facts: Facts) -> list[Block]:
    """What would have seen it, and when: only what was computed on this traffic."""
    document = facts.document
    onset, items = document["onset"]["at"], list[str]()
    budget = f", at a budget of {counted(facts.budget, 'false incident')} per 30 days" if facts.budget else ""
    items.append(
        f"unquiet: alarm {moment(document['raised_at'])}, {span(onset, document['raised_at'])} after the most likely start{budget}"
    )
    if facts.beside is not None:
        items += _rules(facts.beside)
    for each in (facts.why_green or {"causes": ()})["causes"]:
        items.append(f"evals, if this were not so: {one_line(str(each['cause']))}")
    if facts.voices is not None and facts.voices.get("alarm_at"):
        at = facts.voices["alarm_at"]
        items.append(f"complaints alone: {moment(at)}, {span(onset, at) or '0 min'} after the most likely start")
    return [{"kind": "list", "items": items}]


def _rules(beside: Document) -> list[str]:
    fired = [each["title"] for each in beside["panels"] if each["verdict"] == "fired"]
    flat = [each["title"] for each in beside["panels"] if each["verdict"] == "flat"]
    said = f"the dashboards' rule: fired in {', '.join(fired)}" if fired else "the dashboards' rule: in no panel"
    if flat and fired:
        said += f"; not in {', '.join(flat)}"
    own, items = beside["signal"].get("rule"), [said]
    if own and own["verdict"] == "fired":
        items.append(
            f"the same rule on this behaviour, in this slice, by day: {day(own['first_fired_at'])}, when that day was over"
        )
    elif own and own["verdict"] == "flat":
        items.append("the same rule on this behaviour, in this slice, by day: not at all")
    return items


def unchecked(facts: Facts) -> list[Block]:
    """One line that says which of evals and complaints were not looked at, and why; nothing where both were."""
    sides = [
        (CHECKS[0], facts.why_green, facts.eval_results, "eval result"),
        (CHECKS[1], facts.voices, facts.voice_count, "voice"),
    ]
    left = [(check, count, noun) for check, known, count, noun in sides if known is None]
    if not left:
        return []
    if all(count == 0 for _, count, _ in left):
        names, commands = (joint.join(check[i] for check, _, _ in left) for i, joint in ((0, " and "), (1, ", ")))
        return [_text(f"Not checked: {names}; no data was connected: {commands}.")]
    return [_text("Not checked: " + "; ".join(_why_unchecked(*each) for each in left) + ".")]


def _why_unchecked(check: tuple[str, str], count: int | None, noun: str) -> str:
    name, command = check
    if count is None:
        return f"{name}: the folder was not looked into"
    if count:
        return f"{name}: the folder holds {counted(count, noun)}, which were not looked at"
    return f"{name}: no data was connected: {command}"


def unasked(count: int | None, noun: str, none: str) -> str:
    """Why nothing is told: what the folder holds was not asked, it holds none, or it cannot be looked into."""
    if count is None:
        return "not looked at: the folder was not looked into"
    return f"not looked at: the folder holds {counted(count, noun)}" if count else none


def _days(value: float | None) -> str:
    return "not known" if value is None else f"{value:.1f} days"


def said_value(value: Any) -> str:
    """A value of a piece of evidence in a few words."""
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, Mapping):
        return "; ".join(
            f"{one_line(str(name), 60)}: {said_value(each)}" for name, each in list(value.items())[:MOST_EVIDENCE]
        )
    if isinstance(value, (list, tuple)):
        return "; ".join(said_value(each) for each in list(value)[:MOST_EVIDENCE])
    return one_line(str(value), 300)


def _text(text: str) -> Block:
    return {"kind": "text", "text": text}
