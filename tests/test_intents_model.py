"""Kinds of request: same seed same cells, ids that stay, names that a person understands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unquiet.intents import NO_TEXT, NOVEL, IntentModel, embed, label_cells, nearest
from unquiet.model.errors import StoreError

KINDS = {
    "refund": [
        "I want a refund for order {}",
        "please refund order {}",
        "money back for order {} please, refund it",
    ],
    "parcel": ["where is my parcel {}", "track parcel {} for me", "the parcel {} has not arrived"],
    "password": ["I forgot my password {}", "reset the password of account {}", "password {} does not work"],
}


def requests(per_kind: int, *, kinds: tuple[str, ...] = tuple(KINDS)) -> tuple[list[str], npt.NDArray[np.int64]]:
    texts = [KINDS[kind][i % 3].format(1000 + i) for kind in kinds for i in range(per_kind)]
    return texts, np.repeat(np.arange(len(kinds)), per_kind)


def purity(cells: npt.NDArray[np.int32], truth: npt.NDArray[np.int64]) -> float:
    return sum(np.bincount(truth[cells == cell]).max() for cell in set(cells.tolist())) / len(truth)


def normalised_mutual_information(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> float:
    joint = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(joint, (a, b), 1 / len(a))
    left, right = joint.sum(axis=1), joint.sum(axis=0)
    some = joint > 0
    shared = (joint[some] * np.log(joint[some] / np.outer(left, right)[some])).sum()
    entropy = [-(p[p > 0] * np.log(p[p > 0])).sum() for p in (left, right)]
    return float(2 * shared / sum(entropy))


def test_kinds_are_found_and_named() -> None:
    texts, truth = requests(60)
    model = IntentModel.fit(embed(texts), texts=texts, k_coarse=3)
    assert purity(model.assign(embed(texts)), truth) == 1.0
    cells = model.assign(embed(["refund order 5", "where is the parcel", "reset my password"]))
    assert [kind in model.label(cell) for kind, cell in zip(KINDS, cells, strict=True)] == [True] * 3


def test_banking_requests_are_grouped_as_people_did(shared: Path) -> None:
    table = pq.read_table(shared / "data" / "banking77" / "utterances.parquet")
    vectors = embed(table["text"])
    truth = np.unique(table["intent"].to_numpy(zero_copy_only=False), return_inverse=True)[1]
    model = IntentModel.fit(vectors, k_coarse=77, seed=3)
    cells = model.assign(vectors)
    assert normalised_mutual_information(cells + 1, truth) >= 0.70
    assert np.mean(cells == NOVEL) <= 0.01


def test_same_seed_same_model_and_another_seed_another() -> None:
    vectors = embed(requests(80)[0])
    first, again, other = (IntentModel.fit(vectors, k_coarse=5, seed=seed) for seed in (1, 1, 2))
    assert first.to_bytes() == again.to_bytes()
    assert not np.array_equal(first.centroids, other.centroids)


def test_cells_do_not_depend_on_batch_boundaries() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((700, 256)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    model = IntentModel.fit(vectors, k_coarse=24)
    whole = model.locate(vectors)
    for cut in (1, 3, 41, 512):
        parts = [model.locate(vectors[at : at + cut]) for at in range(0, len(vectors), cut)]
        assert np.array_equal(np.concatenate([cells for cells, _ in parts]), whole[0])
        assert np.array_equal(np.concatenate([distance for _, distance in parts]), whole[1])


def test_foreign_requests_are_novel_and_known_ones_are_not() -> None:
    texts, _ = requests(60)
    model = IntentModel.fit(embed(texts[::2]), k_coarse=3)
    assert np.mean(model.assign(embed(texts[1::2])) == NOVEL) <= 0.02
    foreign = embed(["write a sonnet about the sea", "def quicksort(xs): return xs", "gibt es heute Regen in Köln?"])
    cells, distance = model.locate(foreign)
    assert cells.tolist() == [NOVEL] * 3
    assert distance.min() > model.reach.max()


def test_growth_keeps_every_cell_that_was_given() -> None:
    old, _ = requests(60, kinds=("refund", "parcel"))
    model = IntentModel.fit(embed(old), texts=old, k_coarse=2)
    new, _ = requests(60, kinds=("password",))
    assert np.mean(model.assign(embed(new)) == NOVEL) > 0.5
    both = [*old, *new]
    grown = model.extend(embed(both), texts=both, k_new=1, seed=5)
    before, after = model.assign(embed(both)), grown.assign(embed(both))
    assert np.array_equal(after[before >= 0], before[before >= 0])
    assert np.mean(after == NOVEL) < 0.02
    assert grown.labels[:2] == model.labels
    assert grown.generations == 2
    assert any("password" in label for label in grown.labels[2:])


def test_too_few_novel_requests_change_nothing() -> None:
    model = IntentModel.fit(embed(requests(60)[0]), k_coarse=3)
    assert model.extend(embed(["write a sonnet about the sea"] * 5)) is model


def test_fewer_cells_when_data_are_few() -> None:
    assert len(IntentModel.fit(embed(requests(20)[0])).centroids) == 3
    assert len(IntentModel.fit(embed(["hello"] * 500)).centroids) == 1
    assert len(IntentModel.fit(embed(["hello"])).centroids) == 1


def test_no_text_has_its_own_cell_and_an_empty_model_knows_nothing() -> None:
    model = IntentModel.fit(embed([None, ""]))
    assert model.assign(embed(["hello", None])).tolist() == [NOVEL, NO_TEXT]
    assert [model.label(cell) for cell in (NOVEL, NO_TEXT)] == ["new kind of request", "no text"]
    fitted = IntentModel.fit(embed([None, *requests(30)[0]]))
    assert fitted.assign(embed([None, "refund order 3"]))[0] == NO_TEXT


def test_bytes_and_back() -> None:
    texts, _ = requests(60)
    model = IntentModel.fit(embed(texts), texts=texts)
    again = IntentModel.from_bytes(model.to_bytes())
    assert again.labels == model.labels
    assert np.array_equal(again.assign(embed(texts)), model.assign(embed(texts)))
    assert again.to_bytes() == model.to_bytes()


@pytest.mark.parametrize("data", [b"", b"not an archive", b"PK\x03\x04 cut short"])
def test_foreign_bytes_are_refused_with_a_sentence(data: bytes) -> None:
    with pytest.raises(StoreError, match="kinds of request"):
        IntentModel.from_bytes(data)


def test_labels_leave_out_what_everybody_says() -> None:
    texts = ["please my order refund"] * 10 + ["please my order tracking"] * 10
    labels = label_cells(texts, np.repeat(np.array([0, 1], np.int32), 10), 3)
    assert labels == ["refund", "tracking", "cell 2"]


def test_two_cells_never_share_a_label() -> None:
    labels = label_cells(["refund"] * 10 + ["parcel"] * 10, np.array([0] * 5 + [1] * 5 + [2] * 10, np.int32), 3)
    assert len(set(labels)) == 3


def test_labels_work_on_arrow_columns_with_nulls() -> None:
    texts = pa.array(["Rückerstattung bitte", None] * 5, pa.string())
    assert label_cells(texts, np.array([0, 1] * 5, np.int32), 2) == ["rückerstattung / bitte", "cell 1"]


def test_nearest_is_the_plain_maximum() -> None:
    rng = np.random.default_rng(1)
    query, pool = (rng.standard_normal((n, 16)).astype(np.float32) for n in (700, 9_000))
    query, pool = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (query, pool))
    index, similarity = nearest(query, pool)
    plain = query.astype(np.float64) @ pool.astype(np.float64).T
    assert np.array_equal(index, plain.argmax(axis=1))
    assert np.allclose(similarity, plain.max(axis=1), atol=1e-6)


def test_nearest_takes_the_first_of_equals_and_says_when_there_is_none() -> None:
    one = embed(["refund order 1"])
    assert nearest(one, np.repeat(one, 9_000, axis=0))[0].tolist() == [0]
    index, similarity = nearest(one, one[:0])
    assert index.tolist() == [-1]
    assert np.isnan(similarity).all()
