"""The outbox: what is put is due until it is settled, in order, through restarts, and never told twice."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from alert_receivers import T0, notice
from unquiet.store import Outbox, Store
from unquiet.store.duckdb_folder import DATABASE


def due(outbox: Outbox, now_us: int = T0) -> list[tuple[str, str, bool, int]]:
    """Sink, phase, whether the opening is told, and how many notices go along."""
    found = outbox.due(now_us, 100)
    return [(each.sink, each.notice.phase, each.opening_told, len(each.before)) for each in found]


def test_a_notice_comes_back_as_it_was_put(tmp_path: Path) -> None:
    rich = notice(title='a "quoted" title\nü\u2028', document={"a": [1, {"b": None}]}, url=None)
    with Store.open(tmp_path) as store:
        assert store.outbox.put(rich, ["pager", "mail", "pager"], T0)
        assert not store.outbox.put(notice(title="other"), ["third"], T0 + 1)
    with Store.open(tmp_path) as store:
        deliveries = store.outbox.due(T0, 10)
        assert [each.sink for each in deliveries] == ["mail", "pager"]
        assert deliveries[0].notice == rich
        assert store.outbox.pending() == {"mail": 1, "pager": 1}
        assert (store.outbox.pending_count, store.outbox.oldest_pending_us, store.outbox.next_due_us()) == (2, T0, T0)
        assert store.outbox.due(T0 - 1, 10) == []
        assert len(store.outbox.due(T0, 1)) == 1


def test_nothing_waits_in_a_new_folder(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        box = store.outbox
        assert (box.pending_count, box.oldest_pending_us, box.next_due_us(), box.log(5), box.told()) == (
            0,
            None,
            None,
            [],
            {},
        )


def test_order_within_a_key_and_sink(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        box = store.outbox
        box.put(notice("opened"), ["a", "b"], T0)
        box.put(notice("updated"), ["a", "b"], T0)
        box.put(notice("opened", name="B"), ["a"], T0)
        assert due(box) == [("a", "opened", False, 0), ("b", "opened", False, 0), ("a", "opened", False, 0)]
        box.delivered(box.due(T0, 10, sink="b")[0], T0)
        box.failed(box.due(T0, 10, sink="a")[0], T0, "away", T0 + 5)
        assert due(box) == [("b", "updated", True, 0), ("a", "opened", False, 0)]
        assert due(box, T0 + 5)[-1] == ("a", "opened", False, 0)


def test_a_resolution_takes_along_what_waits(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        box = store.outbox
        for phase in ("opened", "updated"):
            box.put(notice(phase), ["a", "b"], T0)
        box.delivered(box.due(T0, 10, sink="b")[0], T0)
        box.put(notice("resolved"), ["a", "b", "late"], T0 + 1)
        assert sorted(due(box, T0 + 1)) == [
            ("a", "resolved", False, 2),
            ("b", "resolved", True, 1),
            ("late", "resolved", False, 0),
        ]
        (delivery,) = box.due(T0 + 1, 10, sink="a")
        assert delivery.put_us == T0 + 1
        box.failed(delivery, T0 + 1, "away", T0 + 9)
        assert box.due(T0 + 8, 10, sink="a") == []
        box.put(notice("opened", at_us=T0 + 8), ["a"], T0 + 8)
        (delivery,) = box.due(T0 + 9, 10, sink="a")
        assert (delivery.notice.phase, delivery.attempts) == ("resolved", 1)
        box.delivered(delivery, T0 + 9)
        entries = {entry.id: entry for entry in box.log(100) if entry.sink == "a"}
        opening = entries[notice().id]
        assert (opening.state, opening.why) == ("delivered", f"told together with {notice('resolved').id}")
        assert [phase for _, phase, _, _ in due(box, T0 + 9)] == ["resolved", "resolved", "opened"]


def test_what_arrives_late_does_not_settle_what_came_meanwhile(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        box = store.outbox
        box.put(notice("opened"), ["a"], T0)
        (sending,) = box.due(T0, 10)
        box.put(notice("resolved"), ["a"], T0)
        box.delivered(sending, T0)
        assert due(box) == [("a", "resolved", True, 0)]


def test_an_opening_that_was_given_up_is_not_told(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        box = store.outbox
        box.put(notice("opened"), ["a"], T0)
        box.failed(box.due(T0, 1)[0], T0, "404 Not Found", None)
        assert box.due(T0, 1) == []
        box.put(notice("updated"), ["a"], T0)
        assert due(box) == [("a", "updated", False, 0)]
        box.delivered(box.due(T0, 1)[0], T0)
        box.put(notice("resolved"), ["a"], T0)
        assert due(box) == [("a", "resolved", True, 0)]
        assert [(entry.state, entry.why, entry.attempts) for entry in box.log(2)] == [
            ("pending", "", 0),
            ("delivered", "", 1),
        ]
        assert [entry.why for entry in box.log(9)] == ["", "", "404 Not Found"]


def test_firing_is_what_arrived_last_and_is_open(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        box = store.outbox
        box.put(notice("opened"), ["a", "b"], T0)
        assert box.firing("a") == []
        box.delivered(box.due(T0, 1, sink="a")[0], T0)
        assert box.firing("a") == [notice()]
        assert box.firing("b") == []
        box.put(notice("updated"), ["a"], T0)
        assert box.firing("a") == [notice()]
        box.delivered(box.due(T0, 1, sink="a")[0], T0)
        assert box.firing("a") == [notice("updated")]
        box.put(notice("resolved"), ["a"], T0)
        assert box.firing("a") == []


def test_told_is_the_last_of_each_key(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        box = store.outbox
        for at_us, phase in enumerate(("opened", "updated", "updated", "resolved"), T0):
            box.put(notice(phase, at_us=at_us), [], at_us)
        box.put(notice("opened", name="B"), [], T0)
        told = box.told()
        assert told["incident/A"].last.phase == "resolved"
        assert told["incident/A"].updated_us == T0 + 2
        assert (told["incident/B"].last.phase, told["incident/B"].updated_us) == ("opened", None)
        assert {(entry.state, entry.why) for entry in box.log(9)} == {("no sink", "no sink is configured")}


def test_a_put_is_part_of_the_callers_transaction(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:

        def both() -> None:
            with store.transaction():
                store.put_setting("x", 1)
                store.outbox.put(notice(), ["a"], T0)
                raise KeyError

        with pytest.raises(KeyError):
            both()
        assert store.outbox.pending_count == 0
        assert store.outbox.put(notice(), ["a"], T0)


def test_prune_keeps_what_waits_and_what_must_not_be_told_twice(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        box = store.outbox
        phases = ("opened", "updated", "updated", "resolved", "updated", "resolved")
        for i, phase in enumerate(phases):
            box.put(notice(phase, at_us=T0 + i), ["a"], T0 + i)
            box.delivered(box.due(T0 + i, 1)[0], T0 + i)
        box.put(notice("opened", name="B", at_us=T0), ["a"], T0)
        box.put(notice("updated", name="B", at_us=T0 + 1), ["a"], T0 + 1)
        assert box.prune(T0) == 0
        assert box.prune(T0 + 5) == 3
        kept = [entry.id for entry in box.log(99)]
        wanted = [notice(phases[i], at_us=T0 + i).id for i in (0, 4, 5)]
        assert sorted(kept) == sorted(
            [*wanted, notice("opened", name="B").id, notice("updated", name="B", at_us=T0 + 1).id]
        )
        assert not box.put(notice("opened"), ["a"], T0)
        assert box.told()["incident/A"].updated_us == T0 + 4
        assert box.prune(T0 + 99) == 0


def test_a_folder_of_an_earlier_version_gets_an_outbox(tmp_path: Path) -> None:
    with Store.open(tmp_path):
        pass
    with duckdb.connect(str(tmp_path / DATABASE)) as connection:
        connection.execute("DROP TABLE notices")
        connection.execute("DROP TABLE deliveries")
    with Store.open(tmp_path, create=False) as store:
        assert store.outbox.put(notice(), ["a"], T0)
        assert store.outbox.pending_count == 1
