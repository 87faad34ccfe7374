"""What an event of a signal means in words."""

from __future__ import annotations

from unquiet.app.saying import FEATURE
from unquiet.counts import OTHER, Event
from unquiet.incidents.tongues import language_name
from unquiet.model.signals import SignalInfo
from unquiet.pipeline.words import SIGNAL
from unquiet.signals.language import UNDETERMINED
from unquiet.signals.tools import NO_TOOL

ANSWERS = SignalInfo(
    SIGNAL,
    1,
    "category",
    "session",
    "none",
    "What answers are made of: phrases, openings, lengths, steps from tool to tool. No list of phrases is behind it.",
    "answers in another way",
    "answers in another way",
    ("output",),
)
"""The signal whose events the open-world detector finds."""

COMPARED = {
    "chars": ("short", "shorter", "long", "longer"),
    "words": ("short", "shorter", "long", "longer"),
    "ms": ("fast", "faster", "slow", "slower"),
    "tokens": ("few", "fewer", "many", "more"),
    "calls": ("few", "fewer", "many", "more"),
    "turns": ("few", "fewer", "many", "more"),
}
"""By the unit in which a number's name ends: what little, less, much and more of it is called."""

UNUSUAL = {"finish_reason": "a reason", "tools": "a tool", "tool_mix": "ways", "language": "a language"}
"""By category: what a label is called that has no event of its own and cannot be named."""

OF_ANSWERS = ("chars", "words", "ms")
"""Units in which answers are compared, not what a session adds up to."""


def event_phrase(info: SignalInfo, event: Event, direction: str) -> str:
    """What the agent does now: the signal's phrase for the direction that the event means."""
    rising = (direction == "up") != (event.test == "below")
    phrase = info.phrase_up if rising else info.phrase_down
    if event.test == FEATURE and event.label:
        return event.label if rising else f"less often {event.label}"
    return _label_phrase(event, phrase, rising) if event.test in ("label", "other") else phrase


def _label_phrase(event: Event, phrase: str, rising: bool) -> str:
    label = event.label if event.label != OTHER else f"{UNUSUAL.get(event.signal, 'one')} seldom or never seen before"
    if event.signal == "tools" and label == NO_TOOL:
        return "calls no tool" if rising else "calls no tool less often"
    if event.signal == "language":
        name = language_name(label) or label
        told = "in a language that cannot be told" if label == UNDETERMINED else f"in {name}"
        return f"answers {told}" if rising else f"answers less often {told}"
    return phrase.replace("{label}", label) if "{label}" in phrase else f"{phrase} ({label})"


def measure_phrase(info: SignalInfo, event: Event, direction: str) -> str:
    """What the rate of a number's event counts: `shorter than 90 % of usual answers`; empty for other events.

    A rate that falls counts what becomes rare: `as long as the upper half of usual answers`.
    """
    if event.test not in ("below", "above"):
        return ""
    unit = info.name.rpartition("_")[2]
    little, less, much, more = COMPARED.get(unit, ("low", "lower", "high", "higher"))
    below = event.test == "below"
    tail = event.level if below else 1.0 - event.level
    usual = "usual answers" if unit in OF_ANSWERS and info.unit == "turn" else "usual sessions"
    inside = "" if usual == "usual answers" else "in "
    if direction == "up":
        return f"{less if below else more} than {inside}{_share(1.0 - tail)} of {usual}"
    return f"as {little if below else much} as {inside}the {'lower' if below else 'upper'} {_share(tail)} of {usual}"


def _share(part: float) -> str:
    return "half" if part == 0.5 else f"{100 * part:.0f} %"
