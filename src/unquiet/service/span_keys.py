"""One 64-bit key a span, from its trace id and its span id: which spans are known is asked by keys."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]

TRACE_BYTES, SPAN_BYTES = 16, 8
_ODD = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9))
_MIX = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))
_SHIFT = np.uint64(33)


def span_keys(trace_ids: Sequence[str], span_ids: Sequence[str]) -> Keys:
    """The keys of spans, shape (n,); two different spans share one with probability n^2 / 2^65.

    Ids are hexadecimal; those that are shorter or longer than 16 and 8 bytes are filled or cut. Mixed by the finalizer of
    MurmurHash3 (Appleby), because ids that count up differ in few bits.
    """
    traces = np.frombuffer(_ids(trace_ids, TRACE_BYTES), ">u8").reshape(-1, 2)
    spans = np.frombuffer(_ids(span_ids, SPAN_BYTES), ">u8")
    with np.errstate(over="ignore"):
        key = traces[:, 0].astype(np.uint64) * _ODD[0]
        for part, odd in ((traces[:, 1], _ODD[1]), (spans, _ODD[2])):
            key = _mixed(key ^ part.astype(np.uint64)) * odd
        return _mixed(key)


def _mixed(key: Keys) -> Keys:
    for factor in _MIX:
        key = (key ^ (key >> _SHIFT)) * factor
    return key ^ (key >> _SHIFT)


def _ids(texts: Sequence[str], size: int) -> bytes:
    if set(map(len, texts)) <= {2 * size}:
        return bytes.fromhex("".join(texts))
    return b"".join(_id(each, size) for each in texts)


def _id(text: str, size: int) -> bytes:
    return bytes.fromhex(text).rjust(size, b"\0")[:size]
