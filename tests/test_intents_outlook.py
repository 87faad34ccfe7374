"""Requests sorted by how they are answered: they predict the answer, honestly in the sessions they were learned from."""

from __future__ import annotations

import numpy as np

from unquiet.intents import Outlook


def world(n: int, seed: int, width: int = 32) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors, answers to two events, and their true chances, which depend on the vector alone."""
    rng = np.random.default_rng(seed)
    axes = np.random.default_rng(99).standard_normal((2, width)) * np.sqrt(width / 32)
    vectors = rng.standard_normal((n, width))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    chance = 1.0 / (1.0 + np.exp(2.0 - 2.0 * vectors @ axes.T))
    return vectors.astype(np.float32), (rng.random((n, 2)) < chance).astype(np.int8), chance


def test_groups_tell_apart_what_is_answered_differently() -> None:
    vectors, y, chance = world(4_000, 1)
    outlook, own = Outlook.fit(vectors, y)
    fresh, _, later = world(4_000, 2)
    for groups, truth in ((own, chance), (outlook.assign(fresh), later)):
        means = np.array([truth[groups == g].mean(axis=0) for g in range(len(outlook.centres)) if (groups == g).any()])
        assert np.ptp(means, axis=0).min() > 0.3


def test_rates_of_groups_hold_on_sessions_that_were_not_learned_from() -> None:
    """Over 20 replicas the groups' answers, compared with the rates learned, have `sum z^2` near its expectation.

    With g groups whose n sessions come after m, each z^2 has mean 1 (binomial, both samples counted), so the mean of R g
    of them is 1 with a deviation of sqrt(2 / (R g)), 0.065 here; four of these are allowed. In-sample predictions fail it.
    """
    squares: list[float] = []
    for seed in range(20):
        vectors, y, _ = world(3_000, seed, width=256)
        outlook, own = Outlook.fit(vectors[:1_000], y[:1_000])
        later = outlook.assign(vectors[1_000:])
        for g in range(len(outlook.centres)):
            a, b = y[:1_000, 0][own == g], y[1_000:, 0][later == g]
            if min(len(a), len(b)) >= 30:
                p = (a.sum() + b.sum() + 1.0) / (len(a) + len(b) + 2.0)
                squares.append((a.mean() - b.mean()) ** 2 / (p * (1 - p) * (1 / len(a) + 1 / len(b))))
    assert np.mean(squares) < 1.0 + 4.0 * np.sqrt(2.0 / len(squares))


def test_without_text_or_with_few_sessions_there_is_no_group() -> None:
    vectors, y, _ = world(600, 3)
    vectors[:10] = 0.0
    outlook, own = Outlook.fit(vectors, y)
    assert (own[:10] == -1).all()
    assert (own[10:] >= 0).all()
    assert (outlook.assign(np.zeros((2, 32), np.float32)) == -1).all()
    none, own = Outlook.fit(vectors[:300], y[:300])
    assert (own == -1).all()
    assert (none.assign(vectors) == -1).all()


def test_events_that_never_apply_and_answers_that_are_all_alike_do_no_harm() -> None:
    vectors, y, _ = world(500, 4)
    y[:, 0], y[:, 1] = -1, 1
    outlook, own = Outlook.fit(vectors, y)
    assert np.isfinite(outlook.weights).all()
    assert (own >= 0).all()


def test_the_same_sessions_give_the_same_bytes_and_back() -> None:
    vectors, y, _ = world(800, 5)
    outlook, _ = Outlook.fit(vectors, y, seed=7)
    again, _ = Outlook.fit(vectors, y, seed=7)
    assert outlook.to_bytes() == again.to_bytes()
    restored = Outlook.from_bytes(outlook.to_bytes())
    assert np.array_equal(restored.assign(vectors), outlook.assign(vectors))
