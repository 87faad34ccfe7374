"""One pass over a text that says which sets of patterns may hit it: most texts need not be shown to most sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import re2

from unquiet.signals.lexicon import PatternSet, options
from unquiet.signals.needles import Strings, needles, written

Places = npt.NDArray[np.int64]

LEAST_SETS = 9
"""A pass of the sieve costs about as much as four sets, and it leaves about half of them."""

LEAST_TEXTS = 64
"""The first sieve for a language takes a tenth of a second to make, or a second for all: so many texts are worth it."""


@dataclass(frozen=True, slots=True)
class Sieve:
    """Finds the needles of pattern sets: `which` says to which set each pattern of `patterns` belongs.

    `always` are the sets of which a pattern has no needle.
    """

    patterns: Any
    which: Places
    always: Places

    def maybe(self, texts: Sequence[bytes], count: int) -> list[Places]:
        """For each of `count` sets, the places of the texts that it may hit, ascending."""
        match = self.patterns.Match
        found = [match(text) or () for text in texts]
        owner = np.repeat(np.arange(len(texts)), [len(each) for each in found])
        of_set = self.which[np.fromiter(chain.from_iterable(found), np.int64, len(owner))]
        order = np.argsort(of_set, kind="stable")
        ends = np.searchsorted(of_set[order], np.arange(count + 1))
        places = [owner[order[ends[i] : ends[i + 1]]] for i in range(count)]
        for each in self.always:
            places[each] = np.arange(len(texts))
        return places


@dataclass(slots=True)
class Sieves:
    """The sieves of a lexicon, each made when texts are first worth it: a language's own, and one for all languages."""

    made: dict[str, Sieve] = field(default_factory=dict[str, Sieve])

    def maybe(self, name: str, sets: Sequence[PatternSet], texts: Sequence[bytes]) -> list[Places]:
        """For each of the sets, the places of the texts that it may hit: all texts where looking would cost more.

        `name` stands for the sets: the same name, the same sets.
        """
        if name not in self.made:
            if len(sets) < LEAST_SETS or len(texts) < LEAST_TEXTS:
                return [np.arange(len(texts))] * len(sets)
            self.made[name] = sieve(sets)
        return self.made[name].maybe(texts, len(sets))


def sieve(sets: Sequence[PatternSet]) -> Sieve:
    """The sieve of pattern sets."""
    patterns = re2.Set.SearchSet(options())
    which, always = list[int](), list[int]()
    for place, each in enumerate(sets):
        wanted = _wanted(each)
        if wanted is None:
            always.append(place)
        else:
            patterns.Add(written(wanted))
            which.append(place)
    patterns.Compile()
    return Sieve(patterns, np.array(which, np.int64), np.array(always, np.int64))


def _wanted(patterns: PatternSet) -> Strings | None:
    found = [needles(pattern) for pattern in patterns.written]
    known = [each for each in found if each is not None]
    return frozenset().union(*known) if len(known) == len(found) else None
