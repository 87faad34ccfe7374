"""Answers with nothing or next to nothing in them, and answers that ask back."""

from __future__ import annotations

import pyarrow.compute as pc

from unquiet.model.signals import FloatArray, SignalInfo, TurnBatch
from unquiet.signals.parts import Turnwise
from unquiet.signals.text import (
    Bools,
    beyond_ascii,
    bools,
    characters,
    filled,
    holds,
    ideographs,
    matched,
    present,
    tail,
    where,
)

SHORT_CHARACTERS = 20
"""An answer with fewer characters than this, but at least one, is very short; Han and kana count three each."""

# A Greek question ends in U+037E, which normalised text holds as a semicolon: only after a Greek letter does that ask.
_QUESTION_AT_END = (
    r"(?:\?|？|؟|\x{037E}|[\x{0370}-\x{03FF}\x{1F00}-\x{1FFF}];)[\s\"'”’»)\]*_~`]*(?:[^\x00-\x7F\w\s]{1,4}\s*)?$"
)
_COURTESY = (
    r"(?:anything else|something else|any other|any more|any further|"
    r"further (?:questions|assistance|help)|other questions|else (?:i|we) can|"
    r"help you (?:with )?(?:today|further)|does (?:this|that) help|make sense|was this helpful|"
    r"还有(?:什么|其他|别的)|還有(?:什麼|其他|別的)|他に(?:何か|も|ご)|ほかに(?:何か|も|ご)|noch etwas|sonst noch|weitere fragen|"
    r"algo más|alguna otra|autre chose|d['’]autres questions|algo mais|mais alguma|outra coisa)[^.!?]*[?？]"
    r"[^\w]*$"
)
_ASKS_FOR = (
    r"(?:please|kindly|could you|can you|would you) (?:please |kindly )?"
    r"(?:provide|share|confirm|specify|tell me|let me know (?:which|what|the|if you(?:['’]d| would) like "
    r"(?:me )?to|whether|your|how)|send me|clarify|give me|reply with|supply)[^.!?]*[.!:]?[\s*_]*$"
)


def no_text(batch: TurnBatch) -> Bools:
    """True where the answer holds no character but white space, shape (len(batch),)."""
    trimmed = pc.utf8_trim_whitespace(filled(batch, "output"))
    return bools(pc.equal(pc.binary_length(trimmed), 0))


def asks_back(batch: TurnBatch) -> FloatArray:
    """1 where the answer ends by asking for something; courtesies ("anything else?") do not count."""

    def make() -> FloatArray:
        end = tail(batch)
        asks = matched(end, _QUESTION_AT_END, holds(batch, "output", "?;") | beyond_ascii(batch))
        asks &= ~matched(end, _COURTESY, asks)
        return where(present(batch, "output"), asks | matched(end, _ASKS_FOR, ~asks))

    return batch.once("shortness:asks", make)


def _empty(batch: TurnBatch) -> FloatArray:
    calls = bools(pc.greater(pc.list_value_length(batch.column("tool_calls")), 0))
    return where(present(batch, "output"), no_text(batch) & ~calls)


def _very_short(batch: TurnBatch) -> FloatArray:
    short = characters(batch) + 2 * ideographs(batch) < SHORT_CHARACTERS
    return where(present(batch, "output"), short & ~no_text(batch))


def _card(name: str, definition: str, up: str, down: str, version: int = 1) -> SignalInfo:
    return SignalInfo(
        name,
        version,
        "flag",
        "turn",
        "any",
        definition,
        up,
        down,
        ("output",),
        none_means="The answer was not recorded.",
    )


SIGNALS = (
    Turnwise(
        _card(
            "empty",
            "The answer is there but holds no text, and no tool was called instead.",
            "answers with nothing",
            "answers with nothing less often",
        ),
        _empty,
    ),
    Turnwise(
        _card(
            "very_short",
            f"The answer has text, but fewer than {SHORT_CHARACTERS} characters (Han and kana count as three).",
            "answers in a word or two",
            "answers in a word or two less often",
            version=2,
        ),
        _very_short,
    ),
    Turnwise(
        _card(
            "asks_back",
            "The answer ends by asking the user for something; closing courtesies do not count.",
            "asks the user back",
            "asks the user back less often",
            version=3,
        ),
        asks_back,
    ),
)
