"""Recorded sessions for people: what was asked, which tools were called, what was answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from unquiet.model.wording import counted

PAIRS = 2
HEAD, TAIL = 420, 180
"""Characters of a longer text that are shown of its beginning and of its end: a change may sit in either."""

MOST_TURNS = 3
MOST_CALLS = 6
MEASURES = (("output_tokens", "tokens"), ("latency_ms", "ms"))
COLUMNS = ("session_id", "time", "input", "output", "tool_calls", "finish_reason", *(name for name, _ in MEASURES))


def show_pairs(
    console: Console, document: Mapping[str, Any], turns_of: Callable[[Sequence[str]], list[dict[str, Any]]]
) -> None:
    """The first pairs of evidence: a session before the onset, and the one since whose request is nearest.

    Of a change of the mix, sessions that ask for what is new. `turns_of` gives the turns of sessions, columns COLUMNS.
    """
    evidence = document["evidence"]
    if evidence.get("note"):
        console.print(str(evidence["note"]), soft_wrap=True)
    shown = [(("before", b), ("after", a)) for b, a in zip(evidence["before"], evidence["after"], strict=False)][:PAIRS]
    if "kinds" in document:
        shown = [(("asked now", session_id),) for session_id in evidence["after"][: 2 * PAIRS]]
    for pair in shown:
        turns: dict[str, list[dict[str, Any]]] = {}
        for turn in turns_of([session_id for _, session_id in pair]):
            turns.setdefault(turn["session_id"], []).append(turn)
        tools = any(turn["tool_calls"] for session in turns.values() for turn in session)
        for name, session_id in pair:
            console.print(Text.assemble("\n", (name, "bold"), f" {session_id}"), soft_wrap=True)
            for line in session_lines(turns.get(session_id, []), tools=tools):
                console.print(f"  {line}", soft_wrap=True)


def session_lines(turns: Sequence[Mapping[str, Any]], *, tools: bool) -> Iterator[str]:
    """The lines of one session: its first two turns and its last, and how many are not shown; `tools`: with calls."""
    if not turns:
        yield "(its turns are not in this folder)"
        return
    shown = list(turns) if len(turns) <= MOST_TURNS else [*turns[: MOST_TURNS - 1], turns[-1]]
    for place, turn in enumerate(shown):
        if len(shown) < len(turns) and place == MOST_TURNS - 1:
            left = len(turns) - MOST_TURNS
            yield f"({counted(left, 'turn')} not shown)"
        yield f"asked:    {_short(turn['input'])}"
        if tools and turn["tool_calls"] is not None:
            yield f"called:   {_called(turn['tool_calls'])}"
        yield f"answered: {_short(turn['output'])}{_measured(turn) if turn['output'] is None else ''}"


def _measured(turn: Mapping[str, Any]) -> str:
    """What is known of an answer without its text: `, 112 tokens, 640 ms, finish reason stop`."""
    known = [f"{turn[name]:.0f} {unit}" for name, unit in MEASURES if turn.get(name) is not None]
    if turn.get("finish_reason") is not None:
        known.append(f"finish reason {turn['finish_reason']}")
    return "".join(f", {each}" for each in known)


def _called(calls: Sequence[Mapping[str, Any]]) -> str:
    names = [_short(call["name"]) + (" (failed)" if call["error"] else "") for call in calls[:MOST_CALLS]]
    more = f" and {len(calls) - MOST_CALLS} more" if len(calls) > MOST_CALLS else ""
    return ", ".join(names) + more if names else "no tool"


def _short(text: str | None) -> str:
    """A text on one line; of a long one its beginning and its end, cut between words."""
    if text is None:
        return "(content was not captured)"
    flat = "".join(c if c.isprintable() else " " for c in " ".join(text.split()))
    if len(flat) <= HEAD + TAIL + 40:
        return flat
    head, tail = _until_word(flat[:HEAD]), _from_word(flat[-TAIL:])
    return f"{head} [... {len(flat) - len(head) - len(tail)} characters ...] {tail}"


def _until_word(text: str) -> str:
    """Without a last word that was cut, where there are words."""
    cut = text.rfind(" ")
    return text[:cut] if cut > len(text) - 40 else text


def _from_word(text: str) -> str:
    cut = text.find(" ")
    return text[cut + 1 :] if 0 <= cut < 40 else text
