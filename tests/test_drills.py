"""Failures of drills: they are in the sessions that they meet, leave all others, and look like traffic."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from unquiet.app.rehearsing import Rehearsal, injected
from unquiet.drills import FAILURES, PRESETS, choose_slice, sessions_of, touched
from unquiet.drills.scorecard import score
from unquiet.model.drills import Before, Dose, Failure, Preset
from unquiet.model.errors import ConfigError
from unquiet.model.settings import Settings
from unquiet.model.slices import Slice
from unquiet.model.turns import TURNS
from unquiet.pipeline.measuring import measure_turn_table
from unquiet.stats.oracle import oracle_delays, run_length, threshold_for

START = datetime(2026, 3, 2, tzinfo=UTC)
ONSET_US = round((START + timedelta(days=1)).timestamp() * 1e6)
ANSWERS = (
    (
        "Your order left our warehouse this morning. It will be with you in three days. You can follow it in your account. "
        "If nobody is at home, it waits for you at the post office."
    ),
    (
        "The refund was booked today. You see it on your account within a week. I have sent you a letter that tells all of "
        "it once more. Is there anything else?"
    ),
    (
        "I changed the address of your delivery. The new one is used from now on. You do not have to do anything else. "
        "The parcel comes on Monday."
    ),
)
TOOLS = ("lookup", "lookup", "update_address")
CALL = {"arguments": "{}", "result": '{"at": "depot"}', "error": None}
REFUSAL = "I'm sorry, but I can't help with that request number {}."


THE_POINT = {
    "smaller_model": {"latency_ms"},
    "withheld": {"finish_reason", "output"},
    "limit": {"finish_reason"},
    "text_lost": {"output"},
    "empty": {"output"},
    "repetition": {"output"},
}
"""Columns in which a failure must not look like the traffic: that is what it is."""


def turn(number: int, day_s: float, length: int = 2) -> dict[str, Any]:
    session, place = divmod(number, length)
    refused = number % 20 == 0
    return {
        "turn_id": f"t{number}",
        "session_id": f"s{session}",
        "turn_index": place,
        "time": START + timedelta(seconds=session * day_s + place * 60),
        "user_id": f"u{session % 37}",
        "input": ("That is wrong. " if number % 7 == 3 else "")
        + f"Where is my order {session}? Please have a look and tell me what you can see there."
        + " more" * (number % 9),
        "output": REFUSAL.format(number % 140) if refused else ANSWERS[number % 3],
        "tool_calls": []
        if refused
        else [{"name": TOOLS[number % 3], "arguments": "{}", "result": '{"at": "depot"}', "error": None}],
        "finish_reason": "stop",
        "latency_ms": 900.0,
        "input_tokens": 40,
        "output_tokens": 30,
        "reasoning_tokens": 100,
        "cost_usd": 0.01,
        "model": "m",
        "served_model": "m",
        "facets": [("locale", "de" if session % 5 == 0 else "en"), ("tenant", "abcdefghij"[session % 10])],
    }


def traffic(sessions: int, per_day: int) -> pa.Table:
    return pa.Table.from_pylist([turn(number, 86_400 / per_day) for number in range(2 * sessions)], schema=TURNS)


@pytest.fixture(scope="module")
def turns() -> pa.Table:
    return traffic(400, 200)


@pytest.fixture(scope="module")
def before(turns: pa.Table) -> Before:
    measured = measure_turn_table(turns)
    return Before(
        turns,
        {name: measured.column(name).to_numpy() for name in measured.column_names[2:] if _is_number(measured, name)},
    )


def _is_number(table: pa.Table, name: str) -> bool:
    return pa.types.is_floating(table.schema.field(name).type)


def put(failure: Failure, turns: pa.Table, before: Before, share: float = 0.5) -> tuple[pa.Table, np.ndarray]:
    met = touched(turns, ONSET_US, Slice(), Dose(share), np.random.default_rng(1))
    return injected(turns, met, failure, before, np.random.default_rng(2)), met


@pytest.mark.parametrize("failure", FAILURES, ids=lambda each: each.name)
def test_dose_zero_changes_nothing(failure: Failure, turns: pa.Table, before: Before) -> None:
    changed, met = put(failure, turns, before, 0.0)
    assert not met.any()
    assert changed is turns


@pytest.mark.parametrize("failure", FAILURES, ids=lambda each: each.name)
def test_whoever_is_not_met_stays_as_they_are(failure: Failure, turns: pa.Table, before: Before) -> None:
    changed, met = put(failure, turns, before)
    left = set(turns.column("turn_id").filter(pa.array(~met)).to_pylist())
    mine = changed.filter(pc.is_in(changed.column("turn_id"), pa.array(sorted(left))))
    assert mine.sort_by("turn_id").equals(turns.filter(pa.array(~met)).sort_by("turn_id"))


@pytest.mark.parametrize("failure", FAILURES, ids=lambda each: each.name)
def test_what_is_met_looks_like_traffic(failure: Failure, turns: pa.Table, before: Before) -> None:
    changed, _ = put(failure, turns, before)
    assert changed.schema == TURNS
    changed.validate(full=True)
    assert pc.count_distinct(changed.column("turn_id")).as_py() == changed.num_rows
    point = THE_POINT.get(failure.name, set())
    for name in ("error", "finish_reason", "latency_ms", "model"):
        assert name in point or set(changed.column(name).to_pylist()) <= set(turns.column(name).to_pylist())
    if "output" not in point:
        lengths = pc.utf8_length(changed.column("output")).to_numpy()
        assert lengths.min() > 0
        assert lengths.max() < 5 * pc.max(pc.utf8_length(turns.column("output"))).as_py()
    names = {call["name"] for calls in changed.column("tool_calls").to_pylist() for call in calls}
    assert names <= set(TOOLS)


@pytest.mark.parametrize("failure", [each for each in FAILURES if not each.control], ids=lambda each: each.name)
def test_the_failure_is_in_the_answers(failure: Failure, turns: pa.Table, before: Before) -> None:
    changed, met = put(failure, turns, before)
    if failure.name == "give_up":
        assert changed.num_rows == turns.num_rows - met.sum() // 2
        return
    order = {name: place for place, name in enumerate(changed.column("turn_id").to_pylist())}
    rows = pa.array([order[name] for name in turns.column("turn_id").filter(pa.array(met)).to_pylist()])
    old, new = turns.filter(pa.array(met)), changed.take(rows)
    different = sum(a != b for a, b in zip(old.to_pylist(), new.to_pylist(), strict=True)) / met.sum()
    assert different > (0.02 if failure.name == "refusals_stop" else 0.3)


def test_the_same_seed_gives_the_same(turns: pa.Table, before: Before) -> None:
    for failure in FAILURES:
        assert put(failure, turns, before)[0].equals(put(failure, turns, before)[0])


def test_more_dose_meets_more_and_the_same(turns: pa.Table) -> None:
    met = [touched(turns, ONSET_US, Slice(), Dose(share), np.random.default_rng(3)) for share in (0.1, 0.4, 1.0)]
    assert all((a <= b).all() for a, b in itertools.pairwise(met))
    _, started_us, firsts = sessions_of(turns)
    assert (met[-1][firsts] == (started_us >= ONSET_US)).all()


def test_slice_shape_and_condition_bound_whom_it_meets(turns: pa.Table) -> None:
    where = Slice((("locale", "de"),))
    met = touched(turns, ONSET_US, where, Dose(1.0), np.random.default_rng(3))
    assert set(pc.map_lookup(turns.column("facets").filter(pa.array(met)), "locale", "first").to_pylist()) == {"de"}
    ramp = touched(turns, ONSET_US, Slice(), Dose(1.0, "ramp", 1.0), np.random.default_rng(3))
    half = len(ramp) * 3 // 4
    assert ramp[:half].sum() < ramp[half:].sum()
    sticky = touched(turns, ONSET_US, Slice(), Dose(0.3, sticky=True), np.random.default_rng(3))
    users = {name: set() for name in turns.column("user_id").to_pylist()}
    later = turns.column("time").cast(pa.int64()).to_numpy() >= ONSET_US + 120_000_000
    for user, hit, counts in zip(turns.column("user_id").to_pylist(), sticky, later, strict=True):
        if counts:
            users[user].add(bool(hit))
    assert all(len(each) == 1 for each in users.values() if each)


def test_a_slice_is_chosen_near_the_wanted_share(turns: pa.Table) -> None:
    assert choose_slice(turns, 0.35, np.random.default_rng(1)) == Slice((("locale", "de"),))
    assert choose_slice(turns, 0.1, np.random.default_rng(1)).conditions[0][0] == "tenant"
    assert choose_slice(turns, 0.001, np.random.default_rng(1)) == Slice()


def test_every_preset_names_a_failure_and_every_failure_has_a_preset() -> None:
    assert {each.failure for each in PRESETS} == {each.name for each in FAILURES}
    assert len({each.name.lower() for each in PRESETS}) == len(PRESETS)


def test_the_oracle_keeps_its_false_alarms_and_hears_a_step_soon() -> None:
    hit, miss = np.log(0.2 / 0.02), np.log(0.8 / 0.98)
    threshold = threshold_for(5000, 0.02, hit, miss)
    # The sums of such a CUSUM lie on a lattice, so not every run length can be had.
    assert 5000 <= run_length(threshold, 0.02, hit, miss) < 6500
    delays = oracle_delays(0.02, np.full(2000, 0.2), 5000, np.random.default_rng(1))
    assert 10 < delays.mean() < 60
    assert (oracle_delays(0.02, np.full(50, 0.0201), 5000, np.random.default_rng(1)) == 50).all()


def test_a_rehearsal_hears_refusals_and_is_quiet_when_nothing_changes() -> None:
    presets = [Preset("loud", "refusals", "refusal", Dose(0.6)), Preset("quiet", "nothing", "nothing", Dose(1.0))]
    rehearsal = Rehearsal(traffic(3600, 300), Settings(learn=timedelta(days=5)))
    drills = rehearsal.drills(presets, range(2))
    found = rehearsal.run(drills, 2, lambda _what, _share: None)
    assert found == rehearsal.run(drills, 1, lambda _what, _share: None)
    loud, quiet = score(found, {"loud": False, "quiet": True})
    assert (loud.found, quiet.found) == (2, 0)
    assert loud.hours is not None
    assert loud.hours[1] < 12
    assert loud.met is not None
    assert loud.met < loud.affected


def test_a_record_that_is_too_short_is_refused() -> None:
    with pytest.raises(ConfigError, match="the record holds 2 days, and a rehearsal needs 11"):
        Rehearsal(traffic(400, 200), Settings()).drills(PRESETS[:1], [0])


def test_drills_of_the_monitor_itself_need_no_long_record() -> None:
    assert Rehearsal(traffic(400, 200), Settings()).drills([], range(5)) == []
