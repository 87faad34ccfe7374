"""Words as numbers: equal words have equal numbers, so that texts can be compared without a loop."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from unquiet.signals.numbers import LAST_BLANK, word_starts
from unquiet.signals.text import bytes_of, count_places, ideograph_places

Hashes = npt.NDArray[np.uint64]
Words = tuple[npt.NDArray[np.int64], Hashes]

FACTOR = np.uint64(0x9E3779B97F4A7C15)
_FIRST_BYTES = np.array([256**size - 1 for size in range(9)], np.uint64)
"""By how many bytes of eight are kept, in little-endian order."""


def hashed_words(text: pa.Array) -> Words:
    """The row and the hash of every word of a large_string array without nulls, in order.

    Words are runs of non-blank characters; a Han character or kana begins a word of its own.
    """
    return hashed(*bytes_of(text))


def hashed(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> Words:
    """The row and the hash of every word of texts in UTF-8; text i is `data[offsets[i]:offsets[i + 1]]`."""
    begins = word_starts(data, offsets)
    begins[ideograph_places(data)] = True
    starts = np.flatnonzero(begins)
    row = np.repeat(np.arange(len(offsets) - 1), count_places(starts, offsets))
    # A word goes on up to a blank or to the next word.
    goes_on = data > LAST_BLANK
    last = goes_on.copy()
    last[:-1] &= ~goes_on[1:] | begins[1:]
    size = np.flatnonzero(last) - starts + 1
    return row, _mixed(data, starts, size)


def _mixed(data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], size: npt.NDArray[np.int64]) -> Hashes:
    """Eight bytes at a time through the finalizer of SplitMix64 (Steele, Lea, Flood 2014)."""
    eight = np.ndarray(len(data) + 1, "<u8", np.concatenate([data, np.zeros(8, np.uint8)]), strides=(1,))
    found = np.zeros(len(starts), np.uint64)
    for done in range(0, int(size.max(initial=0)), 8):
        at = np.flatnonzero(size > done)
        value = found[at] * FACTOR + (eight[starts[at] + done] & _FIRST_BYTES[np.minimum(size[at] - done, 8)])
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        found[at] = value ^ (value >> np.uint64(31))
    return found
