"""Text that repeats itself."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.signals import FloatArray, SignalInfo, TurnBatch
from unquiet.signals.parts import Turnwise
from unquiet.signals.text import filled, present, where

READ_BYTES = 1500
"""How much of an answer's end is compressed; loops run to the end of an answer."""

_LEAST_BYTES = 200
_REPEATS_BELOW = 0.3


def _repetition(batch: TurnBatch) -> FloatArray:
    compress = pa.Codec("lz4_raw").compress
    ratio = np.ones(len(batch))
    values = pc.cast(filled(batch, "output"), pa.large_binary()).to_pylist()
    for row, value in enumerate(values):
        if len(value) >= _LEAST_BYTES:
            end = value[-READ_BYTES:]
            ratio[row] = len(compress(end, asbytes=True)) / len(end)
    return where(present(batch, "output"), ratio < _REPEATS_BELOW)


SIGNALS = (
    Turnwise(
        SignalInfo(
            name="repetition",
            version=1,
            kind="flag",
            unit="turn",
            reduce="any",
            definition="LZ4 compression shrinks the answer's end to less than 30 %: it says the same again.",
            phrase_up="repeats itself",
            phrase_down="repeats itself less often",
            needs=("output",),
        ),
        _repetition,
    ),
)
