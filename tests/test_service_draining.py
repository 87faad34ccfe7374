"""The drain: every span once, late ones and their children in any order, nothing that depends on how the log is cut."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import live_worlds as worlds
from live_worlds import LONGEST_S, MINUTE, QUIET_S, SECOND, START_US, Item
from unquiet.conventions.live_traces import LiveTraces
from unquiet.model.bodies import Body, BodyKind
from unquiet.service.draining import Drain, Drained
from unquiet.service.span_keys import Keys, span_keys
from unquiet.wal import START, Entry, Position


class Known:
    """The keys of spans that are stored."""

    def __init__(self) -> None:
        self.keys: set[int] = set()

    def unknown(self, keys: Keys) -> Any:
        _, first = np.unique(keys, return_index=True)
        fresh = np.zeros(len(keys), bool)
        fresh[first] = True
        return fresh & np.array([key not in self.keys for key in keys.tolist()], bool)

    def commit(self, drained: Drained) -> Drained:
        self.keys.update(drained.span_keys.tolist())
        return drained


def drain_over(known: Known, start: Position = START, counted: Position = START, **more: Any) -> Drain:
    return Drain(LiveTraces[Position](QUIET_S, LONGEST_S), known.unknown, start, counted, **more)


def body(at_s: float, *messages: Any) -> Body:
    at_us = START_US + round(at_s * SECOND)
    return worlds.body_of([Item(at_us, each, 0) for each in messages], at_us)


def entries(*made: Body) -> list[Entry]:
    return worlds.entries_of(made)


def agent(trace: int, number: int = 1, parent: int | None = None) -> Any:
    values = {**worlds.AGENT, "gen_ai.conversation.id": "c", "gen_ai.output.messages": worlds.said("assistant", "yes")}
    return worlds.span(trace, number, parent, START_US, START_US + SECOND, values)


def child(trace: int, number: int, parent: int) -> Any:
    return worlds.span(trace, number, parent, START_US, START_US + SECOND, dict(worlds.TOOL))


def record(trace: int, number: int, text: str = "hello") -> Any:
    return worlds.turn(trace, START_US, "c", text, "yes", {}, 0)[0].message if number == 2 else None


def ids(drained: Drained) -> list[str]:
    return sorted(drained.turns.column("turn_id").to_pylist())


def turn_id(trace: int, number: int = 1) -> str:
    return f"{trace:032x}:{number:016x}"


def later(seconds: float) -> int:
    return START_US + round(seconds * SECOND)


def test_a_trace_becomes_a_turn_when_it_is_quiet() -> None:
    drain = drain_over(Known())
    drain.add(entries(body(0, agent(1), child(1, 2, 1))))
    assert ids(drain.take(later(9))) == []
    drained = drain.take(later(10))
    assert ids(drained) == [turn_id(1)]
    assert drained.counts == {"spans": 2}
    assert sorted(drained.span_keys.tolist()) == sorted(
        span_keys([f"{1:032x}"] * 2, [f"{n:016x}" for n in (1, 2)]).tolist()
    )


def test_the_log_is_kept_from_the_oldest_open_trace_on() -> None:
    drain = drain_over(Known())
    log = entries(body(0, child(1, 2, 1)), body(1, agent(2)), body(2, agent(3)))
    drain.add(log)
    drained = drain.take(later(60))
    assert (ids(drained), drained.position, drained.counted) == ([turn_id(2), turn_id(3)], START, log[-1].end)
    assert drain.take(later(60 + LONGEST_S)).position == log[-1].end


@pytest.mark.parametrize("cuts", list(itertools.product([0, 1], repeat=3)))
def test_how_the_log_is_cut_changes_nothing(cuts: tuple[int, ...]) -> None:
    """A span that comes after its trace was quiet is late, also where a service that was down reads both at once."""
    known = Known()
    drain = drain_over(known)
    log = entries(body(0, agent(1)), body(30, child(1, 2, 1)), body(31, agent(2)), body(70, agent(3)))
    found: list[str] = []
    counts: dict[str, int] = {}
    parts: list[list[Entry]] = [[log[0]]]
    for entry, cut in zip(log[1:], cuts, strict=True):
        parts.append([entry]) if cut else parts[-1].append(entry)
    for part in parts:
        drain.add(part)
        drained = known.commit(drain.take(part[-1].body.arrived_us if part[-1].body else 0))
        found += ids(drained)
        for name, count in drained.counts.items():
            counts[name] = counts.get(name, 0) + count
    assert sorted(found) == [turn_id(1), turn_id(2)]
    assert counts == {"spans": 2, "late spans": 1}


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
@pytest.mark.parametrize("committed", [True, False])
def test_late_spans_and_their_children_are_late_in_any_order(order: Sequence[int], *, committed: bool) -> None:
    known = Known()
    drain = drain_over(known)
    drain.add(entries(body(0, agent(1))))
    first = drain.take(later(10))
    assert ids(first) == [turn_id(1)]
    known.commit(first)
    late = [child(1, 2, 1), child(1, 3, 2), agent(1, 4, 3), child(1, 5, 2)]
    counts: dict[str, int] = {}
    for place, number in enumerate(order):
        drain.add(entries(body(20 + place, late[number])))
        if committed:
            drained = known.commit(drain.take(later(20 + place)))
            assert ids(drained) == []
            counts = {name: counts.get(name, 0) + drained.counts[name] for name in {*counts, *drained.counts}}
    drained = drain.take(later(2 * LONGEST_S))
    counts = {name: counts.get(name, 0) + drained.counts[name] for name in {*counts, *drained.counts}}
    assert (ids(drained), counts) == ([], {"late spans": 4})
    assert drained.position == drain.position


def test_a_late_child_and_its_records_in_any_order() -> None:
    for first in (True, False):
        known = Known()
        drain = drain_over(known)
        drain.add(entries(body(0, agent(1))))
        known.commit(drain.take(later(10)))
        made = [body(20, record(1, 2)), body(20, child(1, 2, 1))]
        for each in made if first else reversed(made):
            drain.add(entries(each))
        drained = drain.take(later(2 * LONGEST_S))
        assert ids(drained) == []
        assert drained.counts == {"late spans": 1, "late log records": 1}


def test_duplicates_are_dropped_across_bodies_and_commits() -> None:
    known = Known()
    drain = drain_over(known)
    drain.add(entries(body(0, agent(1), agent(1)), body(1, agent(1))))
    drained = known.commit(drain.take(later(11)))
    assert (ids(drained), drained.counts) == ([turn_id(1)], {"spans": 1, "duplicate spans": 2})
    drain.add(entries(body(20, agent(1), child(2, 2, 1))))
    assert drain.take(later(30)).counts == {"duplicate spans": 1}


def test_what_is_read_again_after_a_restart_is_not_counted_again() -> None:
    known = Known()
    log = entries(
        body(0, child(1, 2, 1)),
        body(1, agent(2), agent(2)),
        body(20, agent(2), child(2, 2, 1), child(1, 3, 2)),
        body(21, child(1, 3, 2)),
    )
    log.append(Entry(None, Position(1, 1000), "broken", 17))
    drain = drain_over(known)
    drain.add(log)
    drained = known.commit(drain.take(later(21)))
    assert drained.counts == {
        "spans": 1, "duplicate spans": 3, "late spans": 1, "damaged records": 1, "damaged bytes": 17,
    }  # fmt: skip
    again = drain_over(known, drained.position, drained.counted)
    again.add(log)
    assert again.take(later(21)).counts == {}
    again.add([Entry(body(22, agent(1)), Position(1, 1100))])
    drained = again.take(later(32))
    assert (ids(drained), drained.counts) == ([turn_id(1)], {"spans": 3})


def test_beyond_its_bound_the_oldest_traces_are_closed() -> None:
    drain = drain_over(Known(), held_bytes_max=10_000)
    log = entries(*(body(0, child(trace, 2, 1)) for trace in range(1, 400)))
    drain.add(log)
    held = drain.traces.size
    drained = drain.take(later(1))
    assert held > 10_000 >= drain.traces.size
    assert drained.counts["traces closed early"] == drained.counts["spans"] > 0
    assert drained.position > START


def test_traces_that_hold_up_the_log_are_closed() -> None:
    drain = drain_over(Known())
    log = entries(body(0, child(1, 2, 1)), body(1, child(2, 2, 1)))
    drain.add(log)
    drained = drain.take(later(1), pinned=True)
    assert drained.position == log[-1].end
    assert drained.counts["traces closed early"] == 2


def test_a_clock_that_was_set_back_holds_nothing_up() -> None:
    drain = drain_over(Known())
    drain.add(entries(body(7200, agent(1)), body(0, agent(2)), body(5, agent(3))))
    assert ids(drain.take(later(10))) == [turn_id(1), turn_id(2)]
    assert ids(drain.take(later(15))) == [turn_id(3)]


def test_turns_that_came_as_such_are_taken() -> None:
    row = {"time": "2026-01-05T00:00:00Z", "session_id": "s", "input": "hello", "output": "yes"}
    drain = drain_over(Known())
    drain.add([Entry(Body(BodyKind.TURNS_JSONL, "", START_US, 1, orjson.dumps(row) + b"\n"), Position(1, 100))])
    drained = drain.take(START_US)
    assert drained.turns.column("session_id").to_pylist() == ["s"]


@given(st.lists(st.tuples(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1)), max_size=20))
def test_keys_of_spans_are_those_of_a_slow_twin(spans: list[tuple[int, int]]) -> None:
    def mixed(key: int) -> int:
        for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
            key = (key ^ key >> 33) * factor % 2**64
        return key ^ key >> 33

    def slow(trace: int, number: int) -> int:
        key = (trace >> 64) * 0x9E3779B97F4A7C15 % 2**64
        key = mixed(key ^ trace % 2**64) * 0xC2B2AE3D27D4EB4F % 2**64
        return mixed(mixed(key ^ number) * 0x165667B19E3779F9 % 2**64)

    found = span_keys([f"{trace:032x}" for trace, _ in spans], [f"{number:016x}" for _, number in spans])
    assert found.dtype == np.uint64
    assert found.tolist() == [slow(*each) for each in spans]


def test_short_and_long_ids_are_filled_and_cut() -> None:
    same = [("01", "02"), ("00" * 15 + "01", "00" * 7 + "02"), ("00" * 15 + "01ff", "00" * 7 + "02ff")]
    keys = span_keys([trace for trace, _ in same], [number for _, number in same])
    assert len(set(keys.tolist())) == 1


def test_keys_that_differ_in_few_bits_lie_far_apart() -> None:
    keys = span_keys([f"{1:032x}"] * 4096, [f"{number:016x}" for number in range(4096)])
    assert len(np.unique(keys)) == 4096
    buckets = np.bincount((keys >> np.uint64(56)).astype(np.int64), minlength=256)
    assert buckets.max() < 16 + 5 * 4


def test_no_entry_gives_nothing() -> None:
    drained = drain_over(Known()).take(START_US + MINUTE)
    assert (drained.turns.num_rows, len(drained.span_keys), drained.counts) == (0, 0, {})
    assert isinstance(drained.turns, pa.Table)
