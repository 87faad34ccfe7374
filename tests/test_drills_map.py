"""What the map says of a failure that was missed."""

from __future__ import annotations

import pytest

from unquiet.drills.map import explains
from unquiet.model.detectability import DetectabilityMap, Point
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
