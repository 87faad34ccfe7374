"""What rules out work must never rule out a hit: needles, sieves and the language model against what they stand in for."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from test_pipeline_measured import ODD_TEXTS, phrases, words
from unquiet.signals import language
from unquiet.signals.language_model import OPEN
from unquiet.signals.lexicon import PatternSet, lexicon
from unquiet.signals.needles import needles, written
from unquiet.signals.sieve import LEAST_TEXTS, Sieves, sieve


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("sorry", {"sorry"}),
        ("a(?:b|cd)e?", {"ab", "acd", "abe", "acde"}),
        ("(?:one|two)[^.]*(?:three|eleven)", {"three", "eleven"}),
        ("one[^.]*eleven", {"eleven"}),
        ("[sz]ee", {"see", "zee"}),
        (r"\x{E9}t\x27", {"ét'"}),
        ("caf(?:e|x)+s", {"caf"}),
        ("(?:ab){2,3}", {"ab"}),
        ("a*", None),
        ("(?:a|b*)", None),
        (r"\d\w\s?.", None),
        ("[^a]", None),
        (r"^\W*$", None),
        (r"\p{Han}{3}", None),
        ("(?i)a", None),
        ("(a)b", None),
        ("a{,3}", None),
    ],
)
def test_needles(pattern: str, expected: set[str] | None) -> None:
    found = needles(pattern)
    assert found == expected if expected is None else found is not None and set(found) == expected


def test_a_needle_keeps_word_edges_and_blanks() -> None:
    found = needles(r"\bdo(?:\s+)not\b[^.]*")
    assert found is not None
    assert written(found) == r"\bdo\s+not\b"


def every_set() -> list[PatternSet]:
    return [
        each
        for whose in ("", "user")
        for sets in (lexicon(whose) if whose else lexicon()).sets.values()
        for each in sets
    ]


def test_every_pattern_has_needles() -> None:
    """A pattern without is no error, but its set is asked about every text."""
    lacking = [pattern for each in every_set() for pattern in each.written if needles(pattern) is None]
    assert lacking == []


def texts() -> list[str]:
    rng = random.Random(3)
    pool = [text.lower() for text in rng.sample(phrases(), 700)]
    joined = [" ".join(pair) for pair in pairwise(pool[:300])]
    return [*pool, *joined, *ODD_TEXTS, *(words(rng) for _ in range(200))]


def test_what_a_set_hits_its_sieve_lets_through() -> None:
    sets = every_set()
    values = [text.encode() for text in texts()]
    kept = sieve(sets)
    passed = kept.maybe(values, len(sets))
    for each, places in zip(sets, passed, strict=True):
        hit = [place for place, value in enumerate(values) if each.patterns.Match(value)]
        assert set(hit) <= set(places.tolist()), each.written
    assert sum(map(len, passed)) < 0.2 * len(sets) * len(values)


def test_a_pattern_hits_only_where_a_needle_is() -> None:
    values = texts()
    for pattern in random.Random(5).sample([pattern for each in every_set() for pattern in each.written], 40):
        found = needles(pattern)
        assert found is not None
        whole, needle = re2.compile(pattern), re2.compile(written(found))
        assert all(needle.search(value) for value in values if whole.search(value))


def test_a_set_with_a_pattern_without_needles_is_asked_about_everything() -> None:
    patterns = re2.Set.SearchSet()
    patterns.Add(r"\d")
    patterns.Compile()
    whole = PatternSet(patterns, np.array([0]), "", (r"\d",))
    assert [places.tolist() for places in sieve([whole]).maybe([b"a", b"1"], 1)] == [[0, 1]]


def test_a_sieve_is_made_when_texts_are_worth_it() -> None:
    kept, sets = Sieves(), every_set()
    few = [b"no"] * (LEAST_TEXTS - 1)
    assert all(places.tolist() == list(range(len(few))) for places in kept.maybe("all", sets, few))
    assert kept.made == {}
    kept.maybe("all", sets, [b"no"] * LEAST_TEXTS)
    assert list(kept.made) == ["all"]
    assert sum(map(len, kept.maybe("all", sets, few))) < len(few) * len(sets)


def asked(values: list[str]) -> tuple[list[str], list[str]]:
    """What the model says of texts, and fastText."""
    cleaned = language._tidy(pa.array(values, pa.large_string()))  # pyright: ignore[reportPrivateUsage]
    guesses = language._model().guesses(cleaned, 0.5).tolist()  # pyright: ignore[reportPrivateUsage]
    says = language._fasttext_says  # pyright: ignore[reportPrivateUsage]
    return guesses, [says(text) for text in cleaned.to_pylist()]


def test_the_model_says_what_fasttext_says_or_leaves_it_open() -> None:
    values = [text[:80] for text in texts() if "\x00" not in text and "\x0b" not in text]
    guesses, wanted = asked(values)
    settled = [(guess, want) for guess, want in zip(guesses, wanted, strict=True) if guess != OPEN]
    assert [guess for guess, _ in settled] == [want for _, want in settled]
    assert len(settled) > 0.98 * len(values)
    assert len({guess for guess, _ in settled}) > 12


@settings(deadline=None)
@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00\x0b"), max_size=60), min_size=1, max_size=20)
)
def test_the_model_says_what_fasttext_says_of_any_text(values: list[str]) -> None:
    guesses, wanted = asked(values)
    assert all(guess in (want, OPEN) for guess, want in zip(guesses, wanted, strict=True))


def test_words_are_forgotten_and_met_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    values = texts()
    wanted, _ = asked(values)
    monkeypatch.setattr("unquiet.signals.language_model._KNOWN_WORDS", 1_000)
    model = language.read_model(language._model_file())  # pyright: ignore[reportPrivateUsage]
    cleaned = language._tidy(pa.array(values, pa.large_string()))  # pyright: ignore[reportPrivateUsage]
    parts = [model.guesses(cleaned.slice(at, 50), 0.5).tolist() for at in range(0, len(values), 50)]
    assert len(model.known) <= 1_000
    assert [guess for part in parts for guess in part] == wanted
