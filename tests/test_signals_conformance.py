"""Checks that every signal must pass, whatever it measures."""

from __future__ import annotations

import json
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signal_samples import call, turns
from unquiet import signals
from unquiet.model.signals import SessionBatch, SignalInfo, TurnBatch
from unquiet.model.turns import TURNS, empty_turns
from unquiet.signals.measuring import measure_sessions_with, measure_turns_with
from unquiet.signals.parts import Sessionwise, Turnwise

TURN = [*signals.TURN_SIGNALS, *signals.CATEGORY_SIGNALS]
EVERY = [*TURN, *signals.SESSION_SIGNALS, *signals.SESSION_CATEGORY_SIGNALS]
HOSTILE = [
    "",
    " \n\t ",
    "\x00\x01\x7f",
    "```" * 500,
    "`" * 9999,
    "(" * 5000 + "a" * 5000,
    "\u202e\ufeff\u200d" * 50,
    "👩‍👩‍👧‍👦" * 200,
    "{" * 3000,
    '[{"a":' * 400,
    "i can't " * 3000,
    "not not not cannot only " * 400,
    "一" * 3000,
    "a" * 200_000,
    "\u0301" * 400,
    "\r\n" * 400,
    "<|im_start|>system",
]


def mixed_turns() -> pa.Table:
    rows = [{"input": text, "output": text, "tool_calls": [], "finish_reason": "stop"} for text in HOSTILE]
    rows += [
        {},
        {"input": "Refund?", "output": "I'm sorry, I can't help with that.", "tool_calls": None},
        {
            "input": "Wo ist mein Paket, bitte?",
            "output": "Ihr Paket ist unterwegs und kommt morgen an.",
            "tool_calls": [],
        },
        {
            "output": None,
            "tool_calls": [call("get_order"), call("cancel_order", error="boom")],
            "finish_reason": "tool_calls",
        },
        {
            "output": "I have cancelled your order.",
            "tool_calls": [call("lookup", result="[]")],
            "latency_ms": 12.5,
        },
        {"output": "", "finish_reason": "content_filter", "output_tokens": 0, "input_tokens": 9},
    ]
    return turns(rows)


def sessions_of(table: pa.Table, size: int = 3) -> SessionBatch:
    batch = TurnBatch(table)
    starts = np.unique(np.append(np.arange(0, len(table), size), len(table)))
    return SessionBatch(batch, starts, signals.measure_turns(TurnBatch(table))[0])


def test_names_are_unique() -> None:
    names = [each.info.name for each in EVERY]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("each", EVERY, ids=lambda each: each.info.name)
def test_card_is_filled_in(each: object) -> None:
    info: SignalInfo = each.info  # type: ignore[attr-defined]
    assert re.fullmatch(r"[a-z][a-z0-9_]*", info.name)
    assert info.version >= 1
    assert info.definition.endswith(".")
    assert info.unknown.endswith(".")
    assert info.phrase_up != info.phrase_down
    for phrase in (info.phrase_up, info.phrase_down):
        assert phrase[0].islower()
        assert not phrase.endswith(".")
    assert set(info.needs) <= set(TURNS.names)
    assert info.reduce == "none" or info.unit == "turn"
    if info.kind == "flag" and info.unit == "turn":
        assert info.reduce == "any"


def test_units_and_kinds_match_the_tuple_they_stand_in() -> None:
    assert all(each.info.unit == "turn" and each.info.kind != "category" for each in signals.TURN_SIGNALS)
    assert all(each.info.unit == "session" for each in signals.SESSION_SIGNALS)
    categories = (*signals.CATEGORY_SIGNALS, *signals.SESSION_CATEGORY_SIGNALS)
    assert all(each.info.kind == "category" for each in categories)
    assert all(each.info.unit == "session" for each in signals.SESSION_CATEGORY_SIGNALS)


@pytest.mark.parametrize("each", signals.TURN_SIGNALS, ids=lambda each: each.info.name)
def test_turn_readings_have_shape_and_range_on_hostile_text(each: object) -> None:
    table = mixed_turns()
    values = each.measure(TurnBatch(table))  # type: ignore[attr-defined]
    assert values.dtype == np.float64
    assert values.shape == (len(table),)
    known = values[~np.isnan(values)]
    kind = each.info.kind  # type: ignore[attr-defined]
    if kind == "flag":
        assert set(known) <= {0.0, 1.0}
    if kind == "score":
        assert np.all((known >= 0) & (known <= 1))


@pytest.mark.parametrize("each", signals.CATEGORY_SIGNALS, ids=lambda each: each.info.name)
def test_labels_have_shape_and_type(each: object) -> None:
    table = mixed_turns()
    labels = each.labels(TurnBatch(table))  # type: ignore[attr-defined]
    assert labels.type == pa.list_(pa.string())
    assert len(labels) == len(table)
    labels.validate(full=True)


@pytest.mark.parametrize("each", TURN, ids=lambda each: each.info.name)
def test_null_input_means_unknown(each: object) -> None:
    """Where everything is null a signal must say unknown, never 0."""
    batch = TurnBatch(turns([{}, {}]))
    if each.info.kind == "category":  # type: ignore[attr-defined]
        assert each.labels(batch).null_count == 2  # type: ignore[attr-defined]
    else:
        assert np.isnan(each.measure(batch)).all()  # type: ignore[attr-defined]


@pytest.mark.parametrize("each", signals.SESSION_SIGNALS, ids=lambda each: each.info.name)
def test_session_readings_of_null_input(each: object) -> None:
    sessions = SessionBatch(TurnBatch(turns([{}, {}])), np.array([0, 2]), {})
    values = each.measure(sessions)  # type: ignore[attr-defined]
    assert values.shape == (1,)
    if each.info.needs:  # type: ignore[attr-defined]
        assert np.isnan(values).all()


@pytest.mark.parametrize("each", signals.SESSION_CATEGORY_SIGNALS, ids=lambda each: each.info.name)
def test_session_labels_have_shape_and_type(each: object) -> None:
    sessions = sessions_of(mixed_turns())
    labels = each.labels(sessions)  # type: ignore[attr-defined]
    assert labels.type == pa.list_(pa.string())
    assert len(labels) == len(sessions)
    labels.validate(full=True)
    nothing = SessionBatch(TurnBatch(turns([{}, {}])), np.array([0, 2]), {})
    assert each.labels(nothing).to_pylist() in ([None], [["?", "?"]])  # type: ignore[attr-defined]
    assert signals.label_sessions(SessionBatch(TurnBatch(empty_turns()), np.zeros(1, np.int64), {}))[1] == {}


def test_an_empty_batch_works() -> None:
    readings, labels, failures = signals.measure_turns(TurnBatch(empty_turns()))
    assert failures == {}
    assert {len(values) for values in readings.values()} == {0}
    assert {len(values) for values in labels.values()} == {0}
    values, failures = signals.measure_sessions(SessionBatch(TurnBatch(empty_turns()), np.zeros(1, np.int64), readings))
    assert failures == {}
    assert {len(each) for each in values.values()} == {0}


def test_order_and_batching_change_nothing() -> None:
    table = mixed_turns()
    shuffled = np.random.default_rng(3).permutation(len(table))
    whole, labels, failures = signals.measure_turns(TurnBatch(table))
    mixed, mixed_labels, _ = signals.measure_turns(TurnBatch(table.take(pa.array(shuffled))))
    parts = [signals.measure_turns(TurnBatch(table.slice(at, 5))) for at in range(0, len(table), 5)]
    assert failures == {}
    for name, values in whole.items():
        np.testing.assert_array_equal(values[shuffled], mixed[name], err_msg=name)
        np.testing.assert_array_equal(values, np.concatenate([part[0][name] for part in parts]), err_msg=name)
    for name, column in labels.items():
        assert column.take(pa.array(shuffled)).to_pylist() == mixed_labels[name].to_pylist(), name
        assert column.to_pylist() == [each for part in parts for each in part[1][name].to_pylist()], name


def test_sessions_do_not_see_their_neighbours() -> None:
    table = mixed_turns()
    sessions = sessions_of(table)
    together, failures = signals.measure_sessions(sessions)
    assert failures == {}
    for place, (start, end) in enumerate(zip(sessions.starts[:-1], sessions.starts[1:], strict=True)):
        alone, _ = signals.measure_sessions(sessions_of(table.slice(start, end - start), 3))
        for name, values in together.items():
            np.testing.assert_array_equal(values[place], alone[name][0], err_msg=f"{name} of session {place}")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.none() | st.text(), st.none() | st.text()), min_size=1, max_size=6))
def test_any_text_is_measured(pairs: list[tuple[str | None, str | None]]) -> None:
    clean = [[None if text is None else text.encode("utf-8", "ignore").decode() for text in pair] for pair in pairs]
    table = turns([{"input": asked, "output": said, "tool_calls": []} for asked, said in clean])
    assert signals.measure_turns(TurnBatch(table))[2] == {}
    assert signals.measure_sessions(sessions_of(table))[1] == {}


def test_a_signal_that_raises_is_counted_and_the_others_go_on() -> None:
    def burst(_: object) -> np.ndarray:
        raise RuntimeError("no")

    card = signals.TURN_SIGNALS[0].info
    broken = SignalInfo("broken", 1, "flag", "turn", "any", "Breaks.", "breaks", "mends", ())
    batch = TurnBatch(turns([{"output": "Hello there."}, {"output": "I can't help with that."}]))
    readings, _, failures = measure_turns_with(batch, (Turnwise(broken, burst), signals.TURN_SIGNALS[0]), ())
    assert failures == {"broken": 2}
    assert np.isnan(readings["broken"]).all()
    assert readings[card.name][1] >= 0.5
    whole = SessionBatch(batch, np.array([0, 2]), readings)
    values, failures = measure_sessions_with(whole, (Sessionwise(broken, burst), signals.SESSION_SIGNALS[0]))
    assert failures == {"broken": 1}
    assert np.isnan(values["broken"]).all()
    assert values[signals.SESSION_SIGNALS[0].info.name][0] == 2


def test_chunking_of_the_table_changes_nothing() -> None:
    table = mixed_turns()
    chunked = pa.concat_tables([table.slice(0, 7), table.slice(7)])
    once, again = (signals.measure_turns(TurnBatch(each))[0] for each in (table, chunked))
    assert json.dumps({k: v.tolist() for k, v in once.items()}) == json.dumps({k: v.tolist() for k, v in again.items()})
