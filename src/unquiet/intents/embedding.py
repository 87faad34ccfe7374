"""Texts to unit vectors with the static token embeddings that the wordllama wheel carries.

Source: WordLlama (Miller 2024), model `l2_supercat_256`, mean pooling. A static embedding has no context: the
vector of a text is the sum of the vectors of its words, so each distinct word of a batch is tokenised once.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from unquiet.model.errors import ConfigError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Vectors = npt.NDArray[np.float32]

DIMENSIONS = 256
"""Length of every vector."""

MAX_CHARACTERS = 1_200
"""Of a longer text only this beginning counts: about 256 tokens of English."""

_BLOCK_ROWS = 4_096

_KNOWN_WORDS = 100_000
"""Words whose tokens are kept, about 20 MB; then they are forgotten and met anew."""

_WEIGHTS = "weights/l2_supercat_256.safetensors"
_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"


def embed(texts: Sequence[str | None] | pa.Array | pa.ChunkedArray) -> Vectors:
    """Vectors of texts, shape `[len(texts), DIMENSIONS]`, each of length 1.

    A null, an empty text and a text of white space alone have the zero vector. A row depends on its own text
    only, never on the batch that it came in. Reads two files of the installed wordllama package and no
    network.

    Raises:
        ConfigError: the wordllama package or its data files are not installed.
    """
    column = _large_strings(texts)
    blocks = [_embed_block(column.slice(at, _BLOCK_ROWS)) for at in range(0, len(column), _BLOCK_ROWS)]
    return np.concatenate(blocks) if blocks else np.zeros((0, DIMENSIONS), np.float32)


def _large_strings(texts: Sequence[str | None] | pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    if isinstance(texts, pa.Array):
        return texts.cast(pa.large_string())
    return pa.array(texts, pa.large_string())


def _embed_block(column: pa.Array) -> Vectors:
    words = pc.utf8_split_whitespace(pc.utf8_slice_codeunits(pc.fill_null(column, ""), 0, MAX_CHARACTERS))
    flat = words.flatten().dictionary_encode()
    lengths = pc.list_value_length(words).to_numpy(zero_copy_only=False).astype(np.int64)
    # The split of an empty text is one empty word, and of " a" an empty word and "a": both have no tokens.
    vectors = _word_vectors(flat.dictionary.to_pylist())
    return _unit(_sum_runs(vectors, flat.indices.to_numpy(zero_copy_only=False), lengths))


def _word_vectors(words: list[str]) -> Vectors:
    """Sum of the token vectors of every word."""
    if not words:
        return np.zeros((0, DIMENSIONS), np.float32)
    tokenizer, table = _static_model()
    known = _known_tokens()
    new = [word for word in words if word and word not in known]
    if len(known) + len(new) > _KNOWN_WORDS:
        known.clear()
        new = [word for word in words if word]
    known.update(zip(new, (encoding.ids for encoding in _encode(tokenizer, new)), strict=True))
    ids = [known[word] if word else [] for word in words]
    lengths = np.fromiter(map(len, ids), np.int64, len(ids))
    flat = np.fromiter(chain.from_iterable(ids), np.int64, int(lengths.sum()))
    return _sum_runs(table, flat, lengths)


@functools.cache
def _known_tokens() -> dict[str, list[int]]:
    """Token ids of words met before: most words of a text are common ones, and tokenising costs most."""
    return {}


def _encode(tokenizer: Tokenizer, words: list[str]) -> list[Any]:
    return tokenizer.encode_batch(words, add_special_tokens=False)


def _sum_runs(table: Vectors, ids: npt.NDArray[Any], lengths: npt.NDArray[np.int64]) -> Vectors:
    """Row i: the sum of `table[ids]` over the i-th run of `ids` (runs of the given lengths), left to right.

    As a product with a sparse matrix of ones: twenty times as fast as `np.add.reduceat` over rows.
    """
    ends = np.concatenate([[0], np.cumsum(lengths)])
    members = csr_array((np.ones(len(ids), np.float32), ids, ends), shape=(len(lengths), len(table)))
    return members @ table


def _unit(rows: Vectors) -> Vectors:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)


@functools.cache
def _static_model() -> tuple[Tokenizer, Vectors]:
    # Imported here: both libraries cost a start-up that a command without texts need not pay.
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    folder = _wheel_folder()
    tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer, load_file(folder / _WEIGHTS)["embedding.weight"].astype(np.float32)


def _wheel_folder() -> Path:
    """Where wordllama is installed, found without importing it (its own loader asks a model hub)."""
    spec = importlib.util.find_spec("wordllama")
    folder = Path(spec.origin).parent if spec is not None and spec.origin is not None else None
    if folder is None or not (folder / _WEIGHTS).is_file() or not (folder / _TOKENIZER).is_file():
        raise ConfigError(
            f"The text vectors of the wordllama package are missing (looked for {_WEIGHTS} and {_TOKENIZER} "
            f"in {folder or 'the installed packages'}). Install them with: "
            "pip install 'wordllama>=0.4.0.post1'"
        )
    return folder
