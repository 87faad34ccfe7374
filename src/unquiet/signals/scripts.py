"""Writing systems: letters in the answer of a script that the request does not use."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unquiet.model.signals import FloatArray, SignalInfo, TurnBatch
from unquiet.signals.parts import Turnwise
from unquiet.signals.text import count_places, present, utf8_bytes, where

_SCRIPTS = 8
_LEAST_LETTERS = 5


def _lead_bytes() -> npt.NDArray[np.uint8]:
    """By first byte: 1 Greek, 2 Cyrillic, 3 Hebrew, 4 Arabic, 5 Indic, Thai, 6 Han, kana, 7 Hangul."""
    table = np.zeros(256, np.uint8)
    table[0xCE : 0xCF + 1] = 1
    table[0xD0 : 0xD4 + 1] = 2
    table[0xD6 : 0xD7 + 1] = 3
    table[0xD8 : 0xDB + 1] = 4
    table[0xE0] = 5
    table[0xE4 : 0xE9 + 1] = 6
    table[0xEA : 0xED + 1] = 7
    return table


_LEAD = _lead_bytes()


def _letters(batch: TurnBatch, column: str) -> npt.NDArray[np.int64]:
    """Letters by script, shape (len(batch), _SCRIPTS); E3 is kana from 81 40 on, CJK punctuation before."""

    def make() -> npt.NDArray[np.int64]:
        data, offsets = utf8_bytes(batch, column)
        at = np.flatnonzero(data >= 0xCE)
        if len(at) == 0:
            return np.zeros((len(batch), _SCRIPTS), np.int64)
        lead = data[at]
        script = _LEAD[lead]
        kana = (lead == 0xE3) & (data[np.minimum(at + 1, len(data) - 1)] >= 0x81)
        script[kana] = 6
        row = np.repeat(np.arange(len(batch)), count_places(at, offsets))
        counts = np.bincount(row * _SCRIPTS + script, minlength=len(batch) * _SCRIPTS)
        return counts.reshape(len(batch), _SCRIPTS)

    return batch.once(f"scripts:{column}", make)


def _foreign(batch: TurnBatch) -> FloatArray:
    asked, answered = _letters(batch, "input"), _letters(batch, "output")
    new = (answered[:, 1:] >= _LEAST_LETTERS) & (asked[:, 1:] == 0)
    return where(present(batch, "input") & present(batch, "output"), new.any(axis=1))


SIGNALS = (
    Turnwise(
        SignalInfo(
            name="foreign_script",
            version=1,
            kind="flag",
            unit="turn",
            reduce="any",
            definition=f"The answer holds {_LEAST_LETTERS} or more letters of a script not in the request.",
            phrase_up="mixes in a script that the user did not use",
            phrase_down="mixes in a script that the user did not use less often",
            needs=("input", "output"),
            none_means="The request or the answer was not recorded.",
        ),
        _foreign,
    ),
)
