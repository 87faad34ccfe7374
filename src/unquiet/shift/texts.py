"""Texts of Arrow as bytes, and bytes as texts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

IntArray = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


def bytes_of(text: pa.Array) -> tuple[Bytes, IntArray]:
    """The UTF-8 bytes of a large_string array without nulls, and where each value lies in them."""
    if not len(text):
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    _, ends, data = text.buffers()
    offsets = np.frombuffer(ends, np.int64)[text.offset : text.offset + len(text) + 1]
    held = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return held[offsets[0] : offsets[-1]], offsets - offsets[0]


def text_of(data: Bytes, offsets: IntArray) -> pa.Array:
    """The large_string array of the values `data[offsets[i]:offsets[i + 1]]`, which must be UTF-8."""
    return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))
