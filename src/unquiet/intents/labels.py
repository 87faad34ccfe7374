"""Names for cells: the words that the requests in one cell have and the others do not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_WORDS = 3
_MIN_REQUESTS = 3
_STEM_LETTERS = 5
_SHORT_LETTERS = 4
_NOT_LETTERS = r"[^\p{L}]+"


def label_cells(texts: Sequence[str | None] | pa.Array, cells: npt.NDArray[np.int32], k: int) -> list[str]:
    """One label a cell, such as "refund / order / cancel"; "cell 7" where no word stands out.

    A word's weight in a cell is `p log(p / q)`: `p` is the share of the cell's requests that contain the
    word, `q` the share of all requests (its part of the Kullback-Leibler divergence). Words that every
    request has weigh nothing, words below four letters half: no list of stop words of any language is needed.
    `texts` and `cells` are parallel; rows with a cell outside 0 .. k-1 only count for `q`.
    """
    words, present = _presence(texts)
    inside = (cells[present[0]] >= 0) & (cells[present[0]] < k)
    counts = np.zeros((k, len(words)))
    np.add.at(counts, (cells[present[0][inside]], present[1][inside]), 1.0)
    overall = np.bincount(present[1], minlength=len(words)) / max(len(cells), 1)
    sizes = np.bincount(cells[(cells >= 0) & (cells < k)], minlength=k)
    share = counts / np.maximum(sizes, 1)[:, None]
    usable = counts >= np.minimum(_MIN_REQUESTS, np.maximum(sizes, 1))[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(usable & (share > overall), share * np.log(share / overall), 0.0)
    weight[:, np.array([len(word) < _SHORT_LETTERS for word in words], bool)] *= 0.5
    return _distinct([_label(row, words, cell) for cell, row in enumerate(weight)])


def _presence(texts: Sequence[str | None] | pa.Array) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The distinct words, and the `[2, m]` pairs (row, word) of the words that a row contains."""
    column = pc.utf8_lower(pc.fill_null(pa.array(texts, pa.large_string()), ""))
    lists = pc.split_pattern_regex(column, pattern=_NOT_LETTERS)
    flat = lists.flatten().dictionary_encode()
    rows = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False).astype(np.int64)
    words: list[str] = flat.dictionary.to_pylist()
    pairs = np.unique(np.stack([rows, flat.indices.to_numpy(zero_copy_only=False)]), axis=1)
    long_enough = np.array([len(word) > 1 for word in words], bool)
    return words, pairs[:, long_enough[pairs[1]]] if len(words) else pairs


def _label(weight: npt.NDArray[np.float64], words: list[str], cell: int) -> str:
    chosen: list[str] = []
    for at in np.argsort(-weight, kind="stable")[: 8 * _WORDS]:
        if weight[at] <= 0 or len(chosen) == _WORDS:
            break
        if all(words[at][:_STEM_LETTERS] != word[:_STEM_LETTERS] for word in chosen):
            chosen.append(words[at])
    return " / ".join(chosen) if chosen else f"cell {cell}"


def _distinct(labels: list[str]) -> list[str]:
    """A label that is already taken gets the number of its cell."""
    seen: set[str] = set()
    result: list[str] = []
    for cell, label in enumerate(labels):
        result.append(f"{label} ({cell})" if label in seen else label)
        seen.add(label)
    return result
