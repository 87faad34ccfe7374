"""What is new in an answer has no name yet: every answer as a set of features, strings that any language has.

A feature is the opening (1, 2, 3, 4 or 6 first tokens), a run of 1 to 3 tokens of the first 200 characters, the length in
half octaves, the shape (what kinds of lines follow each other), length and beginning of the shape together, or a step from
one tool to the next. Features are kept as 32-bit keys: what they say is read again from
the stored answers when somebody asks (`named`), so that no text leaves the turn table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.shift.kinds import BUILD, LENGTH, OPENING, RUN, SHAPE, STEP
from unquiet.shift.shapes import LONGEST_SHAPE, shape_text, shapes
from unquiet.shift.tokens import head, token_texts, tokens
from unquiet.stats.runs import distinct

IntArray = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint32]
Marks = npt.NDArray[np.uint64]

LONGEST_RUN = 3
OPENINGS = (1, 2, 3, 4, 6)
SHAPES, SHAPE_START = (2, 4, LONGEST_SHAPE), 2
START, END = "(start)", "(end)"
_TURNS_AT_ONCE = 4096
_KNOWN_TEXTS = 50_000
"""Marks that are kept: most tokens are common ones."""


@dataclass(frozen=True, slots=True)
class Features:
    """Features of n sessions: session i has the distinct keys `keys[starts[i]:starts[i + 1]]`, ascending.

    `request` (n,) marks what was asked first, `known` (n,) is False where no answer has text: then nothing is known of
    what was said.
    """

    starts: IntArray
    keys: Keys
    request: Marks
    known: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.request)

    def part(self, low: int, high: int) -> Features:
        """Sessions low to high."""
        first, last = self.starts[low], self.starts[high]
        starts = self.starts[low : high + 1] - first
        return Features(starts, self.keys[first:last], self.request[low:high], self.known[low:high])

    def answers(self, key: int) -> npt.NDArray[np.int8]:
        """Whether each session has a key: 1, 0, or -1 where it is not known, (n,)."""
        out = np.where(self.known, 0, -1).astype(np.int8)
        owner = np.repeat(np.arange(len(self)), np.diff(self.starts))[self.keys == np.uint32(key)]
        out[owner[out[owner] == 0]] = 1
        return out

    @staticmethod
    def joined(parts: list[Features]) -> Features:
        """Sessions of several batches, one after another."""
        sizes = np.concatenate([np.zeros(1, np.int64), *(np.diff(part.starts) for part in parts)])
        return Features(
            np.cumsum(sizes),
            np.concatenate([np.zeros(0, np.uint32), *(part.keys for part in parts)]),
            np.concatenate([np.zeros(0, np.uint64), *(part.request for part in parts)]),
            np.concatenate([np.zeros(0, bool), *(part.known for part in parts)]),
        )


def extract(turns: pa.Table, starts: IntArray) -> Features:
    """Features of sessions whose turns are the rows `starts[i]:starts[i + 1]` of a turn table."""
    session = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    outputs = turns.column("output").combine_chunks().cast(pa.large_string())
    said = [
        _pairs(session[rows], *_said(outputs.slice(rows.start, rows.stop - rows.start)))
        for rows in _blocks(len(session))
    ]
    used = _pairs(*_steps(turns.column("tool_calls").combine_chunks(), session, len(starts) - 1))
    pairs = distinct(np.concatenate([np.zeros(0, np.uint64), *said, used]))
    owner = (pairs >> np.uint64(32)).astype(np.int64)
    sizes = np.bincount(owner, minlength=len(starts) - 1)
    first = turns.column("input").take(pa.array(starts[:-1])).combine_chunks().cast(pa.large_string())
    text = pc.fill_null(pc.greater(pc.binary_length(outputs), 0), False).to_numpy(zero_copy_only=False)
    known = np.bincount(session[text], minlength=len(starts) - 1) > 0
    return Features(
        np.concatenate([[0], np.cumsum(sizes)]),
        (pairs & np.uint64(0xFFFFFFFF)).astype(np.uint32),
        marks_of(pc.fill_null(head(first), "")),
        known,
    )


def marks_of(texts: pa.Array) -> Marks:
    """A 64-bit mark of each text; equal texts have equal marks."""
    coded = texts.dictionary_encode()
    marks = np.fromiter((_mark(text) for text in coded.dictionary.to_pylist()), np.uint64, len(coded.dictionary))
    return marks[coded.indices.to_numpy(zero_copy_only=False)] if len(marks) else np.zeros(len(texts), np.uint64)


@lru_cache(_KNOWN_TEXTS)
def _mark(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "little")


def _blocks(count: int) -> Iterator[slice]:
    for low in range(0, count, _TURNS_AT_ONCE):
        yield slice(low, min(low + _TURNS_AT_ONCE, count))


def _pairs(session: IntArray, owner: IntArray, keys: Keys) -> Marks:
    """Distinct (session, key) as one number each; `owner` are rows of `session`."""
    return distinct((session[owner].astype(np.uint64) << np.uint64(32)) | keys)


def _said(outputs: pa.Array) -> tuple[IntArray, Keys]:
    """Row and key of every feature of what answers say, repeated where it comes twice."""
    row, texts = token_texts(head(pc.fill_null(outputs, "")))
    marks = marks_of(texts)
    rows, keys = [], []
    for size in range(1, LONGEST_RUN + 1):
        at = _in_one_text(row, np.arange(len(row)), size)
        rows.append(row[at])
        keys.append(_kind(run_key(*(marks[at + i] for i in range(size))), RUN))
    first = np.flatnonzero(np.diff(row, prepend=-1))
    for size in OPENINGS:
        at = _in_one_text(row, first, size)
        rows.append(row[at])
        keys.append(_kind(run_key(*(marks[at + i] for i in range(size))), OPENING))
    for owner, found in _built(outputs):
        rows.append(owner)
        keys.append(found)
    return np.concatenate(rows), np.concatenate(keys)


def _in_one_text(row: IntArray, at: IntArray, size: int) -> IntArray:
    """Those of the places `at` from which so many tokens are of one text; `row` says of which each is, ascending."""
    at = at[at + size <= len(row)]
    return at[row[at + size - 1] == row[at]]


def _built(outputs: pa.Array) -> Iterator[tuple[IntArray, Keys]]:
    """Row and key of the features of how answers are built: length, shape, both."""
    length, has = length_bins(outputs)
    yield np.flatnonzero(has), _kind(run_key(length[has].astype(np.uint64)), LENGTH)
    row, kind = shapes(pc.fill_null(outputs, ""))
    place = np.arange(len(row)) - np.searchsorted(row, row)
    code = np.full((len(outputs), LONGEST_SHAPE), -1, np.int64)
    code[row, place] = kind
    code = code[has]
    for size in SHAPES:
        yield np.flatnonzero(has), _kind(run_key(*_columns(code, size)), SHAPE)
    start = run_key(length[has].astype(np.uint64), *_columns(code, SHAPE_START))
    yield np.flatnonzero(has), _kind(start, BUILD)


def _columns(code: IntArray, size: int) -> list[Marks]:
    return [(code[:, place] + 1).astype(np.uint64) for place in range(size)]


def length_bins(outputs: pa.Array) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """The half octave in which the length of each answer lies, and whether it has any text."""
    size = pc.fill_null(pc.utf8_length(outputs), 0).to_numpy(zero_copy_only=False).astype(np.float64)
    return np.floor(2.0 * np.log2(np.maximum(size, 1.0))).astype(np.int64), size > 0


def run_key(*marks: Marks) -> Marks:
    """The key of a run of tokens, from the marks of each (all of one length)."""
    total = np.full(len(marks[0]), len(marks), np.uint64)
    for mark in marks:
        total = _mixed(total ^ mark)
    return total


def _mixed(value: Marks) -> Marks:
    """The finalizer of SplitMix64 (Steele, Lea, Flood 2014): every bit of the input moves every bit of the output."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _kind(hashed: Marks, kind: int) -> Keys:
    return (_mixed(hashed + np.uint64(kind * 0x9E3779B9)) >> np.uint64(32)).astype(np.uint32)


def _steps(calls: pa.Array, session: IntArray, count: int) -> tuple[IntArray, IntArray, Keys]:
    """Steps from tool to tool of each session, its start and end included: sessions, owners and keys."""
    lengths = pc.fill_null(pc.list_value_length(calls), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    names = pc.fill_null(pc.struct_field(calls.flatten(), "name"), "").cast(pa.large_string())
    owner = np.repeat(session, lengths)
    marks = marks_of(names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names)
    whom = np.unique(owner)
    every = np.concatenate([owner, whom, whom])
    place = np.concatenate([np.ones(len(owner), np.int64), np.zeros(len(whom), np.int64), np.full(len(whom), 2)])
    mark = np.concatenate(
        [marks, np.full(len(whom), _mark(START), np.uint64), np.full(len(whom), _mark(END), np.uint64)]
    )
    order = np.lexsort((place, every))
    every, mark = every[order], mark[order]
    same = np.flatnonzero(every[1:] == every[:-1])
    keys = _kind(run_key(mark[same], mark[same + 1]), STEP) if len(same) else np.zeros(0, np.uint32)
    return np.arange(count), every[same], keys


def named(turns: pa.Table, starts: IntArray, wanted: set[int]) -> dict[int, tuple[int, str]]:
    """What keys say, read from sessions that have them: key -> (kind, text), for those that are found.

    Slow and plain: also what the tests hold `extract` against.
    """
    found: dict[int, tuple[int, str]] = {}
    lists = tokens(head(pc.fill_null(turns.column("output").combine_chunks().cast(pa.large_string()), ""))).to_pylist()
    lengths, has = length_bins(turns.column("output").combine_chunks().cast(pa.large_string()))
    calls = turns.column("tool_calls").to_pylist()
    texts = pc.fill_null(turns.column("output").combine_chunks().cast(pa.large_string()), "")
    row, kind = shapes(texts)
    for low, high in pairwise(starts.tolist()):
        path = [START, *(call["name"] or "" for each in calls[low:high] for call in each or ()), END]
        for place in range(low, high):
            _spell(found, wanted, [token for token in lists[place] if token])
            if has[place]:
                _describe(found, wanted, int(lengths[place]), kind[row == place].tolist())
        for one, two in pairwise(path) if len(path) > 2 else ():
            _keep(found, wanted, STEP, np.array([_mark(one), _mark(two)], np.uint64), f"{one} -> {two}")
    return found


def _describe(found: dict[int, tuple[int, str]], wanted: set[int], length: int, shape: list[int]) -> None:
    _keep(found, wanted, LENGTH, np.array([length], np.uint64), length_text(length))
    padded = [kind + 1 for kind in shape] + [0] * LONGEST_SHAPE
    for size in SHAPES:
        more = " and more" if len(shape) > size else ""
        _keep(found, wanted, SHAPE, np.array(padded[:size], np.uint64), shape_text(shape[:size]) + more)
    both = f"{length_text(length)} beginning as {shape_text(shape[:SHAPE_START])}"
    _keep(found, wanted, BUILD, np.array([length, *padded[:SHAPE_START]], np.uint64), both)


def length_text(bin_: int) -> str:
    """`91 to 128 characters`."""
    low, high = int(np.ceil(2 ** (bin_ / 2))), int(np.ceil(2 ** ((bin_ + 1) / 2))) - 1
    return f"{low} to {max(high, low)} characters"


def _spell(found: dict[int, tuple[int, str]], wanted: set[int], words: list[str]) -> None:
    marks = np.array([_mark(word) for word in words], np.uint64)
    for at in range(len(words)):
        for size in range(1, min(LONGEST_RUN, len(words) - at) + 1):
            _keep(found, wanted, RUN, marks[at : at + size], " ".join(words[at : at + size]))
    for size in OPENINGS:
        if size <= len(words):
            _keep(found, wanted, OPENING, marks[:size], " ".join(words[:size]))


def _keep(found: dict[int, tuple[int, str]], wanted: set[int], kind: int, marks: Marks, text: str) -> None:
    key = int(_kind(run_key(*(marks[i : i + 1] for i in range(len(marks)))), kind)[0])
    if key in wanted:
        found.setdefault(key, (kind, text))
