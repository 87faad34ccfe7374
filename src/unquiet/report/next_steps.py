"""What to do next: a few steps in their order at the top of a report, and all commands at its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unquiet.model.wording import counted
from unquiet.report.facts import Facts
from unquiet.report.plain import one_line
from unquiet.report.words import is_inside, moment

Block = dict[str, Any]

NEEDS_A_PERSON = (
    "What was the cause, as far as is known by now, and how was that found out?",
    "What was done, when, and by whom?",
    "Who of those reached was told, and what was made good?",
    "What will be changed so that it does not come again, by whom, until when?",
)


def next_steps(facts: Facts) -> list[list[str]]:
    """What to do, and the command for it, empty where there is none; in the order in which to do it."""
    document, name = facts.document, str(facts.document["id"])
    listed = counted(len(document["session_ids"]), "conversation")
    steps = [
        ("incident", f"incident {name} --sessions", f"Look after the people in the {listed} that look like it."),
        ("export-evals", f"export-evals {name}", "Keep it as a test: cases for your evals from these requests."),
    ]
    if not document.get("resolved_at"):
        steps.append(("accept", f"accept {name} --note WHY", "If the change is wanted: accept it as the new normal."))
    known = [[what, f"unquiet {line}{facts.option}"] for command, line, what in steps if command in facts.commands]
    return [[_first_look(document), ""], *known]


def _first_look(document: Mapping[str, Any]) -> str:
    """The change to look at first: the most fitting of those that lie inside the interval of the onset."""
    fits = [each for each in document["suspects"] if is_inside(each["at"], document["onset"])]
    if not fits:
        return "Look for what changed in the possible start time: no change is known there."
    change = one_line(f"{fits[0]['kind']} {fits[0]['from']} -> {fits[0]['to']}")
    return f"Look at {change} ({moment(fits[0]['at'])}), the change that fits the start best; it is not proven to be the cause."


def follow_ups(facts: Facts) -> list[Block]:
    """All commands that go on from here, and what only people know."""
    name = str(facts.document["id"])
    steps = [
        (
            "incident",
            f"incident {name} --sessions",
            "the ids of the sessions that look like it, to look after their users",
        ),
        ("export-evals", f"export-evals {name}", "regression cases from these requests, for your eval suite"),
        ("drill", "drill", "would the next failure of this kind be noticed, and how fast"),
        ("mark", 'mark "what was changed"', "announce the repair, so that it is known when behaviour goes back"),
        ("accept", f"accept {name} --note WHY", "if the change was wanted: the new normal begins here"),
    ]
    known = [[f"unquiet {line}{facts.option}", why] for command, line, why in steps if command in facts.commands]
    return [
        *([{"kind": "commands", "items": known}] if known else []),
        {"kind": "text", "text": "What only people know; to be filled in:"},
        {"kind": "blank", "items": list(NEEDS_A_PERSON)},
    ]
