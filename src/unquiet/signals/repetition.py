"""Text that repeats itself, byte for byte (compression) or in its wording (four words in a row that were there before)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.signals import FloatArray, SignalInfo, TurnBatch
from unquiet.signals.hashing import FACTOR, hashed_words
from unquiet.signals.parts import Turnwise
from unquiet.signals.text import filled, present, where

READ_BYTES = 1500
"""How much of an answer's end is compressed; loops run to the end of an answer."""

_LEAST_BYTES = 200
_REPEATS_BELOW = 0.3
_LOOK_BELOW = 0.6
"""Only a text that compresses to this can repeat much of its wording: the others need not be looked at."""

GRAM = 4
_GRAMS_REPEAT = 0.5
_LEAST_GRAMS = 40


def _repetition(batch: TurnBatch) -> FloatArray:
    compress = pa.Codec("lz4_raw").compress
    ratio = np.ones(len(batch))
    values = pc.cast(filled(batch, "output"), pa.large_binary()).to_pylist()
    for row, value in enumerate(values):
        if len(value) >= _LEAST_BYTES:
            end = value[-READ_BYTES:]
            ratio[row] = len(compress(end, asbytes=True)) / len(end)
    worth = np.flatnonzero((ratio >= _REPEATS_BELOW) & (ratio < _LOOK_BELOW))
    again = ratio < _REPEATS_BELOW
    again[worth] = repeated_share(filled(batch, "output").take(pa.array(worth))) >= _GRAMS_REPEAT
    return where(present(batch, "output"), again)


def repeated_share(text: pa.Array) -> FloatArray:
    """Share of the runs of `GRAM` words that occurred before in their text, shape (len(text),).

    A Han character or kana is a word of its own. 0 for texts of fewer than `_LEAST_GRAMS` such runs.
    """
    row, word = hashed_words(text)
    if len(word) < GRAM:
        return np.zeros(len(text))
    gram = np.zeros(len(word) - GRAM + 1, np.uint64)
    for place in range(GRAM):
        gram = gram * FACTOR + word[place : len(word) - GRAM + 1 + place]
    inside = row[: len(gram)] == row[GRAM - 1 :]
    of, gram = row[: len(gram)][inside], gram[inside]
    total = np.bincount(of, minlength=len(text))
    order = np.lexsort((gram, of))
    seen = (np.diff(of[order]) == 0) & (np.diff(gram[order]) == 0)
    repeats = np.bincount(of[order][1:][seen], minlength=len(text))
    return np.where(total >= _LEAST_GRAMS, repeats / np.maximum(total, 1), 0.0)


SIGNALS = (
    Turnwise(
        SignalInfo(
            name="repetition",
            version=2,
            kind="flag",
            unit="turn",
            reduce="any",
            definition=(
                "The answer says the same again: LZ4 compression shrinks its end to less than 30 %, or half of its "
                f"runs of {GRAM} words occurred before."
            ),
            phrase_up="repeats itself",
            phrase_down="repeats itself less often",
            needs=("output",),
        ),
        _repetition,
    ),
)
