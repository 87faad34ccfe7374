"""Terms of one to four words that many answers of one kind say and hardly any of the other, chosen to cover the most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unquiet.regression.checking import words

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

LONGEST = 4
MOST_WORDS = 120
"""Of a longer answer its beginning counts."""

MOST_TERMS = 8
MOST_READ = 400
"""Terms that are looked at closely."""

LEAST_SESSIONS = 5
"""A term of fewer sessions may be somebody's own words."""

LEAST_SHARE = 0.04
OTHER_SHARE = 0.02
"""Of the other answers, the share that may say a term."""

OTHER_WEIGHT = 4.0
LEAST_GAIN = 3.0
ASKED_SHARE = 0.2
"""A term that so many of the requests say themselves tells of the requests."""


@dataclass(frozen=True, slots=True)
class Said:
    """Answers (n,) with the session of each (n,), and what was asked."""

    outputs: Sequence[str]
    requests: Sequence[str]
    session: IntArray


def learn(shows: Said, other: Said) -> tuple[str, ...]:
    """The terms that answers of `shows` say and those of `other` do not, at most MOST_TERMS, the widest first.

    Words with digits are left out, as are terms that less than LEAST_SESSIONS sessions say.
    """
    found = [_terms(text) for text in shows.outputs]
    pairs = {(term, int(session)) for terms, session in zip(found, shows.session, strict=True) for term in terms}
    counts = Counter(term for term, _ in pairs)
    sessions = len(np.unique(shows.session))
    least = max(LEAST_SESSIONS, LEAST_SHARE * sessions)
    frequent = {term for term, count in counts.items() if count >= least}
    elsewhere = Counter(term for text in other.outputs for term in _terms(text) & frequent)
    allowed = OTHER_SHARE * len(other.outputs)
    rare = [term for term in frequent if elsewhere[term] <= allowed]
    rare.sort(key=lambda term: (-counts[term], -term.count(" "), term))
    kept = _not_asked(rare[:MOST_READ], found, shows.requests)
    hits = _hits(kept, found)
    misses = _hits(kept, [_terms(text) for text in other.outputs])
    return tuple(kept[i] for i in _widest(hits, misses))


def _terms(text: str) -> set[str]:
    said = words(text).split()[:MOST_WORDS]
    runs = (said[at : at + size] for size in range(1, LONGEST + 1) for at in range(len(said) - size + 1))
    return {" ".join(run) for run in runs if not any(c.isdigit() for word in run for c in word)}


def _not_asked(terms: Sequence[str], found: Sequence[set[str]], requests: Sequence[str]) -> list[str]:
    """Those that do not merely repeat the request, nor hold a word that does."""
    asked = [words(text) for text in requests]

    def repeats(term: str) -> bool:
        rows = [i for i, said in enumerate(found) if term in said]
        return sum(f" {term} " in asked[i] for i in rows) > ASKED_SHARE * len(rows)

    repeated = {term for term in terms if repeats(term)}
    return [term for term in terms if term not in repeated and not repeated & set(term.split())]


def _hits(terms: Sequence[str], found: Sequence[set[str]]) -> BoolArray:
    return np.array([[term in said for said in found] for term in terms], bool).reshape(len(terms), len(found))


def _widest(hits: BoolArray, misses: BoolArray) -> list[int]:
    """Greedy maximum coverage (Nemhauser, Wolsey, Fisher 1978) of answers, less those of the other kind."""
    left, free = np.ones(hits.shape[1], bool), np.ones(misses.shape[1], bool)
    scale = OTHER_WEIGHT * hits.shape[1] / max(misses.shape[1], 1)
    chosen: list[int] = []
    while len(chosen) < min(MOST_TERMS, len(hits)):
        gain = hits[:, left].sum(axis=1) - scale * misses[:, free].sum(axis=1)
        best = int(gain.argmax())
        if gain[best] < max(LEAST_GAIN, LEAST_SHARE * hits.shape[1]):
            break
        chosen.append(best)
        left &= ~hits[best]
        free &= ~misses[best]
    return chosen
