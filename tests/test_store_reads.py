"""The named reads give what a plain computation over the same rows gives, however they came into segments."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store_samples import FOREVER, START, at, counts, numbered, sessions, turn, turns
from unquiet.model.turns import TURNS
from unquiet.store import SESSIONS, Store, reads
from unquiet.store.turn_keys import Run, TurnKeys

T = TypeVar("T")

few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
moments = st.integers(0, 6 * 10**8).map(lambda us: START + timedelta(microseconds=us))
windows = st.tuples(moments, moments).map(sorted)
letters = "ab'\"\\%_ß☃ "
asked = st.text(alphabet=letters, max_size=3)
short = st.text(alphabet=letters + "\x00", max_size=3)
facets = st.none() | st.dictionaries(short, short, max_size=3).map(lambda d: list(d.items()))
flags = st.none() | st.floats(width=32, allow_nan=False)


def cut(rows: Sequence[T], places: list[int]) -> list[Sequence[T]]:
    """The rows in pieces."""
    bounds = sorted({min(place, len(rows)) for place in places} | {0, len(rows)})
    return [rows[a:b] for a, b in itertools.pairwise(bounds)]


@contextmanager
def stored(pieces: list[Any], together: bool, append: Callable[[Store, Any], object]) -> Generator[Store]:
    """A store in a new folder with the pieces, in one transaction or in one each."""
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder), threads=1) as store:
        with store.transaction() if together else nullcontext():
            for piece in pieces:
                append(store, piece)
        yield store


@few
@given(
    rows=st.lists(st.tuples(st.integers(0, 30), moments, st.integers(0, 4), facets, st.none() | short)),
    places=st.lists(st.integers(0, 30), max_size=3),
    together=st.booleans(),
    window=windows,
    wanted=st.lists(st.integers(0, 4), max_size=3),
    limit=st.none() | st.integers(0, 10),
)
def test_turns(
    rows: list[tuple[int, datetime, int, Any, str | None]],
    places: list[int],
    together: bool,
    window: list[datetime],
    wanted: list[int],
    limit: int | None,
) -> None:
    table = [
        turn(n, time=time, session_id=f"s{session}", facets=facet, input=text) for n, time, session, facet, text in rows
    ]
    first: dict[str, dict[str, Any]] = {}
    for row in table:
        first.setdefault(row["turn_id"], row)
    expected = sorted(first.values(), key=lambda row: (row["time"], row["turn_id"]))
    start, end = window
    with stored(cut(table, places), together, lambda store, piece: store.append_turns(turns(piece))) as store:
        extent = store.turn_extent()
        assert extent.count == len(expected)
        assert (extent.first, extent.last) == (
            (expected[0]["time"], expected[-1]["time"]) if expected else (None, None)
        )
        assert store.turns_between(start, end).equals(turns(row for row in expected if start <= row["time"] < end))
        names = {f"s{n}" for n in wanted}
        chosen = [row for row in expected if row["session_id"] in names][:limit]
        found = store.turns_of_sessions(sorted(names), columns=["turn_id", "facets"], limit=limit)
        assert found.equals(turns(chosen).select(["turn_id", "facets"]))


@few
@given(
    rows=st.lists(st.tuples(st.integers(0, 50), facets, flags, st.none() | st.lists(short, max_size=2))),
    places=st.lists(st.integers(0, 20), max_size=3),
    together=st.booleans(),
    span=st.tuples(st.integers(0, 110), st.integers(0, 110)).map(sorted),
    by=st.sampled_from(["started", "closed"]),
    where=st.dictionaries(asked, asked, max_size=1),
)
def test_sessions(
    rows: list[tuple[int, Any, float | None, list[str] | None]],
    places: list[int],
    together: bool,
    span: list[int],
    by: Any,
    where: dict[str, str],
) -> None:
    extra = {"s:x": pa.float32(), "c:y": pa.list_(pa.string())}
    plain = [
        {"visit_id": f"v{n:03d}", "started": minute, "facets": facet, "s:x": x, "c:y": y}
        for n, (minute, facet, x, y) in enumerate(rows)
    ]
    everything = sessions(plain, extra).to_pylist()
    start, end = at(span[0]), at(span[1])
    expected = sorted(
        (
            row
            for row in everything
            if start <= row[by] < end
            and all((dict(row["facets"] or [])).get(key) == value for key, value in where.items())
        ),
        key=lambda row: (row[by], row["visit_id"]),
    )
    pieces = cut(plain, places)
    with stored(pieces, together, lambda store, piece: store.append_sessions(sessions(piece, extra))) as store:
        found = store.sessions_between(start, end, columns=[*SESSIONS.names, *extra], by=by, where=where)
        assert found.to_pylist() == expected


@few
@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from(["all", "locale=de"]),
            st.sampled_from([None, "", "x"]),
            st.integers(0, 9),
            st.lists(st.integers(0, 9), max_size=3),
        )
    ),
    places=st.lists(st.integers(0, 20), max_size=3),
    together=st.booleans(),
    span=st.tuples(st.integers(0, 4), st.integers(0, 4)).map(sorted),
    slice_name=st.sampled_from([None, "all", "never"]),
)
def test_counts(
    rows: list[tuple[int, str, str | None, int, list[int]]],
    places: list[int],
    together: bool,
    span: list[int],
    slice_name: str | None,
) -> None:
    sums: dict[tuple[int, str, str | None], tuple[int, list[int]]] = {}
    for minute, name, stratum, n, events in rows:
        if span[0] <= minute < span[1] and slice_name in (None, name):
            size, before = sums.get((minute, name, stratum), (0, []))
            length = max(len(before), len(events))
            filled = [list_ + [0] * (length - len(list_)) for list_ in (before, events)]
            sums[minute, name, stratum] = (size + n, [a + b for a, b in zip(*filled, strict=True)])
    keys = sorted(sums, key=lambda key: (key[0], key[1], key[2] is not None, key[2] or ""))
    expected = counts((*key, *sums[key]) for key in keys)
    with stored(cut(rows, places), together, lambda store, piece: store.append_counts(counts(piece))) as store:
        assert store.counts_between(at(span[0]), at(span[1]), slice_name=slice_name).equals(expected)


@few
@given(
    batches=st.lists(st.lists(st.integers(0, 40), max_size=12), max_size=12),
    commits=st.lists(st.booleans(), min_size=12, max_size=12),
)
def test_turn_keys_are_a_set(batches: list[list[int]], commits: list[bool]) -> None:
    """Against a Python set, with rollbacks; every key is in one run only."""
    keys = TurnKeys([Run(np.array([1, 3, 2**64 - 1], np.uint64), "stored")])
    known = {1, 3, 2**64 - 1}
    committed = set(known)
    for batch, commit in zip(batches, commits, strict=False):
        array = np.array(batch, np.uint64)
        fresh = keys.unknown(array)
        assert [n for n, new in zip(batch, fresh, strict=True) if new] == [
            n for n in dict.fromkeys(batch) if n not in known
        ]
        keys.add(array[fresh])
        known |= set(batch)
        if commit:
            for run in keys.unstored():
                run.file = "stored"
            keys.commit()
            committed = set(known)
        else:
            keys.rollback()
            known = set(committed)
    assert not keys.unknown(np.array(sorted(known), np.uint64)).any()


@pytest.mark.parametrize("dialect", ["duckdb", "clickhouse"])
@pytest.mark.parametrize(
    "read",
    [
        reads.turn_extent(),
        reads.turns_per_day(),
        reads.turn_count_until(at(1)),
        reads.turns_between(at(0), at(1), TURNS.names),
        reads.turns_of_sessions(["turn_id"], 5),
        reads.sessions_between(SESSIONS, at(0), at(1), "started", {"locale": "de"}),
        reads.counts_between(at(0), at(1), "all"),
    ],
    ids=[
        "turn_extent",
        "turns_per_day",
        "turn_count_until",
        "turns_between",
        "turns_of_sessions",
        "sessions_between",
        "counts_between",
    ],
)
def test_every_read_has_a_query_on_both_engines(read: ir.Table, dialect: str) -> None:
    assert reads.query(read, dialect).startswith("SELECT")


def test_turns_of_an_older_version_lack_its_newer_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store from before `cost_usd` still opens: its turns have null there, newer ones in the same folder their values."""
    older = pa.schema([column for column in TURNS if column.name not in ("reasoning_tokens", "cost_usd")])
    monkeypatch.setattr("unquiet.store.folder.TURNS", older)
    with Store.open(tmp_path) as store:
        store.append_turns(numbered(0, 3).select(older.names))
    monkeypatch.undo()
    with Store.open(tmp_path) as store:
        assert store.turns_between(*FOREVER).column("cost_usd").null_count == 3
        store.append_turns(numbered(3, 5))
        found = store.turns_between(*FOREVER)
    assert found.column("cost_usd").to_pylist() == [None] * 3 + [0.25] * 2
    assert found.column("input").equals(numbered(0, 5).column("input"))
