"""Which wording families each answer hits: RE2 set passes over a batch, shared by every signal."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.signals import TurnBatch
from unquiet.signals.language import UNDETERMINED, languages
from unquiet.signals.lexicon import Lexicon, PatternSet, lexicon
from unquiet.signals.sieve import Places, Sieves
from unquiet.signals.text import Bools, filled, head

WORDING_VERSION = 5
"""Version of the signals that read wording families: another wording in a family file starts new baselines of all."""

NO_READING = "The answer was not recorded, or is in a language without wording families."
"""What an unknown value of a signal means that reads wording families."""

READ_BYTES = 1800
"""How much of an answer's head is read, in bytes of UTF-8: a Chinese character takes three and says as much as three letters."""

REQUEST_CHARACTERS = 600
"""How much of a request is read for what users say when something goes wrong."""

OPENING_BYTES = 220
"""Families hit within this many bytes of UTF-8 count as part of the answer's opening."""


@dataclass(frozen=True, slots=True)
class Hits:
    """Families hit per answer, each of shape (len(batch), number of families)."""

    anywhere: Bools
    opening: Bools


def hits(batch: TurnBatch) -> Hits:
    """Which families each answer hits, anywhere in its head and in its opening.

    An answer is read with the families of its language, an answer of undetermined language with all.
    """
    return batch.once(
        "wording:hits", lambda: _read(lexicon(), _answer_sieves(), languages(batch, "output"), head(batch))
    )


def user_hit(batch: TurnBatch, family: str) -> Bools:
    """True where a request hits a family of what users say, shape (len(batch),)."""
    known = lexicon("user")

    def make() -> Hits:
        text = pc.ascii_lower(pc.utf8_slice_codeunits(filled(batch, "input"), 0, REQUEST_CHARACTERS))
        return _read(known, _request_sieves(), languages(batch, "input"), text)

    return batch.once("wording:user", make).anywhere[:, known.index(family)]


@cache
def _answer_sieves() -> Sieves:
    return Sieves()


@cache
def _request_sieves() -> Sieves:
    return Sieves()


def _read(known: Lexicon, kept_back: Sieves, spoken: npt.NDArray[np.str_], text: pa.Array) -> Hits:
    """Hits of texts; equal texts, which are in one language, are read once."""
    coded = text.dictionary_encode()
    place = coded.indices.to_numpy()
    first = np.zeros(len(coded.dictionary), np.int64)
    first[place[::-1]] = np.arange(len(place))[::-1]
    reading = _Reading(known, kept_back, _as_bytes(coded.dictionary))
    tongue = spoken[first]
    for code, sets in known.sets.items():
        reading.hold(code, [(code, each) for each in sets], np.flatnonzero(tongue == code))
    every = [(code, each) for code, sets in known.sets.items() for each in sets]
    reading.hold(UNDETERMINED, every, np.flatnonzero(tongue == UNDETERMINED))
    return Hits(reading.anywhere[place], reading.opening[place])


def hit(batch: TurnBatch, *families: str) -> Bools:
    """True where an answer hits one of `families` anywhere in its head, shape (len(batch),)."""
    columns = [lexicon().index(family) for family in families]
    return np.any(hits(batch).anywhere[:, columns], axis=1)


def _as_bytes(text: pa.Array) -> list[bytes]:
    return [value[:READ_BYTES] for value in text.cast(pa.large_binary()).to_pylist()]


class _Reading:
    """Texts held against pattern sets: what they hit, anywhere and in their opening, each (texts, families)."""

    def __init__(self, known: Lexicon, kept_back: Sieves, texts: list[bytes]) -> None:
        self.known = known
        self.kept_back = kept_back
        self.texts = texts
        self.anywhere = np.zeros((len(texts), len(known.names)), np.bool_)
        self.opening = np.zeros_like(self.anywhere)

    def hold(self, name: str, sets: list[tuple[str, PatternSet]], rows: Places) -> None:
        """Hold the texts in `rows` against sets of languages; `name` stands for these sets."""
        values = [self.texts[row] for row in rows.tolist()]
        patterns = [each for _, each in sets]
        maybe = self.kept_back.maybe(name, patterns, values)
        for code, apart in dict.fromkeys((code, each.passes_over) for code, each in sets):
            group = [i for i, (of, each) in enumerate(sets) if of == code and each.passes_over == apart]
            left, texts, where = rows, values, maybe
            if apart:
                serious = _serious(values, [(patterns[i], maybe[i]) for i in group])
                left, harmless = rows[serious], self.known.harmless[code][apart]
                texts = [harmless.sub(b" ", values[place]) for place in serious.tolist()]
                where = self.kept_back.maybe(name, patterns, texts)
            for i in group:
                self.match([texts[place] for place in where[i].tolist()], left[where[i]], patterns[i])

    def match(self, values: list[bytes], rows: Places, patterns: PatternSet) -> None:
        """Mark what a set hits in texts, which are those of `rows`."""
        match, family_of = patterns.patterns.Match, patterns.families
        found = [match(value) for value in values]
        _mark(self.anywhere, rows, found, family_of)
        early = [match(value[:OPENING_BYTES]) if hit else None for value, hit in zip(values, found, strict=True)]
        _mark(self.opening, rows, early, family_of)


def _serious(values: list[bytes], group: list[tuple[PatternSet, Places]]) -> Places:
    """The places of texts that a set of the group hits at all, each looked for in the places that it may hit."""
    found = np.zeros(len(values), np.bool_)
    for patterns, places in group:
        match = patterns.patterns.Match
        left = places[~found[places]]
        found[left] = [match(values[place]) is not None for place in left.tolist()]
    return np.flatnonzero(found)


def _mark(into: Bools, rows: Places, found: list[list[int] | None], family_of: Places) -> None:
    places = [place for place, hit in enumerate(found) if hit for _ in hit]
    patterns = [pattern for hit in found if hit for pattern in hit]
    into[rows[places], family_of[patterns]] = True
