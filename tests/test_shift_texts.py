"""Tokens and shapes, which are cut byte by byte, against what says the same in a line of pyarrow or Python."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from test_pipeline_measured import ODD_TEXTS, phrases
from unquiet.shift.shapes import LONGEST_SHAPE, shapes
from unquiet.shift.tokens import HEAD_CHARACTERS, head, token_texts, tokens

BLANKS = " \t\n\v\f\r\x1c\x1d\x1e\x1f\u0085\u00a0\u1680\u2003\u2028\u3000"
PIECES = (
    *(
        "word",
        "Größe",
        "don’t",
        "l´été",
        "a`b",
        "```",
        "```py",
        "1.",
        "12) ",
        "7、",
        "1,000.50",
        "- ",
        "* ",
        "**b**",
        "#",
        "| a |",
    ),
    *(
        "•",
        "· ",
        "– x",
        "¶",
        "很抱歉",
        "。",
        "เท่านั้น",
        "ありがとう",
        "e\u0301",
        "👩‍👩‍👧",
        "€5",
        "100%",
        "\ufeff",
        "¡no!",
        "Ι\u0345",
        "İ",
    ),
    *BLANKS,
    *("\n", "\n", "\n\n", " ", " ", " ", "\n  ", " " * 9, "\u3000" * 40, "x" * 300),
)
any_text = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
texts = st.lists(any_text, max_size=6)


def large(values: list[str]) -> pa.Array:
    return pa.array(values, pa.large_string())


def plainly_cut(heads: pa.Array) -> list[list[str]]:
    return [[token for token in each if token] for each in tokens(heads).to_pylist()]


def cut(heads: pa.Array) -> list[list[str]]:
    row, found = token_texts(heads)
    found.validate(full=True)
    assert np.all(np.diff(row) >= 0)
    together: list[list[str]] = [[] for _ in range(len(heads))]
    for place, text in zip(row.tolist(), found.to_pylist(), strict=True):
        together[place].append(text)
    return together


def plain_shape(text: str) -> list[int]:
    """Lines one after another, as the module's docstring says."""
    kinds: list[int] = []
    in_code = False
    for line in text.split("\n"):
        start = pc.utf8_slice_codeunits(pc.utf8_ltrim_whitespace(large([line])), 0, 8)
        if start[0].as_py() == "":
            continue
        fence = start[0].as_py().startswith("```")
        starts = ((1, r"^[-*•·–]\s"), (2, r"^\d+[.)、]"), (3, r"^#"), (5, r"^\|"), (6, r"^\*\*"))
        found = [kind for kind, pattern in starts if pc.match_substring_regex(start, pattern)[0].as_py()]
        kinds.append(4 if fence or in_code else found[-1] if found else 0)
        in_code ^= fence
    runs = [kind for place, kind in enumerate(kinds) if place == 0 or kinds[place - 1] != kind]
    return runs[:LONGEST_SHAPE]


def shape_lists(values: list[str]) -> list[list[int]]:
    row, kind = shapes(large(values))
    return [kind[row == place].tolist() for place in range(len(values))]


@settings(max_examples=400, deadline=None)
@given(texts)
@example(["", "a", "", "b"])
@example(["很a很", "a 很", "很 a"])
def test_tokens_are_what_the_expressions_say(values: list[str]) -> None:
    heads = head(large(values))
    assert cut(heads) == plainly_cut(heads)


@settings(max_examples=200, deadline=None)
@given(texts, st.integers(0, 3))
def test_a_slice_of_texts_has_its_own_tokens_and_shapes(values: list[str], first: int) -> None:
    part = large(values).slice(min(first, len(values)))
    assert cut(head(part)) == plainly_cut(head(large(values[first:])))
    row, kind = shapes(part)
    whole_row, whole_kind = shapes(large(values[first:]))
    assert row.tolist() == whole_row.tolist()
    assert kind.tolist() == whole_kind.tolist()


@settings(max_examples=300, deadline=None)
@given(texts)
@example(["\n", "", "\n\n", "a\n", "\na"])
@example([" " * 30 + "- a\n" + "\t" * 40 + "# b", "\u3000" * 30 + "1. c", " \u3000" * 20 + "| d"])
@example(["\n".join("# a\nb" for _ in range(9))])
def test_shapes_are_those_of_the_lines(values: list[str]) -> None:
    assert shape_lists(values) == [plain_shape(text) for text in values]


@settings(max_examples=200, deadline=None)
@given(texts)
@example(["\u3000" * 500 + "Word", " " * 399 + "é", " " * 400 + "é", "", "ab" * 200])
def test_a_head_is_what_comes_after_white_space(values: list[str]) -> None:
    trimmed = pc.utf8_ltrim_whitespace(large(values))
    assert head(large(values)).equals(pc.utf8_lower(pc.utf8_slice_codeunits(trimmed, 0, HEAD_CHARACTERS)))


def test_a_missing_text_has_no_head_and_no_token() -> None:
    heads = head(pa.array(["a b", None, " " * 900 + "c"], pa.large_string()))
    assert heads.to_pylist() == ["a b", None, "c"]
    assert token_texts(heads)[0].tolist() == [0, 0, 2]


@pytest.mark.parametrize("joint", [" ", "\n", "\n\n- "])
def test_real_wordings_have_the_same_tokens_and_shapes(joint: str) -> None:
    pool = [*random.Random(1).sample(phrases(), 300), *ODD_TEXTS]
    values = [joint.join(pool[at : at + 7]) for at in range(0, len(pool), 3)]
    assert cut(head(large(values))) == plainly_cut(head(large(values)))
    assert shape_lists(values) == [plain_shape(text) for text in values]
