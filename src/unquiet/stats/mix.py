"""How much of a change of a rate is behaviour and how much another mix of traffic (Kitagawa 1955)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RateChange:
    """`total = rate_part + mix_part`: the overall rate after minus before, and its two parts."""

    total: float
    rate_part: float
    mix_part: float


def rate_and_mix(n0: FloatArray, x0: FloatArray, n1: FloatArray, x1: FloatArray) -> RateChange:
    """Parts of the change of an overall rate: sessions n, events x of each stratum, before and after, (C,).

    The rate part holds the mix at its mean, the mix part the rates. A stratum seen on one side only has no
    rate to compare: all it changes is mix.

    Raises:
        ValueError: no sessions before or none after.
    """
    total0, total1 = float(n0.sum()), float(n1.sum())
    if total0 <= 0 or total1 <= 0:
        raise ValueError(f"got {total0:g} sessions before and {total1:g} after; need some on both sides")
    share0, share1 = n0 / total0, n1 / total1
    rate0 = np.divide(x0, n0, out=np.zeros(len(n0)), where=n0 > 0)
    rate1 = np.divide(x1, n1, out=np.zeros(len(n1)), where=n1 > 0)
    rate0, rate1 = np.where(n0 > 0, rate0, rate1), np.where(n1 > 0, rate1, rate0)
    rate_part = float(((rate1 - rate0) * (share0 + share1) / 2.0).sum())
    mix_part = float(((share1 - share0) * (rate0 + rate1) / 2.0).sum())
    return RateChange(float(x1.sum()) / total1 - float(x0.sum()) / total0, rate_part, mix_part)
