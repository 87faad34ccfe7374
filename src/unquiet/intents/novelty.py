"""New kinds of request: words, and words side by side, that nobody had asked with and that come again and again now.

The fine layer beside the coarse cells. A request far from all others in the space of vectors is mostly an odd one, and a new
kind mostly lies between old ones: of held-out kinds of a support desk the vectors show 0 to 24 %, recurring new words
49 to 92 %, both with about 0.5 % of ordinary requests. A name of a kind of request (an intent that the traffic carries) is
handled as a word is. Kinds keep their numbers for ever.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
Marks = npt.NDArray[np.uint32]

ORDINARY, UNKNOWN, NEW = -1, -2, -3
"""What a request is that belongs to no kind that was found: as before, not known, or of a kind without a number yet."""

LEAST_BEFORE = 4
"""Earlier requests, of other people and in other words, that make a key recurring."""

WINDOW_DAYS = 7
SETTLED_DAYS = 14
"""A key that has come again and again for so long without an alarm is an ordinary one."""

MOST_MET = 8
READ_CHARACTERS = 400

_WORD = re.compile(r"[^\W\d_]{3,}")
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_MONTH = re.compile(
    "january|february|march|april|may|june|july|august|september|october|november|december|januar|februar|märz|mai|juni|juli|"
    "oktober|dezember|janvier|février|mars|avril|juin|juillet|août|septembre|octobre|novembre|décembre|enero|febrero|marzo|"
    "abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre|janeiro|fevereiro|março|maio|junho|julho|setembro|"
    "outubro|dezembro"
)
"""A month that begins is no new kind of request."""


def request_keys(text: str | None) -> list[str]:
    """Distinct words of three letters and more, and pairs of neighbours, of the beginning of a request.

    Of scripts that do not part words, three characters in a row stand for one.
    """
    words: list[str] = []
    for word in _WORD.findall((text or "")[:READ_CHARACTERS].lower()):
        if _UNSPACED.search(word):
            words.extend(word[i : i + 3] for i in range(len(word) - 2))
        elif not _MONTH.fullmatch(word):
            words.append(word)
    pairs = [f"{a} {b}" for a, b in itertools.pairwise(words)]
    return list(dict.fromkeys([*words, *pairs]))


def marks_of(keys: Sequence[str]) -> Marks:
    """32-bit marks of keys; two of ten thousand new keys are taken for known ones where a million is known."""
    return np.fromiter((zlib.crc32(key.encode()) for key in keys), np.uint32, len(keys))


@dataclass(frozen=True, slots=True)
class Request:
    """A request: its keys, and marks of who asked and of how it was put."""

    keys: Sequence[str]
    who: int
    text: int


@dataclass(slots=True)
class Waiting:
    """A session whose request has recurring new keys, `number` in the order of sessions; `tick_us` when it counts."""

    number: int
    tick_us: int
    started_us: int
    day: int
    keys: list[str]


@dataclass(slots=True)
class Novelty:
    """What was asked with so far, and the kinds of request that turned up since.

    `known` (sorted) are marks of ordinary keys. `met` holds, per other key, day and marks of its last requests, `since`
    the day on which it became recurring. `kind_of` maps keys to the numbers of kinds; those in `pending` got theirs since
    the day began, and sort requests from the next day on.
    """

    known: Marks
    met: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict[str, list[tuple[int, int, int]]])
    since: dict[str, int] = field(default_factory=dict[str, int])
    kind_of: dict[str, int] = field(default_factory=dict[str, int])
    kind_count: int = 0
    pending: set[str] = field(default_factory=set[str])

    def sort(self, requests: Sequence[Request], day: int) -> tuple[IntArray, list[list[str]]]:
        """What each request of a day is, in order: a kind, NEW, ORDINARY, or UNKNOWN without keys; and its new keys."""
        flat = [key for request in requests for key in request.keys]
        fresh = ~self._is_known(marks_of(flat))
        out = np.full(len(requests), ORDINARY, np.int64)
        found: list[list[str]] = []
        at = 0
        for i, request in enumerate(requests):
            end = at + len(request.keys)
            keys = [flat[j] for j in np.flatnonzero(fresh[at:end]) + at] if fresh[at:end].any() else []
            at = end
            again = [key for key in keys if self._meet(key, request, day)]
            named = [key for key in keys if key in self.kind_of and key not in self.pending]
            kinds = [self.kind_of[key] for key in named]
            out[i] = min(kinds) if kinds else NEW if again else ORDINARY if request.keys else UNKNOWN
            found.append([*again, *(key for key in named if key not in again)])
        return out, found

    def turn(self, day: int) -> None:
        """Begin a day: names hold, what is out of the window is forgotten, long-lived keys are ordinary from now on."""
        self.pending.clear()
        ordinary = [key for key, since in self.since.items() if day - since >= SETTLED_DAYS and key not in self.kind_of]
        self.learn(ordinary)
        kept = {key: [each for each in met if each[0] > day - WINDOW_DAYS] for key, met in self.met.items()}
        self.met = {key: met for key, met in kept.items() if met}

    def learn(self, keys: Iterable[str]) -> None:
        """Take keys for ordinary ones."""
        listed = list(keys)
        self.known = np.union1d(self.known, marks_of(listed)).astype(np.uint32)
        for key in listed:
            self.since.pop(key, None)
            self.met.pop(key, None)

    def found(self, keys: Iterable[str]) -> int:
        """Make a kind of keys: its number. It holds from the next day on."""
        number, self.kind_count = self.kind_count, self.kind_count + 1
        named = dict.fromkeys(keys, number)
        self.kind_of |= named
        self.pending |= named.keys()
        return number

    def _is_known(self, marks: Marks) -> npt.NDArray[np.bool_]:
        if not len(self.known):
            return np.zeros(len(marks), bool)
        place = np.minimum(np.searchsorted(self.known, marks), len(self.known) - 1)
        return self.known[place] == marks

    def _meet(self, key: str, request: Request, day: int) -> bool:
        """Note that a request has a key; whether enough others had it before."""
        met = self.met.setdefault(key, [])
        again = len(met) >= LEAST_BEFORE
        if again:
            self.since.setdefault(key, day)
        if all(request.who != who and request.text != text for _, who, text in met):
            met.append((day, request.who, request.text))
            del met[:-MOST_MET]
        return again
