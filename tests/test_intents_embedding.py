"""Text vectors: offline, independent of the batch, and near where the meaning is near."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unquiet.intents import DIMENSIONS, embed, embedding
from unquiet.model.errors import ConfigError

TEXTS = [
    "Where is my parcel?",
    "I want my money back",
    "wo ist mein Paket",
    "",
    None,
    "   ",
    "退款在哪里",
    "a  b\tc\n",
]


def test_every_vector_has_length_one_or_zero() -> None:
    lengths = np.linalg.norm(embed(TEXTS), axis=1)
    assert lengths.tolist() == pytest.approx([1, 1, 1, 0, 0, 0, 1, 1], abs=1e-6)


def test_no_texts_give_no_rows() -> None:
    assert embed([]).shape == (0, DIMENSIONS)


@pytest.mark.parametrize(
    "column",
    [
        pa.array(TEXTS, pa.string()),
        pa.chunked_array([pa.array(TEXTS[:3], pa.large_string()), pa.array(TEXTS[3:], pa.large_string())]),
        pa.array([*TEXTS, "sliced off"]).slice(0, len(TEXTS)),
        pa.array(TEXTS).dictionary_encode(),
    ],
)
def test_arrow_columns_give_the_same_as_a_list(column: pa.Array) -> None:
    assert np.array_equal(embed(column), embed(TEXTS))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=40)), min_size=1, max_size=20), st.integers(1, 19))
def test_a_row_does_not_depend_on_its_batch(texts: list[str | None], cut: int) -> None:
    parts = [embed(texts[at : at + cut]) for at in range(0, len(texts), cut)]
    assert np.array_equal(np.concatenate(parts), embed(texts))


def test_the_sum_over_words_equals_the_mean_over_the_tokens_of_the_whole_text() -> None:
    text = "Could you please cancel the order that I placed yesterday, and refund it?"
    tokenizer, table = embedding._static_model()
    tokens = tokenizer.encode(text, add_special_tokens=False).ids
    plain = table[tokens].mean(axis=0)
    assert np.allclose(embed([text])[0], plain / np.linalg.norm(plain), atol=1e-5)


def test_only_the_beginning_of_a_long_text_counts() -> None:
    long = "refund my order " * 400
    head = long[: embedding.MAX_CHARACTERS]
    assert np.array_equal(embed([long, head])[0], embed([head])[0])
    assert not np.array_equal(embed([long]), embed([head[:200] + "parcel"]))


def test_the_same_wish_in_other_words_is_nearer_than_another_wish() -> None:
    refund, again, parcel = embed(
        ["I would like a refund for my order", "please refund the order", "where is my parcel right now"]
    )
    assert refund @ again > refund @ parcel + 0.2


def test_no_network_and_no_model_hub() -> None:
    """In a fresh process every socket is forbidden; wordllama's own loader, which asks a hub, stays out."""
    program = """
        import socket, sys
        def refuse(*args, **kwargs):
            raise AssertionError("network")
        socket.socket = socket.create_connection = socket.getaddrinfo = refuse
        from unquiet.intents import embed
        print(round(float((embed(["hello there"]) ** 2).sum()), 3), "wordllama" in sys.modules)
    """
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": "/nonexistent", "HOME": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1.0", "False"]


def test_missing_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install 'wordllama"):
        embedding._wheel_folder()
