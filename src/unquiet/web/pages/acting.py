"""What a person can do about an incident from its page, and by command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unquiet.model.handling import Verb
from unquiet.report import Facts
from unquiet.web.pages.documents import Act, Command

Document = Mapping[str, Any]

DEEDS: Mapping[Verb, tuple[str, str]] = {
    "acknowledge": ("Acknowledge", "Somebody looks after it: no further updates are sent."),
    "unacknowledge": ("Give back", "Nobody looks after it any more."),
    "mute": ("Mute", "No alerts of it for a while; it stays visible here."),
    "unmute": ("Unmute", "Alerts of it again."),
    "accept": ("Accept as the new normal", "The change was wanted: a new baseline begins. This cannot be undone."),
}

COMMANDS = (
    ("incident {} --sessions", "the ids of the sessions that look like it, to look after their users"),
    ("export-evals {} --format promptfoo --out cases/", "regression cases from these requests, for your eval suite"),
    ("report {} --html --out report.html", "the post-mortem, with room for what only people know"),
    ("why-green {}", "why the evals did not see it, in full"),
    ('mark "what was changed"', "announce the repair, so that it is known when behaviour goes back"),
)


def acts(document: Document, path: str, unable: Mapping[Verb, str]) -> list[Act]:
    """What can be done in the incident's present state; what cannot be done here says why."""
    over = document.get("handling") == "accepted" or document["status"] == "resolved"
    offered: list[Verb] = []
    if not over:
        offered.append("unacknowledge" if document.get("handling") == "acknowledged" else "acknowledge")
        offered.append("unmute" if document.get("mute") else "mute")
        offered.append("accept")
    return [
        Act(
            verb=verb,
            label=DEEDS[verb][0],
            why=DEEDS[verb][1],
            path=f"{path}/{verb}",
            possible=verb not in unable,
            not_possible=unable.get(verb, ""),
        )
        for verb in offered
    ]


def commands(incident_id: str, facts: Facts) -> list[Command]:
    """The command lines that go on from here."""
    return [Command(command=f"unquiet {line.format(incident_id)}{facts.option}", why=why) for line, why in COMMANDS]
