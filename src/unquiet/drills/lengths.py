"""How much of an answer there is: cut off, capped, left undone, of a smaller model."""

from __future__ import annotations

import re

import numpy as np

from unquiet.drills.kinds import Rewritten

PLACEHOLDERS = ("... rest remains the same ...", "(continue in the same way)", "# ... rest of the code here", "[...]")
CAP = 25


def _stopped(text: str, _request: str, rng: np.random.Generator) -> str:
    return part_of(text, float(rng.uniform(0.3, 0.7)))


def _capped(text: str, _request: str, _rng: np.random.Generator) -> str:
    words = text.split(" ")
    return text if len(words) <= CAP else " ".join(words[:CAP]).rstrip(".,;:") + "."


def _undone(text: str, _request: str, rng: np.random.Generator) -> str:
    return f"{part_of(text, 0.5)}\n{PLACEHOLDERS[int(rng.integers(len(PLACEHOLDERS)))]}"


def _fewer_sentences(text: str, _request: str, rng: np.random.Generator) -> str:
    sentences = re.split(r"(?<=[.!?。！？])\s+", text)
    return " ".join(sentences[: max(1, round(len(sentences) * float(rng.uniform(0.5, 0.8))))])


def _longer_or_shorter(text: str, _request: str, rng: np.random.Generator) -> str:
    return f"{text} {part_of(text, 0.66)}" if rng.random() < 0.5 else part_of(text, 0.34)


def _a_little_shorter(text: str, _request: str, _rng: np.random.Generator) -> str:
    return part_of(text, 0.9)


def _round_and_round(text: str, _request: str, _rng: np.random.Generator) -> str:
    last = " ".join(text.split()[-12:])
    return " ".join([text, *[last] * 12])


def part_of(text: str, part: float) -> str:
    """The first words of a text, so many that they are this part of it, at least one."""
    words = text.split(" ")
    return " ".join(words[: max(1, round(len(words) * part))]) if len(words) > 1 else text[: round(len(text) * part)]


TRUNCATION = Rewritten(
    "truncation",
    "stops in the middle of its answers, and the finish reason does not say so",
    ("truncated", "output_chars"),
    _stopped,
)
LENGTH_CAP = Rewritten(
    "length_cap", f"answers in {CAP} words at most", ("output_chars", "output_words", "output_tokens"), _capped
)
LAZY = Rewritten("lazy", "leaves placeholders in place of the work", ("unfinished", "output_chars"), _undone)
SMALLER_MODEL = Rewritten(
    "smaller_model",
    "answers like a smaller model: shorter and faster, under the same label",
    ("output_chars", "output_tokens", "latency_ms"),
    _fewer_sentences,
    (("latency_ms", 0.6),),
)
WIDER_SPREAD = Rewritten(
    "wider_spread", "answers now at length, now in brief", ("output_chars", "output_tokens"), _longer_or_shorter
)
REPETITION = Rewritten(
    "repetition", "says the end of its answer over and over", ("repetition", "output_chars"), _round_and_round
)
EMPTY = Rewritten("empty", "answers nothing", ("empty", "output_chars"), lambda _text, _request, _rng: "")
LESS_THOUGHT = Rewritten(
    "less_thought",
    "thinks less before it answers",
    ("reasoning_tokens", "output_tokens", "output_chars"),
    _a_little_shorter,
    (("reasoning_tokens", 0.6),),
)
