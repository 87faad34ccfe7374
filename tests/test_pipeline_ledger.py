"""The ledger of first and last sights: what is a change in it, and what only turned up late."""

from __future__ import annotations

import numpy as np

from unquiet.model.changes import SEEN, Sighting
from unquiet.pipeline.ledger import Ledger
from unquiet.slices import FacetColumn

HOUR_US = 3_600_000_000


def ledger(facet: str, role: str, values: list[str]) -> Ledger:
    """One session an hour, each with a value of the facet."""
    known = sorted(set(values))
    codes = np.array([known.index(value) for value in values])
    made = Ledger()
    made.see({facet: FacetColumn(known, codes)}, {facet: role}, np.arange(len(values)) * HOUR_US)
    return made


def test_everything_that_runs_is_watched_whatever_its_role() -> None:
    values = ["a", "b"] * 20 + ["a", "b", "c"] * 10
    for facet in ("model", "served_model", "instructions.hash", "tools.hash", "service.version", "prompt_version"):
        for role in ("version", "constant", "slice"):
            (change,) = [each for each in ledger(facet, role, values).changes() if each.after == "c"]
            assert (change.kind, change.before, change.source) == (facet, "a", SEEN)
    for facet, role in (("tenant", "slice"), ("model_answer", "slice"), ("service.version", "id")):
        assert ledger(facet, role, values).changes() == []


def test_a_rare_value_that_turns_up_late_is_no_change() -> None:
    values = ["a"] * 40 + ["rare"] + ["a"] * 39 + ["rare"] + ["a"] * 20
    assert ledger("model", "slice", values).changes() == []
    assert ledger("model", "slice", ["a"] * 40 + ["b"]).changes() == []
    assert [each.after for each in ledger("model", "slice", ["a"] * 40 + ["b"] * 3).changes()] == ["b"]


def test_first_and_last_sight_are_kept_and_forgotten() -> None:
    made = ledger("model", "version", ["a", "a", "b", "a"])
    assert made.sightings() == [
        Sighting("model", "a", 0, 3 * HOUR_US, 3),
        Sighting("model", "b", 2 * HOUR_US, 2 * HOUR_US, 1),
    ]
    made.see({"model": FacetColumn(["b"], np.zeros(1, int))}, {"model": "version"}, np.array([9 * HOUR_US]))
    assert made.sightings()[1] == Sighting("model", "b", 2 * HOUR_US, 9 * HOUR_US, 2)
    made.forget("model", "b")
    assert [each.value for each in made.sightings()] == ["a"]
