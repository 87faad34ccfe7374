"""Sessions that come back after the idle time."""

from __future__ import annotations

from signal_samples import turns
from unquiet.pipeline.measuring import measure_visits

HOUR_US = 3_600_000_000


def test_a_session_that_rested_goes_on_as_resumed() -> None:
    times = [(0, 0), (1, 1), (2, HOUR_US), (3, HOUR_US + 1)]
    rows = [{"session_id": "a", "turn_index": place, "time": at} for place, at in times]
    visits = measure_visits(turns([*rows, {"session_id": "b", "time": 5}]))
    found = {row["visit_id"]: dict(row["facets"]).get("resumed") for row in visits.to_pylist()}
    assert found == {"a@0": "no", "a@3600": "yes", "b@0": None}


def test_the_wording_of_every_turn_is_in_the_visit() -> None:
    answers = ["I'm sorry, I can't help with that.", "It ships on Monday."]
    rows = [
        {"session_id": "a", "turn_index": place, "time": place, "output": said} for place, said in enumerate(answers)
    ]
    (visit,) = measure_visits(turns(rows)).to_pylist()
    assert "safety_refusal" in visit["c:wording_by_turn"][0].split()
    assert visit["c:wording_by_turn"][1] == ""
    assert "safety_refusal" in visit["c:wording"]
