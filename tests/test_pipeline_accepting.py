"""An incident that is accepted: it does not ring again; a further change does, and so does the way back."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from test_pipeline_judging import BAD, DAY_US, GOOD, START, traffic
from unquiet.model.settings import Settings
from unquiet.model.turns import TURNS
from unquiet.pipeline.judging import Judge
from unquiet.pipeline.saving import dump, load

SETTINGS = Settings(learn=timedelta(days=5))
ONSET, ACCEPTED, THEN, END = 6, 9, 13, 16


def refused(then: float) -> pa.Table:
    """Refund requests are refused as a rule, from day 6 on half of them, from day 13 on a share of `then`."""
    rng = np.random.default_rng(21)
    rows = traffic(21, END, None, per_day=120).to_pylist()
    for row in rows:
        day = (row["time"] - START) / timedelta(days=1)
        share = 0.03 if day < ONSET else 0.5 if day < THEN else then
        if dict(row["facets"])["intent"] == "refund":
            row["output"] = BAD if rng.random() < share else GOOD
    return pa.Table.from_pylist(rows, schema=TURNS)


def pushed(judge: Judge, turns: pa.Table, low: float, high: float) -> None:
    at = turns.column("time").cast(pa.int64()).to_numpy()
    first = round(START.timestamp() * 1e6)
    low_row, high_row = np.searchsorted(at, [first + round(low * DAY_US), first + round(high * DAY_US)])
    part = turns.slice(low_row, high_row - low_row)
    judge.push(part, int(at[high_row - 1]))


@pytest.fixture(scope="module")
def state() -> bytes:
    """A judgement in which an incident was accepted on day 9."""
    judge, turns = Judge(SETTINGS), refused(0.5)
    pushed(judge, turns, 0, ACCEPTED)
    (incident,) = judge.incidents
    assert incident.status == "open"
    assert judge.incidents_beside(incident.id) == {incident.id}
    assert judge.accept(incident.id)
    assert [each.status for each in judge.incidents] == ["accepted"]
    kept = dump(judge)
    assert kept is not None
    return kept


def after(state: bytes, then: float) -> Judge:
    judge = load(state, SETTINGS)
    assert judge is not None
    turns = refused(then)
    for day in range(ACCEPTED, END):
        pushed(judge, turns, day, day + 1)
    return judge


def test_what_was_accepted_does_not_ring_again(state: bytes) -> None:
    again = load(state, SETTINGS)
    assert again is not None
    assert dump(again) == state
    assert [each.status for each in after(state, 0.5).incidents] == ["accepted"]


@pytest.mark.parametrize(("then", "direction"), [(0.97, "up"), (0.03, "down")], ids=["further", "back"])
def test_a_further_change_and_the_way_back_ring(state: bytes, then: float, direction: str) -> None:
    known, *new = after(state, then).incidents
    assert known.status == "accepted"
    assert len(new) == 1
    change = round((START + timedelta(days=THEN)).timestamp() * 1e6)
    assert new[0].slice.as_dict() == {"intent": "refund"}
    assert new[0].onset.earliest_us <= change <= new[0].onset.latest_us
    assert new[0].raised_us < change + 2 * DAY_US
    assert new[0].status == "open"
    refuses_more = (new[0].direction == "up") != new[0].event.endswith(":none")
    assert refuses_more == (direction == "up")


def test_an_incident_that_is_not_known_is_not_accepted(state: bytes) -> None:
    judge = load(state, SETTINGS)
    assert judge is not None
    assert not judge.accept("20260101-000000")
    assert dump(judge) == state
    assert judge.incidents_beside("20260101-000000") == frozenset()
