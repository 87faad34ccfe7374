"""What the map says of a failure that was missed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from unquiet.cli.drill_report import said_of
from unquiet.drills import PRESETS
from unquiet.drills.deaths import DEATH_PRESETS
from unquiet.drills.map import explains
from unquiet.model.detectability import DetectabilityMap, Point
from unquiet.model.drills import Dose, Preset, Rehearsed
from unquiet.model.slices import Slice

ACME = Slice((("tenant", "acme"),))
MAP = DetectabilityMap(
    (
        Point(Slice(), "refusal", "up", 1000.0, 0.02, {1: 0.04, 7: 0.01, 28: 0.005}),
        Point(ACME, "refusal", "up", 50.0, 0.02, {1: None, 7: 0.2, 28: 0.1}),
        Point(ACME, "loop", "up", why="it was never read there"),
    ),
    ((Slice(), 1000.0), (ACME, 50.0)),
    budget=1.0,
    delta=0.07,
)


@pytest.mark.parametrize(
    ("where", "signals", "share", "days", "said"),
    [
        (Slice(), ["refusal"], 0.003, 7, "met 0.3 % of all sessions; within 7 days the smallest that refusal hears"),
        (Slice(), ["refusal"], 0.03, 7, "it should have been heard"),
        (ACME, ["refusal"], 0.5, 1, "not even a failure in all of its sessions"),
        (ACME, ["loop"], 0.5, 7, "unknown: loop: it was never read there"),
        (ACME, [], 0.5, 7, "no signal is known to show it"),
        (ACME, ["output_length"], 0.5, 7, "no yes-or-no signal output_length"),
    ],
)
def test_a_miss_is_explained_or_said_to_be_one(
    where: Slice, signals: list[str], share: float, days: float, said: str
) -> None:
    assert said in explains(MAP, where, signals, share, days)
    assert ("should have been heard" in explains(MAP, where, signals, share, days)) == ("should" in said)


DAY_US = 86_400_000_000
LOUD = Preset("loud", "refusals", "refusal", Dose(0.5))


def missed(preset: str, where: Slice, affected: int) -> Rehearsed:
    return Rehearsed(preset, 0, 0, 7 * DAY_US, where, affected, affected, 5, 7000)


def test_every_slice_in_which_a_drill_was_missed_is_explained_by_what_it_met() -> None:
    found = [missed("loud", Slice(), 35), missed("loud", ACME, 35), missed("loud", Slice(), 7), missed("D1", ACME, 9)]
    heard = replace(missed("loud", Slice(), 3500), raised_us=DAY_US)
    assert said_of(MAP, LOUD, [*found, heard]) == [
        "met 0.3 % of all sessions; within 7 days the smallest that refusal hears 9 times in 10 is 1 %",
        "met 10 % of the sessions of tenant=acme; within 7 days the smallest that refusal hears 9 times in 10 is 20 %",
    ]
    assert said_of(MAP, LOUD, [heard, missed("loud", Slice(), 0)]) == []


def test_a_slice_that_the_map_does_not_have_is_unknown_and_controls_are_not_explained() -> None:
    other = Slice((("tenant", "other"),))
    (said,) = said_of(MAP, LOUD, [missed("loud", other, 9)])
    assert said.startswith("met 50 % of the sessions of tenant=other; whether it can be heard is unknown")
    quiet = next(each for each in PRESETS if each.failure == "nothing")
    for preset in (quiet, DEATH_PRESETS[0]):
        assert said_of(MAP, preset, [missed(preset.name, Slice(), 9)]) == []
