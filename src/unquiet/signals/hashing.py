"""Words as numbers: equal words have equal numbers, so that texts can be compared without a loop."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from unquiet.signals.numbers import word_starts
from unquiet.signals.text import bytes_of, ideograph_places

Words = tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]

FACTOR = np.uint64(0x9E3779B97F4A7C15)


def hashed_words(text: pa.Array) -> Words:
    """The row and the hash of every word of a large_string array without nulls, in order.

    Words are runs of non-blank characters; a Han character or kana is a word of its own.
    """
    data, offsets = bytes_of(text)
    begins_word = word_starts(data, offsets)
    begins_word[ideograph_places(data)] = True
    starts = np.flatnonzero(begins_word)
    if not len(starts):
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    row = np.searchsorted(offsets, starts, side="right") - 1
    solid = np.where(data > 32, data.astype(np.uint64) + np.uint64(1), np.uint64(0))
    begins = np.repeat(starts, np.diff(np.append(starts, len(data))))
    place = np.arange(starts[0], len(data)) - begins
    return row, np.add.reduceat(solid[starts[0] :] * _mixed(place), starts - starts[0])


def _mixed(place: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """A pseudorandom odd number for each place within a word: other words hardly ever get the same sum."""
    number = (place.astype(np.uint64) + np.uint64(1)) * FACTOR
    return (number ^ (number >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9) | np.uint64(1)
