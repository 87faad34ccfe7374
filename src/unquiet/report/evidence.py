"""Evidence for a report: the same request before and since, as it was asked and answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unquiet.model.wording import counted
from unquiet.report.plain import cut, one_line, plain
from unquiet.report.words import moment

Document = Mapping[str, Any]
Block = dict[str, Any]

PAIRS = 2
MOST_TURNS = 3
MOST_CALLS = 8
CUT_NOTE = "Long texts are cut in their middle; where that was done, the number of characters left out is said."


def evidence_blocks(document: Document, turns: Sequence[Document]) -> list[Block]:
    """Pairs of sessions with the nearest requests, and what the answers of the slice began or stopped to say."""
    evidence, blocks = document["evidence"], list[Block]()
    if evidence.get("note"):
        blocks.append({"kind": "text", "text": plain(evidence["note"])})
    found: dict[str, list[Document]] = {}
    for turn in turns:
        found.setdefault(str(turn["session_id"]), []).append(turn)
    pairs = list(zip(evidence["before"], evidence["after"], strict=False))[:PAIRS]
    tools = any(turn.get("tool_calls") for turn in turns)
    for before, after in pairs:
        sides = [_side("before", before, found, tools=tools), _side("since", after, found, tools=tools)]
        blocks.append({"kind": "pair", "sides": sides})
    if not pairs:
        blocks += [
            {"kind": "pair", "sides": [_side("asked now", name, found, tools=tools)]}
            for name in evidence["after"][:PAIRS]
        ]
    if not evidence["after"]:
        blocks.append({"kind": "text", "text": "No session can be shown."})
    elif any(part["left_out"] for block in blocks for part in _parts(block)):
        blocks.append({"kind": "text", "text": CUT_NOTE})
    return [*blocks, *_answers(document)]


def _parts(block: Block) -> list[Mapping[str, Any]]:
    turns = [turn for side in block.get("sides", ()) for turn in side["turns"]]
    return [turn[name] for turn in turns for name in ("asked", "answered")]


def _side(name: str, session_id: str, found: Mapping[str, Sequence[Document]], *, tools: bool) -> Block:
    turns = list(found.get(session_id, ()))
    shown = turns if len(turns) <= MOST_TURNS else [*turns[: MOST_TURNS - 1], turns[-1]]
    return {
        "name": name,
        "session": one_line(session_id, 80),
        "at": moment(_iso(turns[0]["time"])) if turns else "",
        "turns": [_turn(turn, tools=tools) for turn in shown],
        "left_out": counted(len(turns) - len(shown), "turn") if len(shown) < len(turns) else "",
    }


def _turn(turn: Document, *, tools: bool) -> Block:
    asked, answered = (_text(turn.get(name)) for name in ("input", "output"))
    return {"asked": asked, "called": _called(turn.get("tool_calls")) if tools else "", "answered": answered}


def _text(text: str | None) -> Mapping[str, str | int]:
    return {"head": "(content was not captured)", "tail": "", "left_out": 0} if text is None else cut(text)


def _called(calls: Sequence[Document] | None) -> str:
    if calls is None:
        return ""
    names = [one_line(call["name"], 60) + (" (failed)" if call.get("error") else "") for call in calls[:MOST_CALLS]]
    more = f" and {len(calls) - MOST_CALLS} more" if len(calls) > MOST_CALLS else ""
    return ", ".join(names) + more if names else "no tool"


def _answers(document: Document) -> list[Block]:
    """What the agent began, stopped, or says and does more or less often, as a table."""
    rows = [
        [str(each["change"]), one_line(each["said"]), _rate(each["before"]), _rate(each["after"])]
        for each in document.get("answers") or ()
    ]
    head = ["answers", "what", "sessions before", "sessions since"]
    note = "In these phrases 0 stands for any number, ¶ for a new line, • for an item of a list."
    return [{"kind": "table", "head": head, "rows": rows}, {"kind": "text", "text": note}] if rows else []


def _rate(measured: Document) -> str:
    return f"{100 * measured['rate']:.0f} % of {measured['n']}"


def _iso(at: Any) -> str:
    return at if isinstance(at, str) else at.isoformat()
