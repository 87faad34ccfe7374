"""Single random draws, fast: a numpy generator asked for one number at a time spends its time on the asking."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")

_REFILL = 8_192


class Draw:
    """Scalars from a generator, drawn in blocks."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._units: list[float] = []
        self._normals: list[float] = []

    def unit(self) -> float:
        """Uniform in [0, 1)."""
        if not self._units:
            self._units = self._rng.random(_REFILL).tolist()
        return self._units.pop()

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.unit() < probability

    def number(self, low: int, high: int) -> int:
        """A whole number in [low, high)."""
        return low + int(self.unit() * (high - low))

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices, all equally likely."""
        return choices[int(self.unit() * len(choices))]

    def weighted(self, weights: Mapping[T, float], otherwise: T) -> T:
        """One of the keys with its probability; what is missing to 1 belongs to `otherwise`."""
        left = self.unit()
        for choice, weight in weights.items():
            left -= weight
            if left < 0:
                return choice
        return otherwise

    def lognormal(self, median: float, sigma: float) -> float:
        """Log-normal with this median; `sigma` is the standard deviation of the logarithm."""
        if not self._normals:
            self._normals = self._rng.standard_normal(_REFILL).tolist()
        return median * math.exp(sigma * self._normals.pop())
