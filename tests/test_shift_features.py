"""Features of answers: the fast path finds what the slow one spells, in any language and whatever the batch."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signal_samples import call, turns
from unquiet.shift import extract, kinds, moved_features, named
from unquiet.shift.bets import DOWN, UP, penalty, reward
from unquiet.shift.features import Features
from unquiet.shift.log import Day, Log

TEXTS = [
    "I'm sorry, but as an AI I can't help with order 4711.",
    "Here you go:\n\n- one\n- two\n\n```python\nprint(1)\n```\nDone.",
    "很抱歉,我无法处理您的请求。请联系客服。",
    "申し訳ございませんが、対応いたしかねます。",
    "# Title\n1. first\n2. second\n| a | b |",
    "",
    "   ",
    "ok",
]


def table(outputs: list[str | None], calls: list[list[str]] | None = None) -> pa.Table:
    used = [[call(name) for name in names] for names in calls or [[] for _ in outputs]]
    return turns([{"output": text, "tool_calls": made} for text, made in zip(outputs, used, strict=True)])


def spelled(found: pa.Table, starts: np.ndarray, features: Features) -> list[set[tuple[int, str]]]:
    every = named(found, starts, set(features.keys.tolist()))
    return [
        {every[int(key)] for key in features.keys[features.starts[i] : features.starts[i + 1]]}
        for i in range(len(features))
    ]


def test_every_key_can_be_spelled() -> None:
    found, starts = table(TEXTS), np.arange(len(TEXTS) + 1)
    sets = spelled(found, starts, extract(found, starts))
    assert (kinds.RUN, "as an ai") in sets[0]
    assert (kinds.RUN, "order 0") in sets[0]
    assert (kinds.OPENING, "i'm sorry but as") in sets[0]
    assert (kinds.SHAPE, "paragraph, list and more") in sets[1]
    assert (kinds.RUN, "抱 歉 我") in sets[2] or (kinds.RUN, "很 抱 歉") in sets[2]
    assert (kinds.SHAPE, "heading, numbers, table") in sets[4]
    assert sets[5] == set()


def test_a_session_has_the_features_of_all_its_answers() -> None:
    found = table(["first answer", "second answer"])
    one = extract(found, np.array([0, 2]))
    two = extract(found, np.array([0, 1, 2]))
    assert set(one.keys.tolist()) == set(two.keys.tolist())
    assert len(one) == 1


def test_steps_between_tools_are_features() -> None:
    found = table(["done", "done"], [["look_up", "refund"], []])
    starts = np.array([0, 1, 2])
    sets = spelled(found, starts, extract(found, starts))
    steps = {text for kind, text in sets[0] if kind == kinds.STEP}
    assert steps == {"(start) -> look_up", "look_up -> refund", "refund -> (end)"}
    assert not any(kind == kinds.STEP for kind, _ in sets[1])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=300), min_size=1, max_size=6), st.integers(0, 6))
def test_the_batch_does_not_matter(texts: list[str], cut: int) -> None:
    found, starts = table(list(texts)), np.arange(len(texts) + 1)
    whole = extract(found, starts)
    cut = min(cut, len(texts))
    parts = [extract(found.slice(a, b - a), np.arange(b - a + 1)) for a, b in ((0, cut), (cut, len(texts))) if b > a]
    joined = Features.joined(parts)
    assert np.array_equal(whole.keys, joined.keys)
    assert np.array_equal(whole.starts, joined.starts)
    assert all(len(each) for each in spelled(found, starts, whole)) or any(not text.strip() for text in texts)


def test_no_text_is_unknown_not_silent() -> None:
    found = table([None, "some words"])
    features = extract(found, np.array([0, 1, 2]))
    assert features.known.tolist() == [False, True]
    assert features.answers(int(features.keys[0])).tolist() == [-1, 1]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0.001, 0.999), min_size=1, max_size=20),
    st.floats(0.0, 0.5),
)
def test_the_bet_on_sums_is_never_bolder_than_session_by_session(rates: list[float], tolerance: float) -> None:
    q = np.array(rates)
    n = float(len(q))
    summed = penalty(np.array([n]), np.array([q.sum()]), np.zeros(1), np.array([tolerance]))[0]
    up, down = q * (1 + tolerance) / (1 + q * tolerance), q / (q + (1 - q) * (1 + tolerance))
    exact = np.concatenate(
        [np.log1p((UP[:, None] - 1) * up).sum(axis=1), np.log1p((DOWN[:, None] - 1) * down).sum(axis=1)]
    )
    assert (summed >= exact - 1e-9).all()


@pytest.mark.parametrize("rate", [0.001, 0.02, 0.3, 0.9])
def test_a_bet_has_mean_one_at_the_edge_of_the_null(rate: float) -> None:
    cost = penalty(np.ones(1), np.array([rate]), np.zeros(1), np.zeros(1))[0]
    hit, miss = np.exp(reward(np.ones(1))[0] - cost), np.exp(-cost)
    assert np.allclose(rate * hit + (1 - rate) * miss, 1.0)


def test_what_moved_is_named_once_and_with_its_rates() -> None:
    rng = np.random.default_rng(1)
    keys, session = [], []
    for i in range(400):
        mine = [1, 2] if rng.random() < 0.5 else [1]
        mine += [77, 78] if i >= 200 and rng.random() < 0.6 else []
        keys += mine
        session += [i] * len(mine)
    log = Log()
    order = np.argsort(keys, kind="stable")
    log.add(
        Day(
            0,
            np.array(keys, np.uint32)[order],
            np.array(session, np.int32)[order],
            np.zeros(0, np.int32),
            np.zeros(401, np.int32),
            np.ones(400, bool),
        )
    )
    moved = moved_features(log, np.arange(200), np.arange(200, 400))
    assert [each.key for each in moved] == [77]
    assert [each.key for each in moved[0].like] == [78]
    assert moved[0].before_x == 0
    assert moved[0].rose
    assert 0.5 < moved[0].after_x / moved[0].after_n < 0.7
    assert (moved[0].shown >= 200).all()
