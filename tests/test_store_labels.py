"""Labels in the store: kept, replaced, taken back, weighted by whom they are taken together with."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from unquiet.model.labels import Label
from unquiet.store import Store
from unquiet.store.duckdb_folder import DATABASE

LABEL = Label(
    turn_id="t1",
    session_id="s1",
    signal="refusal",
    version=2,
    score=0.75,
    stratum="clear yes",
    groups=("locale=de", "tenant=a'b"),
    answer="yes",
    labeller="ann",
    at=datetime(2026, 3, 2, 1, 2, 3, 4, UTC),
    frame="all traffic",
    drawn="clear yes, version 2",
    inclusion=None,
)


def test_labels_come_back_as_they_were_put(tmp_path: Path) -> None:
    other = replace(LABEL, turn_id='t"2\u2028', score=float("nan"), groups=(), answer="unsure", inclusion=0.25)
    with Store.open(tmp_path) as store:
        assert store.labels.signals() == []
        store.labels.put([LABEL, other, replace(LABEL, signal="hedging")])
    with Store.open(tmp_path) as store:
        store.forget_judgement()
        assert store.labels.signals() == ["hedging", "refusal"]
        first, second = sorted(store.labels.of_signal("refusal"), key=lambda label: label.answer, reverse=True)
        assert first == LABEL
        assert replace(second, score=0.0) == replace(other, score=0.0)


def test_one_answer_a_labeller_turn_and_frame(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.labels.put(
            [LABEL, replace(LABEL, answer="no"), replace(LABEL, labeller="bob"), replace(LABEL, frame="x=1")]
        )
        kept = store.labels.of_signal("refusal")
        assert [(k.labeller, k.frame, k.answer) for k in kept] == [
            ("ann", "all traffic", "no"),
            ("ann", "x=1", "yes"),
            ("bob", "all traffic", "yes"),
        ]
        store.labels.remove(LABEL)
        assert len(store.labels.of_signal("refusal")) == 2


def test_inclusion_counts_the_turns_of_a_panel(tmp_path: Path) -> None:
    """Two people on the same turn are one turn of 10, a judge is a panel of its own, and "unsure" says nothing."""
    rows = [
        LABEL,
        replace(LABEL, labeller="bob"),
        replace(LABEL, labeller="bob", turn_id="t2"),
        replace(LABEL, labeller="bob", turn_id="t3", answer="unsure"),
        replace(LABEL, labeller="judge:m", turn_id="t4"),
        replace(LABEL, labeller="ann", turn_id="t5", drawn="other"),
    ]
    with Store.open(tmp_path) as store:
        store.labels.put(rows)
        store.labels.include("refusal", "all traffic", LABEL.drawn, "people", 10)
        store.labels.include("refusal", "all traffic", LABEL.drawn, "judge:m", 4)
        found = {(label.turn_id, label.labeller): label.inclusion for label in store.labels.of_signal("refusal")}
    assert found.pop(("t4", "judge:m")) == 0.25
    assert found.pop(("t5", "ann")) is None
    assert set(found.values()) == {0.2}


def test_a_transaction_that_fails_keeps_no_label(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:

        def both() -> None:
            with store.transaction():
                store.labels.put([LABEL])
                raise KeyError

        for _ in range(2):
            with pytest.raises(KeyError):
                both()
            assert store.labels.of_signal("refusal") == []
        store.labels.put([LABEL])
        assert store.labels.of_signal("refusal") == [LABEL]


def test_a_folder_of_an_earlier_version_gets_labels(tmp_path: Path) -> None:
    with Store.open(tmp_path):
        pass
    with duckdb.connect(str(tmp_path / DATABASE)) as connection:
        connection.execute("DROP TABLE labels")
    with Store.open(tmp_path, create=False) as store:
        store.labels.put([LABEL])
        assert store.labels.of_signal("refusal") == [LABEL]
