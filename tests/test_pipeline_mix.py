"""The mix: new kinds of request are an incident of their own, with a name, and never one of behaviour."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from mix_worlds import asking_anew
from test_pipeline_judging import BAD, START, judged, traffic
from unquiet.intents import NEW, ORDINARY, UNKNOWN, Novelty, Request, grouped, joining, marks_of, request_keys
from unquiet.model.settings import Settings
from unquiet.model.turns import TURNS
from unquiet.pipeline.judging import Judge
from unquiet.pipeline.mix import EVENT, Mix
from unquiet.pipeline.mix_state import dump_mix, load_mix
from unquiet.pipeline.saving import dump, load
from unquiet.pipeline.words import UNSPENT


def mix_of(judge: Judge) -> Mix:
    assert judge.mix is not None
    return judge.mix


@pytest.mark.parametrize("intent", [True, False])
def test_something_new_is_one_incident_of_the_mix(intent: bool) -> None:
    judge = judged(asking_anew(1, intent=intent), [700, 3000])
    (incident,) = mix_of(judge).incidents
    assert judge.incidents == ()
    assert (incident.event, incident.direction, incident.slice.conditions) == (EVENT, "up", ())
    onset = round((START + timedelta(days=14)).timestamp() * 1e6)
    assert incident.onset.earliest_us <= onset + 86_400_000_000
    assert onset < incident.raised_us < onset + 2 * 86_400_000_000
    assert "esim" in mix_of(judge).novelty.kind_of
    recorded = mix_of(judge).settled()
    late = recorded.started_us > incident.raised_us
    assert float((recorded.y[late, 1] == 1).mean()) == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("intent", [True, False])
def test_a_refusal_beside_it_is_a_second_incident(intent: bool) -> None:
    judge = judged(asking_anew(1, intent=intent, onset_day=16.0), [700, 3000])
    assert len(mix_of(judge).incidents) == 1
    (incident,) = judge.incidents
    assert incident.event != EVENT
    assert "refund" in incident.slice.name


@pytest.mark.parametrize("intent", [True, False])
def test_quiet_traffic_and_a_topic_that_grows_are_no_incident_of_the_mix(intent: bool) -> None:
    assert mix_of(judged(asking_anew(2, intent=intent, since=99), [1000])).incidents == ()
    rows = asking_anew(3, intent=intent, since=99).to_pylist()
    rng = np.random.default_rng(3)
    grown = [
        row
        for row in rows
        if row["time"] > START + timedelta(days=12) or "refund" not in row["input"] or rng.random() < 0.4
    ]
    judge = judged(pa.Table.from_pylist(grown, schema=TURNS), [1000])
    assert mix_of(judge).incidents == ()
    assert judge.incidents == ()


def test_other_answers_to_a_new_kind_are_no_change_of_behaviour() -> None:
    """The agent refuses what it was never asked before, always did so and would have."""
    rows = asking_anew(4, intent=False).to_pylist()
    refused = [row | {"output": BAD} if "esim" in row["input"] else row for row in rows]
    judge = judged(pa.Table.from_pylist(refused, schema=TURNS), [2000])
    assert len(mix_of(judge).incidents) == 1
    assert judge.incidents == ()


def test_what_is_new_after_that_is_another_incident() -> None:
    rows = asking_anew(5, days=30, intent=True).to_pylist()
    rng = np.random.default_rng(5)
    for row in rows:
        if row["time"] > START + timedelta(days=23) and rng.random() < 0.06:
            row["facets"] = [("intent", "warranty"), ("plan", "free")]
    mix = mix_of(judged(pa.Table.from_pylist(rows, schema=TURNS), [4000]))
    assert len(mix.incidents) == 2
    assert mix.kinds_of == [[0], [1]]
    assert mix.novelty.kind_of == {"esim": 0, "warranty": 1}


def test_no_text_and_no_intent_say_nothing() -> None:
    rows = [row | {"input": None, "facets": [("plan", "free")]} for row in traffic(6, 12, None).to_pylist()]
    mix = mix_of(judged(pa.Table.from_pylist(rows, schema=TURNS), []))
    assert (mix.settled().y == -1).all()


def test_batches_and_a_restart_change_nothing() -> None:
    turns = asking_anew(7, days=18, intent=False)
    whole = judged(turns, [])
    assert mix_of(whole).incidents
    parts = in_parts(turns, 29, 40)
    assert mix_of(whole).incidents == mix_of(parts).incidents
    assert dump(whole) == dump(parts)
    for stop in (3000, 4600):
        first = judged(turns.slice(0, stop), [])
        again = load_mix(dump_mix(mix_of(first)), first.history, first.tables)
        assert dump_mix(again) == dump_mix(mix_of(first))
        first.mix = again
        at = turns.column("time").cast(pa.int64()).to_numpy()
        first.push(turns.slice(stop), int(at[-1]))
        assert dump_mix(mix_of(first)) == dump_mix(mix_of(whole))


def test_batches_change_nothing_once_the_window_moves() -> None:
    turns = asking_anew(8, days=52, since=46, intent=False, onset_day=44.3, per_day=120)
    whole = judged(turns, [])
    assert whole.incidents
    assert mix_of(whole).incidents
    assert dump(whole) == dump(in_parts(turns, 61, 99))


def in_parts(turns: pa.Table, size: int, restart_every: int) -> Judge:
    """Judged in pushes of `size` turns, saved and restored after every so many of them."""
    settings = Settings(learn=timedelta(days=5))
    judge = Judge(settings)
    at = turns.column("time").cast(pa.int64()).to_numpy()
    for number, low in enumerate(range(0, len(at), size)):
        high = min(low + size, len(at))
        judge.push(turns.slice(low, high - low), int(at[high - 1]))
        state = dump(judge) if number % restart_every == restart_every - 1 else None
        judge = judge if state is None else load(state, settings) or judge
    return judge


def test_what_rang_follows_from_what_was_there() -> None:
    turns = asking_anew(1, intent=False)
    (incident,) = mix_of(judged(turns, [])).incidents
    at = turns.column("time").cast(pa.int64()).to_numpy()
    known = turns.slice(0, int(np.searchsorted(at, incident.raised_us, side="right")))
    assert mix_of(judged(known, [])).incidents == (incident,)


def test_the_budget_is_shared_and_not_exceeded() -> None:
    judge = judged(traffic(2, 9, None), [])
    assert judge.watch is not None
    assert judge.words is not None
    streams = judge.watch.restarts.shape[1]
    named = (judge.watch.share + judge.watch.frozen_share).sum() * streams
    spent = named + judge.words.watch.streams.share.sum() / UNSPENT + mix_of(judge).share
    assert spent <= judge.settings.budget_per_day * (1 + 1e-9)


def test_keys_of_a_request() -> None:
    assert request_keys("Cancel my eSIM, order 12, in April") == [
        "cancel",
        "esim",
        "order",
        "cancel esim",
        "esim order",
    ]
    assert request_keys("退款申请") == ["退款申", "款申请", "退款申 款申请"]
    assert request_keys(None) == []


def request(key: str, who: int, text: int) -> Request:
    return Request([key], who, text)


def test_one_person_or_one_text_makes_nothing_recurring() -> None:
    for varied in (False, True):
        novelty = Novelty(marks_of(["known"]))
        same = [request("esim", 1 if varied else i, i if varied else 1) for i in range(9)]
        assert novelty.sort(same, 0)[0].tolist() == [ORDINARY] * 9
    novelty = Novelty(marks_of(["known"]))
    kinds, keys = novelty.sort(
        [request("esim", i, i) for i in range(6)] + [request("known", 1, 1), Request([], 1, 1)], 0
    )
    assert kinds.tolist() == [ORDINARY] * 4 + [NEW] * 2 + [ORDINARY, UNKNOWN]
    assert keys[5] == ["esim"]
    assert novelty.found(["esim"]) == 0
    assert novelty.sort([request("esim", 8, 8)], 0)[0].tolist() == [NEW]
    novelty.turn(1)
    assert novelty.sort([request("esim", 9, 9)], 1)[0].tolist() == [0]


def test_what_stays_without_an_alarm_becomes_ordinary() -> None:
    novelty = Novelty(marks_of(["known"]))
    for day in range(20):
        novelty.turn(day)
        kinds, _ = novelty.sort([request("esim", 10 * day + i, 10 * day + i) for i in range(3)], day)
    assert kinds.tolist() == [ORDINARY] * 3


def test_keys_that_come_together_are_one_kind() -> None:
    requests = [["a", "b"]] * 4 + [["b", "c"]] * 3 + [["x"]] * 4 + [["y"]]
    assert grouped(requests) == [["a", "b", "c"], ["x"]]
    assert joining([["a", "d"]] * 3 + [["d"]], {"a": 7}) == {"d": 7}
