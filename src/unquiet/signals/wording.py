"""Which wording families each answer hits: RE2 set passes over a batch, shared by every signal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.signals import TurnBatch
from unquiet.signals.language import UNDETERMINED, languages
from unquiet.signals.lexicon import Lexicon, PatternSet, lexicon
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
    return batch.once("wording:hits", lambda: _read(lexicon(), languages(batch, "output"), head(batch)))


def user_hit(batch: TurnBatch, family: str) -> Bools:
    """True where a request hits a family of what users say, shape (len(batch),)."""
    known = lexicon("user")

    def make() -> Hits:
        text = pc.ascii_lower(pc.utf8_slice_codeunits(filled(batch, "input"), 0, REQUEST_CHARACTERS))
        return _read(known, languages(batch, "input"), text)

    return batch.once("wording:user", make).anywhere[:, known.index(family)]


def _read(known: Lexicon, spoken: npt.NDArray[np.str_], text: pa.Array) -> Hits:
    size = (len(text), len(known.names))
    found = Hits(np.zeros(size, np.bool_), np.zeros(size, np.bool_))
    for code, sets in known.sets.items():
        rows = np.flatnonzero((spoken == code) | (spoken == UNDETERMINED))
        whole = _as_bytes(text.take(pa.array(rows)))
        for name in ("", *known.harmless[code]):
            group = [each for each in sets if each.passes_over == name]
            left, texts = _serious(whole, group, known.harmless[code][name]) if name else (slice(None), whole)
            for each in group:
                _match(texts, rows[left], each, found)
    return found


def hit(batch: TurnBatch, *families: str) -> Bools:
    """True where an answer hits one of `families` anywhere in its head, shape (len(batch),)."""
    columns = [lexicon().index(family) for family in families]
    return np.any(hits(batch).anywhere[:, columns], axis=1)


def _as_bytes(text: pa.Array) -> list[bytes]:
    return [value[:READ_BYTES] for value in text.cast(pa.large_binary()).to_pylist()]


def _serious(whole: list[bytes], group: list[PatternSet], harmless: Any) -> tuple[npt.NDArray[np.int64], list[bytes]]:
    """The places of texts that a set of the group hits at all, and those texts without their harmless wordings."""
    hit_at_all = [any(each.patterns.Match(value) for each in group) for value in whole]
    left = np.flatnonzero(np.array(hit_at_all, np.bool_))
    return left, [harmless.sub(b" ", whole[place]) for place in left]


def _match(values: list[bytes], rows: npt.NDArray[np.int64], patterns: PatternSet, into: Hits) -> None:
    match, family_of = patterns.patterns.Match, patterns.families
    found = [match(value) for value in values]
    _mark(into.anywhere, rows, found, family_of)
    early = [match(value[:OPENING_BYTES]) if hit else None for value, hit in zip(values, found, strict=True)]
    _mark(into.opening, rows, early, family_of)


def _mark(
    into: Bools, rows: npt.NDArray[np.int64], found: list[list[int] | None], family_of: npt.NDArray[np.int64]
) -> None:
    places = [place for place, hit in enumerate(found) if hit for _ in hit]
    patterns = [pattern for hit in found if hit for pattern in hit]
    into[rows[places], family_of[patterns]] = True
