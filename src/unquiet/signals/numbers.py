"""Exact numbers: length, tokens, latency."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from unquiet.model.signals import FloatArray, Reduce, SignalInfo, TurnBatch
from unquiet.signals.parts import Turnwise
from unquiet.signals.text import (
    HEAD_CHARACTERS,
    Bools,
    bytes_of,
    characters,
    count_places,
    floats,
    head,
    ideograph_places,
    ideographs_at,
    present,
    utf8_bytes,
    where,
)

LAST_BLANK = 32
"""White space and control bytes end at this byte; no byte of a longer UTF-8 character is that low."""


def words(batch: TurnBatch) -> FloatArray:
    """Words of each answer, shape (len(batch),); NaN where there is no answer.

    A word is a run of non-blank characters; Han and kana, which are written without blanks, count two to a word.
    """
    return batch.once("numbers:words", lambda: where(present(batch, "output"), _all_words(batch)))


def _all_words(batch: TurnBatch) -> npt.NDArray[np.int64]:
    def make() -> npt.NDArray[np.int64]:
        return _count(*utf8_bytes(batch, "output"), ideographs_at(batch, "output"))

    return batch.once("numbers:all words", make)


def head_words(batch: TurnBatch) -> npt.NDArray[np.int64]:
    """Words of each answer's head, shape (len(batch),), 0 where there is no answer: those of the whole where it is short."""

    def make() -> npt.NDArray[np.int64]:
        count = _all_words(batch).copy()
        long = np.flatnonzero(characters(batch) > HEAD_CHARACTERS)
        data, offsets = bytes_of(head(batch).take(pa.array(long)))
        count[long] = _count(data, offsets, ideograph_places(data))
        return count

    return batch.once("numbers:head words", make)


def _count(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], ideographs: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    starts = word_starts(data, offsets)
    starts[ideographs] = False
    return count_places(np.flatnonzero(starts), offsets) + count_places(ideographs, offsets) // 2


def word_starts(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> Bools:
    """True where a run of non-blank bytes begins; `offsets` say where each text begins. Same shape as `data`."""
    solid = data > LAST_BLANK
    starts = solid.copy()
    starts[1:] &= ~solid[:-1]
    first = offsets[:-1][offsets[:-1] < offsets[1:]]
    starts[first] = solid[first]
    return starts


def _number(name: str, column: str, reduce: Reduce, up: str, down: str, definition: str) -> Turnwise:
    card = SignalInfo(name, 1, "number", "turn", reduce, definition, up, down, (column,))
    return Turnwise(card, lambda batch: floats(batch.column(column)))


SIGNALS = (
    Turnwise(
        SignalInfo(
            name="output_chars",
            version=1,
            kind="number",
            unit="turn",
            reduce="mean",
            definition="Length of the answer in characters.",
            phrase_up="answers at greater length",
            phrase_down="answers more briefly",
            needs=("output",),
        ),
        characters,
    ),
    Turnwise(
        SignalInfo(
            name="output_words",
            version=2,
            kind="number",
            unit="turn",
            reduce="mean",
            definition="Words of the answer: runs of non-blank characters; two Han or kana characters make a word.",
            phrase_up="answers in more words",
            phrase_down="answers in fewer words",
            needs=("output",),
            alarms=False,
        ),
        words,
    ),
    _number(
        "output_tokens",
        "output_tokens",
        "sum",
        "uses more output tokens",
        "uses fewer output tokens",
        "Tokens of the answer.",
    ),
    _number(
        "input_tokens",
        "input_tokens",
        "sum",
        "is given more input tokens",
        "is given fewer input tokens",
        "Tokens of the request.",
    ),
    _number(
        "reasoning_tokens",
        "reasoning_tokens",
        "sum",
        "thinks with more tokens",
        "thinks with fewer tokens",
        "Output tokens that the model thought with.",
    ),
    _number(
        "cost_usd",
        "cost_usd",
        "sum",
        "costs more",
        "costs less",
        "What the turn cost, in US dollars.",
    ),
    _number(
        "latency_ms",
        "latency_ms",
        "mean",
        "answers more slowly",
        "answers faster",
        "Time to the whole answer, in milliseconds.",
    ),
)
