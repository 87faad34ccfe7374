"""How much of an answer there is: cut off, capped, left undone, of a smaller model."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.drills.editing import answered, set_column
from unquiet.model.drills import Before

PLACEHOLDERS = ("... rest remains the same ...", "(continue in the same way)", "# ... rest of the code here", "[...]")


class Truncation:
    """The answer stops in the middle, and nothing says so: the finish reason stays."""

    name = "truncation"
    says = "stops in the middle of its answers"
    control = False
    signals = ("truncated", "output_chars")

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """Of every answer only the first 30 to 70 % of the words are left."""
        parts = rng.uniform(0.3, 0.7, turns.num_rows)
        return answered(
            turns, [_cut(text, part) for text, part in zip(turns.column("output").to_pylist(), parts, strict=True)]
        )


class LengthCap:
    """Answers of at most 25 words: a line in a prompt asked for it."""

    name = "length_cap"
    says = "answers in 25 words at most"
    control = False
    signals = ("output_chars", "output_words", "output_tokens")

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """Of every answer only its first 25 words are left, and a full stop."""
        texts = turns.column("output").to_pylist()
        return answered(turns, [text if text is None else _capped(text, 25) for text in texts])


class Lazy:
    """Work is left undone, with a placeholder where it should be."""

    name = "lazy"
    says = "leaves placeholders in place of the work"
    control = False
    signals = ("unfinished", "output_chars")

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """Half of every answer is left, and one of a few placeholders."""
        ends = [PLACEHOLDERS[each] for each in rng.integers(len(PLACEHOLDERS), size=turns.num_rows)]
        texts = turns.column("output").to_pylist()
        return answered(turns, [t if t is None else f"{_cut(t, 0.5)}\n{e}" for t, e in zip(texts, ends, strict=True)])


class SmallerModel:
    """Another model answers under the same label: shorter and faster."""

    name = "smaller_model"
    says = "answers like a smaller model: shorter and faster, under the same label"
    control = False
    signals = ("output_chars", "output_tokens", "latency_ms")

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """The first 50 to 80 % of the sentences, at 60 % of the latency."""
        parts = rng.uniform(0.5, 0.8, turns.num_rows)
        texts = [_sentences(t, p) for t, p in zip(turns.column("output").to_pylist(), parts, strict=True)]
        latency = pc.multiply(turns.column("latency_ms"), 0.6)
        return set_column(answered(turns, texts), "latency_ms", latency)


class WiderSpread:
    """The mean stays and the spread grows: some answers get longer, some shorter."""

    name = "wider_spread"
    says = "answers now at length, now in brief"
    control = False
    signals = ("output_chars", "output_tokens")

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """One half of the answers is cut to a third, the other half gets two thirds longer by saying its own again."""
        longer = rng.random(turns.num_rows) < 0.5
        texts = turns.column("output").to_pylist()
        cut = [
            t if t is None else (f"{t} {_cut(t, 0.66)}" if far else _cut(t, 0.34))
            for t, far in zip(texts, longer, strict=True)
        ]
        return answered(turns, cut)


class LessThought:
    """The effort was turned down: fewer reasoning tokens, and answers a little shorter."""

    name = "less_thought"
    says = "thinks less before it answers"
    control = False
    signals = ("reasoning_tokens", "output_tokens", "output_chars")

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """Two fifths of the reasoning tokens are gone, where they are told, and 10 % of every answer's words."""
        texts = [text if text is None else _cut(text, 0.9) for text in turns.column("output").to_pylist()]
        tokens = pc.round(pc.multiply(turns.column("reasoning_tokens").cast(pa.float64()), 0.6)).cast(pa.int64())
        return set_column(answered(turns, texts), "reasoning_tokens", tokens)


def _capped(text: str, count: int) -> str:
    words = text.split(" ")
    return text if len(words) <= count else " ".join(words[:count]).rstrip(".,;:") + "."


def _sentences(text: str | None, part: float) -> str | None:
    if text is None:
        return None
    sentences = re.split(r"(?<=[.!?。！？])\s+", text)
    return " ".join(sentences[: max(1, round(len(sentences) * part))])


def _cut(text: str | None, part: float) -> str | None:
    if text is None:
        return None
    words = text.split(" ")
    return " ".join(words[: max(1, round(len(words) * part))]) if len(words) > 1 else text[: round(len(text) * part)]
