"""The family files: how patterns are written, and that what is written is used."""

from __future__ import annotations

import re

import pytest
import re2

from unquiet.signals import refusal
from unquiet.signals.lexicon import expand, family_files, lexicon, shape


def test_a_blank_matches_any_white_space_and_an_apostrophe_both_forms() -> None:
    pattern = expand("can't wait", {})
    assert all(re2.search(pattern, text) for text in ("can't wait", "can’t\nwait", "can't  wait"))
    assert re2.search(pattern, "cant wait") is None
    assert re2.search(expand("so ?so", {}), "soso") is not None


def test_word_lists_may_name_word_lists() -> None:
    words = {"pet": "cat|<dog>", "dog": "hound|poodle"}
    assert re2.search(expand("a <pet>", words), "a poodle")


def test_an_unknown_word_list_is_named() -> None:
    with pytest.raises(ValueError, match="no word list <bird>"):
        expand("a <bird>", {"pet": "cat"})


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [(r"a[^.!?\n]*b", "sentence"), (r"a (?:\w+ ){0,3}b", "words"), ("a (?:b|c) d", "nothing")],
)
def test_shapes(pattern: str, expected: str) -> None:
    assert shape(expand(pattern, {})) == expected


@pytest.mark.parametrize("content", family_files(), ids=lambda content: content["language"])
def test_files_hold_what_they_must(content: dict[str, object]) -> None:
    assert re.fullmatch(r"[a-z]{2}", str(content["language"]))
    assert isinstance(content["version"], int)
    written = [pattern for patterns in content["families"].values() for pattern in patterns]  # type: ignore[attr-defined]
    assert len(written) == len(set(written))
    assert not [pattern for pattern in written if re.search(r"\[[^\]]*'[^\]]*\]", pattern)], "apostrophe in brackets"
    assert all(pattern == pattern.lower() or "\\W" in pattern or "\\S" in pattern for pattern in written)


def test_every_weighed_family_exists() -> None:
    assert {*refusal.ANYWHERE, *refusal.OPENING} <= set(lexicon().names)


def test_weights_have_the_sign_of_their_family() -> None:
    for weights in (refusal.ANYWHERE, refusal.OPENING):
        for family, weight in weights.items():
            assert (weight < 0) == (family in {"help_follows", "offers_alternative"}), family
