"""What goes into the store comes out of it, once, also after it was closed."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pytest

from store_samples import FOREVER, START, at, counts, numbered, sessions, turn, turns
from unquiet.model.errors import StoreError
from unquiet.model.rejections import Rejection
from unquiet.model.turns import TURNS
from unquiet.store import COUNTS, Appended, SourceRow, Store, TurnExtent, writer


def test_turns_come_back_as_they_were(tmp_path: Path) -> None:
    blank = {name: None for name in TURNS.names if TURNS.field(name).nullable}
    table = turns(
        [
            turn(0),
            turn(1, **blank),
            turn(2, input="", output="", tool_calls=[], facets=[]),
            turn(3, facets=[("z", "1"), ("a", "")], time=START + timedelta(minutes=3, microseconds=999_999)),
            turn(4, time=datetime(2026, 3, 1, 5, 30, tzinfo=timezone(timedelta(hours=5)))),
        ]
    )
    with Store.open(tmp_path) as store:
        assert store.append_turns(table.slice(2)) == Appended(3, 0)
        assert store.append_turns(table.slice(0, 2)) == Appended(2, 0)
    with Store.open(tmp_path) as store:
        found = store.turns_between(*FOREVER)
    assert found.schema == TURNS
    assert found.to_pylist() == table.sort_by([("time", "ascending"), ("turn_id", "ascending")]).to_pylist()
    assert found.num_rows == 5


def test_a_turn_is_kept_once(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        again = turns([turn(0), turn(1), turn(0, output="later", time=at(500))])
        assert store.append_turns(again) == Appended(2, 1)
        assert store.append_turns(numbered(0, 4)) == Appended(2, 2)
        with store.transaction():
            assert store.append_turns(numbered(3, 6)) == Appended(2, 1)
            assert store.append_turns(numbered(3, 6)) == Appended(0, 3)
    with Store.open(tmp_path) as store:
        assert store.append_turns(numbered(0, 7)) == Appended(1, 6)
        found = store.turns_between(*FOREVER, columns=["turn_id", "output"])
        assert found.column("turn_id").to_pylist() == [f"turn-{n:06d}" for n in range(7)]
        assert found.column("output")[0].as_py() != "later"


def test_turn_extent(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        assert store.turn_extent() == TurnExtent(0, None, None)
        store.append_turns(numbered(10, 30))
        store.append_turns(numbered(0, 5))
        assert store.turn_extent() == TurnExtent(25, at(0), at(29))


def test_a_read_sees_what_its_transaction_wrote(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store, store.transaction():
        store.append_turns(numbered(0, 3))
        assert store.turn_extent().count == 3
        store.append_turns(numbered(3, 5))
        assert store.turns_between(at(2), at(4)).num_rows == 2


def test_an_error_undoes_the_whole_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "PENDING_BYTES_MAX", 500)
    source = SourceRow("print", "a.jsonl", 3, 3)
    with Store.open(tmp_path) as store:
        store.append_turns(numbered(0, 2))
        before = sorted(tmp_path.rglob("*-0*"))

        def fail() -> None:
            with store.transaction():
                store.append_turns(numbered(0, 3))
                store.append_sessions(sessions([{"visit_id": "v", "started": 0}]))
                store.append_counts(counts([(0, "all", None, 1, [1])]))
                store.save_state("detector", b"1")
                store.files.add(source)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert sorted(tmp_path.rglob("*-0*")) == before
        assert store.turn_extent().count == 2
        assert store.sessions_between(*FOREVER).num_rows == store.counts_between(*FOREVER).num_rows == 0
        assert store.load_state("detector") is None
        assert store.files.known("print") is None
        assert store.append_turns(numbered(0, 3)) == Appended(1, 2)


def test_a_part_that_failed_cannot_be_committed(tmp_path: Path) -> None:
    def swallow(store: Store) -> None:
        with store.transaction():
            store.append_turns(numbered(0, 3))
            with contextlib.suppress(ZeroDivisionError), store.transaction():
                raise ZeroDivisionError

    with Store.open(tmp_path) as store:
        with pytest.raises(StoreError, match="none of it was stored"):
            swallow(store)
        assert store.append_turns(numbered(0, 3)) == Appended(3, 0)


def test_large_and_many_batches_in_one_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "PENDING_BYTES_MAX", 5_000)
    monkeypatch.setattr(writer, "MERGE_COUNT", 1_000)
    with Store.open(tmp_path) as store:
        with store.transaction():
            assert store.append_turns(numbered(0, 500)) == Appended(500, 0)
            for start in range(400, 700, 10):
                store.append_turns(numbered(start, start + 10))
        assert len(list((tmp_path / "turns").iterdir())) > 1
        assert store.turns_between(*FOREVER).equals(numbered(0, 700))


def test_sources(tmp_path: Path) -> None:
    source = SourceRow("print", "a.jsonl", 5, 3, {"no time": 2}, [Rejection("a.jsonl:4", "no time")], ["clock ahead"])
    with Store.open(tmp_path) as store:
        assert store.files.known("print") is None
        store.files.add(source)
        store.files.add(SourceRow("other", "b.jsonl", 1, 1))
    with Store.open(tmp_path) as store:
        assert store.files.known("print") is not None
        assert store.files.all() == [source, SourceRow("other", "b.jsonl", 1, 1, {}, [], [])]
        store.files.add(replace(source, rows=6))
        assert [(row.fingerprint, row.rows) for row in store.files.all()] == [("other", 1), ("print", 6)]


def test_sessions_with_different_columns(tmp_path: Path) -> None:
    first = sessions(
        [{"visit_id": "v1", "started": 0, "facets": [("locale", "de")], "s:refusal": 0.25, "turn_count": 3}],
        {"s:refusal": pa.float64()},
    )
    second = sessions(
        [
            {"visit_id": "v2", "started": 1, "c:tools": ["a", "b"], 's:odd "name"': 2},
            {"visit_id": "v3", "started": 2},
        ],
        {"c:tools": pa.list_(pa.string()), 's:odd "name"': pa.float32()},
    )
    with Store.open(tmp_path) as store:
        store.append_sessions(first)
        with store.transaction():
            store.append_sessions(second)
            store.append_sessions(sessions([{"visit_id": "v4", "started": 3}]))
        assert store.session_columns()[-3:] == ["c:tools", 's:odd "name"', "s:refusal"]
        names = ["visit_id", "s:refusal", "c:tools", 's:odd "name"', "s:never", "c:never"]
        found = store.sessions_between(*FOREVER, columns=names)
        assert found.column("s:never").type == pa.float32()
        assert [list(row.values()) for row in found.to_pylist()] == [
            ["v1", 0.25, None, None, None, None],
            ["v2", None, ["a", "b"], 2.0, None, None],
            ["v3", None, None, None, None, None],
            ["v4", None, None, None, None, None],
        ]
        everything = store.sessions_between(*FOREVER)
        assert everything.column_names == store.session_columns()
        assert everything.slice(0, 1).select(first.column_names).to_pylist() == first.to_pylist()


def test_counts_add_up(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        with store.transaction():
            store.append_counts(counts([(5, "all", None, 2, [1, 0]), (0, "all", "x", 3, [1, 2])]))
            store.append_counts(counts([(5, "all", None, 1, [1, 1, 4]), (5, "de", None, 1, [])]))
        store.append_counts(counts([(5, "all", None, 10, [1]), (5, "all", "", 7, [7])]))
        found = store.counts_between(at(0), at(6))
        assert found.schema == COUNTS
        assert found.equals(
            counts(
                [
                    (0, "all", "x", 3, [1, 2]),
                    (5, "all", None, 13, [3, 1, 4]),
                    (5, "all", "", 7, [7]),
                    (5, "de", None, 1, []),
                ]
            )
        )
        assert store.counts_between(at(5), at(6), slice_name="de").num_rows == 1
        assert store.counts_between(at(1), at(5)).num_rows == 0


def test_state_settings_and_incidents(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        assert store.load_state("detector") is store.get_setting("budget") is store.incident("i") is None
        for value in (b"", b"\x00\xff" * 1000):
            store.save_state("detector", value)
            assert store.load_state("detector") == value
        store.put_setting("budget", {"alarms": 1, "days": 30})
        store.put_setting("budget", [1, None])
        store.upsert_incident("late", {"id": "late"}, raised_at=at(9), status="open")
        store.upsert_incident("early", {"id": "early", "title": "Grüße"}, raised_at=at(1), status="open")
        store.upsert_incident("late", {"id": "late", "n": 2}, raised_at=at(9), status="resolved", final=True)
    with Store.open(tmp_path) as store:
        assert store.get_setting("budget") == [1, None]
        assert store.incidents() == [{"id": "early", "title": "Grüße"}, {"id": "late", "n": 2}]
        assert store.incidents(status="resolved") == [store.incident("late")]
        assert store.final_incidents() == {"late": {"id": "late", "n": 2}}


@pytest.mark.parametrize("kind", ["turns", "sessions", "counts"])
def test_many_small_appends_leave_few_files(tmp_path: Path, kind: str) -> None:
    with Store.open(tmp_path) as store:
        for number in range(70):
            if kind == "turns":
                store.append_turns(numbered(number, number + 1))
            elif kind == "sessions":
                extra = {f"s:{number % 3}": pa.float32()}
                row = {"visit_id": f"v{number:02d}", "started": number, f"s:{number % 3}": number}
                store.append_sessions(sessions([row], extra))
            else:
                store.append_counts(counts([(number % 35, "all", None, 1, [number])]))
        assert len(list((tmp_path / kind).iterdir())) < 2 * writer.MERGE_COUNT
        assert len(list((tmp_path / "keys").iterdir())) < 10
        if kind == "turns":
            assert store.turns_between(*FOREVER).equals(numbered(0, 70))
        elif kind == "sessions":
            found = store.sessions_between(*FOREVER, columns=["visit_id", "s:0", "s:1"])
            assert found.column("visit_id").to_pylist() == [f"v{n:02d}" for n in range(70)]
            assert found.column("s:1").to_pylist() == [n if n % 3 == 1 else None for n in range(70)]
        else:
            expected = counts((n, "all", None, 2, [2 * n + 35]) for n in range(35))
            assert store.counts_between(*FOREVER).equals(expected)
    with Store.open(tmp_path) as store:
        assert store.append_turns(numbered(0, 70)).new == (0 if kind == "turns" else 70)


def test_wrong_arguments_are_named(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        with pytest.raises(ValueError, match="columns missing: turn_id"):
            store.append_turns(numbered(0, 1).drop_columns("turn_id"))
        nameless = numbered(0, 1).set_column(0, "turn_id", pa.array([None], pa.string()))
        with pytest.raises(ValueError, match="'turn_id' has nulls"):
            store.append_turns(nameless)
        with pytest.raises(ValueError, match="columns colour"):
            store.turns_between(*FOREVER, columns=["colour"])
        with pytest.raises(ValueError, match="no column"):
            store.turns_between(*FOREVER, columns=[])
        with pytest.raises(ValueError, match="s:<signal>"):
            store.sessions_between(*FOREVER, columns=["refusal"])
        with pytest.raises(ValueError, match="s:<signal>"):
            store.append_sessions(sessions([{"visit_id": "v", "started": 0}], {"refusal": pa.float32()}))
        with pytest.raises(ValueError, match="no time zone"):
            store.turns_between(datetime(2026, 1, 1), datetime(2026, 1, 2, tzinfo=UTC))
        assert store.turn_extent().count == 0


def test_many_session_ids_and_odd_ones(tmp_path: Path) -> None:
    odd = ["it's", 'a "b"', "", "ß\n"]
    table = turns([turn(n, session_id=name) for n, name in enumerate(odd)])
    with Store.open(tmp_path) as store:
        store.append_turns(pa.concat_tables([table, numbered(10, 40)]))
        ids = [*odd, *odd, *(f"none-{n}" for n in range(20_000))]
        assert store.turns_of_sessions(ids).equals(table)
        assert store.turns_of_sessions([]).num_rows == 0
        within = (at(9), at(100))
        found = store.turns_of_sessions(["session-4", "session-5"], limit=4, within=within, columns=["time"])
        assert found.column("time").to_pylist() == [at(n) for n in (12, 13, 14, 15)]
