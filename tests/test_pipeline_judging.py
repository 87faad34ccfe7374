"""The judgement: no look-ahead, batches change nothing, a quiet change is found, quiet traffic stays quiet."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from unquiet.model.counts import TICK_US
from unquiet.model.settings import Settings
from unquiet.model.turns import TURNS
from unquiet.pipeline.judging import DAY_US, Judge, firsts_of_ticks
from unquiet.sessions import Assembler

START = datetime(2026, 1, 5, tzinfo=UTC)
GOOD = "Your order is on its way and will arrive within three days. Here is the link to follow the parcel."
BAD = "I'm sorry, but I can't help with that request. Please contact support for further assistance."


def traffic(seed: int, days: int, onset_day: float | None, per_day: int = 150) -> pa.Table:
    """One turn a session; from the onset on, three in five requests about refunds are refused."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.random(days * per_day)) * days
    topic = rng.choice(["refund", "delivery", "invoice", "login"], len(at))
    plan = rng.choice(["free", "paid"], len(at))
    base = rng.random(len(at)) < 0.03
    hit = (topic == "refund") & (at >= (onset_day if onset_day is not None else days)) & (rng.random(len(at)) < 0.6)
    rows = [
        {
            "turn_id": f"s{i}#0",
            "session_id": f"s{i}",
            "turn_index": 0,
            "time": START + timedelta(days=float(t)),
            "user_id": f"u{rng.integers(400)}",
            "input": f"I have a question about my {topic[i]}, order number {i}",
            "output": BAD if hit[i] or base[i] else GOOD,
            "tool_calls": [],
            "facets": [("intent", str(topic[i])), ("plan", str(plan[i]))],
        }
        for i, t in enumerate(at)
    ]
    return pa.Table.from_pylist(rows, schema=TURNS)


def judged(turns: pa.Table, cuts: list[int]) -> Judge:
    judge = Judge(Settings(learn=timedelta(days=5)))
    at = turns.column("time").cast(pa.int64()).to_numpy()
    for low, high in zip([0, *cuts], [*cuts, len(at)], strict=True):
        if high > low:
            judge.push(turns.slice(low, high - low), int(at[high - 1]))
    return judge


@pytest.fixture(scope="module")
def changed() -> pa.Table:
    return traffic(1, 14, 9.5)


def test_a_quiet_change_is_found_where_and_when_it_is(changed: pa.Table) -> None:
    judge = judged(changed, [700, 1400])
    assert len(judge.incidents) == 1
    incident = judge.incidents[0]
    onset = round((START + timedelta(days=9.5)).timestamp() * 1e6)
    assert incident.slice.as_dict() == {"intent": "refund"}
    assert incident.onset.earliest_us <= onset <= incident.onset.latest_us
    assert onset < incident.raised_us < onset + 2 * 86_400_000_000


def test_how_the_turns_are_cut_changes_nothing(changed: pa.Table) -> None:
    whole = judged(changed, [])
    parts = judged(changed, list(range(37, changed.num_rows, 311)))
    assert whole.incidents == parts.incidents
    assert whole.watch is not None
    assert parts.watch is not None
    np.testing.assert_array_equal(whole.watch.restarts, parts.watch.restarts)
    np.testing.assert_array_equal(whole.watch.rates.sessions, parts.watch.rates.sessions)


def test_what_was_raised_follows_from_what_was_there(changed: pa.Table) -> None:
    incident = judged(changed, [900]).incidents[0]
    at = changed.column("time").cast(pa.int64()).to_numpy()
    known = changed.slice(0, int(np.searchsorted(at, incident.raised_us, side="right")))
    again = judged(known, []).incidents
    assert [(i.id, i.slice, i.event, i.direction, i.raised_us) for i in again] == [
        (incident.id, incident.slice, incident.event, incident.direction, incident.raised_us)
    ]


def test_quiet_traffic_stays_quiet() -> None:
    for seed in (2, 3):
        assert judged(traffic(seed, 14, None), [1000]).incidents == ()


def test_a_short_history_is_not_judged() -> None:
    judge = judged(traffic(4, 3, None), [])
    assert judge.plan is None
    assert judge.incidents == ()


def test_a_value_that_turns_up_later_becomes_a_slice_of_its_own() -> None:
    """A new plan from day 7 on, whose requests are refused from day 14 on."""
    rng = np.random.default_rng(8)
    rows = traffic(5, 20, None).to_pylist()
    for row in rows:
        day = (row["time"] - START) / timedelta(days=1)
        if day >= 7 and rng.random() < 0.15:
            row["facets"] = [("intent", dict(row["facets"])["intent"]), ("plan", "trial")]
            row["output"] = BAD if day >= 14 and rng.random() < 0.8 else GOOD
    judge = judged(pa.Table.from_pylist(rows, schema=TURNS), [900, 2000])
    assert judge.plan is not None
    assert [where.as_dict() for where in judge.plan.lattice.slices[judge.plan.lattice.planned_count :]] == [
        {"plan": "trial"}
    ]
    assert [incident.slice.as_dict() for incident in judge.incidents] == [{"plan": "trial"}]


def failing(seed: int, days: int, spans: list[tuple[float, float]]) -> pa.Table:
    """Refund requests that are refused within each span of days."""
    rows = traffic(seed, days, None, per_day=200).to_pylist()
    rng = np.random.default_rng(seed)
    for row in rows:
        day = (row["time"] - START) / timedelta(days=1)
        hit = any(low <= day < high for low, high in spans) and dict(row["facets"])["intent"] == "refund"
        if hit and rng.random() < 0.7:
            row["output"] = BAD
    return pa.Table.from_pylist(rows, schema=TURNS)


def test_an_incident_is_resolved_and_reopened_and_stays_one() -> None:
    turns = failing(11, 34, [(12, 15), (24, 28)])
    at = turns.column("time").cast(pa.int64()).to_numpy()
    judge = Judge(Settings(learn=timedelta(days=5)))
    seen = []
    for day in range(34):
        low, high = np.searchsorted(at, [at[0] + day * DAY_US, at[0] + (day + 1) * DAY_US])
        judge.push(turns.slice(low, high - low), int(at[high - 1]))
        seen.append([incident.status for incident in judge.incidents])
    assert [len(each) for each in seen[-1:]] == [1]
    assert seen[14] == ["open"]
    assert ["reopened"] in seen[24:29]


def test_what_is_over_is_resolved_though_nothing_rings(monkeypatch: pytest.MonkeyPatch) -> None:
    """An incident that is over but was not looked at: the next morning says so."""
    turns = failing(11, 30, [(12, 20)])
    at = turns.column("time").cast(pa.int64()).to_numpy()
    stop = int(np.searchsorted(at, at[0] + 28 * DAY_US))
    judge = judged(turns.slice(0, stop), [])
    (incident,) = judge.incidents
    judge.incidents = (replace(incident, status="open", resolved_us=None),)
    monkeypatch.setattr("unquiet.pipeline.judging.handle", lambda incidents, *_: incidents)
    judge.push(turns.slice(stop, 40), int(at[stop + 39]))
    assert [each.status for each in judge.incidents] == ["resolved"]


def test_what_comes_again_late_is_reopened() -> None:
    (incident,) = judged(failing(11, 58, [(12, 20), (53, 58)]), []).incidents
    assert incident.status == "reopened"


def test_a_lasting_change_is_raised_once() -> None:
    assert len(judged(failing(12, 60, [(12, 60)]), [4000, 9000]).incidents) == 1


def test_a_user_id_that_all_share_does_not_blind() -> None:
    rows = [row | {"user_id": "anonymous"} for row in failing(13, 16, [(9, 16)]).to_pylist()]
    judge = judged(pa.Table.from_pylist(rows, schema=TURNS), [])
    assert [incident.slice.as_dict() for incident in judge.incidents] == [{"intent": "refund"}]


def test_a_session_that_never_ends_is_cut_alike_in_any_batches() -> None:
    rows = traffic(14, 6, None, per_day=90).to_pylist()
    turns = pa.Table.from_pylist([row | {"session_id": "one"} for row in rows], schema=TURNS)
    at = turns.column("time").cast(pa.int64()).to_numpy()

    def visits(cuts: list[int]) -> list[int]:
        assembler, found = Assembler(idle=timedelta(hours=12)), []
        for low, high in zip([0, *cuts], [*cuts, len(at)], strict=True):
            closed = assembler.push(turns.slice(low, high - low), int(at[high - 1]))
            found.extend(np.diff(closed.starts).tolist())
        return found

    assert visits([]) == visits([100, 200, 350, 500])
    assert len(visits([])) >= 4


def test_few_moments_tell_when_the_next_turn_came() -> None:
    """The first turn at or after the end of any tick is the same, told from the first turns of the ticks alone."""
    rng = np.random.default_rng(9)
    at = np.sort(rng.integers(0, 50 * TICK_US, 300))
    at[100] = 20 * TICK_US
    at = np.sort(at)
    first = firsts_of_ticks(rng.permutation(at))
    assert len(first) <= 50
    np.testing.assert_array_equal(firsts_of_ticks(np.concatenate([firsts_of_ticks(at[:150]), at[150:]])), first)
    for tick in range(0, int(first[-1]), TICK_US):
        assert first[np.searchsorted(first, tick)] == at[np.searchsorted(at, tick)]
