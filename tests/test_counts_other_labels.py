"""Labels that turn up only after the learning period ring, as one event, and are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bare_worlds import bare, scanned
from unquiet.app.phrasing import event_phrase
from unquiet.counts import OTHER, Event, event_matrix, plan_events
from unquiet.pipeline.measuring import signal_infos

INFOS = {info.name: info for info in signal_infos()}
REASON = INFOS["finish_reason"]


def visits(labels: list[list[str] | None]) -> pa.Table:
    return pa.table({"c:finish_reason": pa.array(labels, pa.list_(pa.string()))})


def other_of(learned: list[list[str] | None], later: list[list[str] | None]) -> tuple[list[int], list[int]]:
    """Answers to the event of all other labels, of the baseline and of what comes after it."""
    events = plan_events([REASON], visits(learned))
    place = next(i for i, event in enumerate(events) if event.test == "other")
    base = event_matrix(events, visits(learned), ["all"] * len(learned), baseline=True)
    after = event_matrix(events, visits(later), ["all"] * len(later))
    return base[:, place].tolist(), after[:, place].tolist()


def test_a_label_without_an_event_of_its_own_is_one_of_the_others() -> None:
    learned: list[list[str] | None] = [["stop"]] * 20 + [["length"]] * 9 + [["error"]] * 2 + [None]
    base, after = other_of(learned, [["stop"], ["pause"], ["stop", "error"], None, []])
    assert base == [0] * 29 + [1] * 2 + [-1]
    assert after == [0, 1, 1, -1, 0]


def test_there_is_no_such_event_where_nothing_was_recorded() -> None:
    assert plan_events([REASON], visits([None] * 30)) == ()
    names = [event.name for event in plan_events([REASON], visits([["stop"]] * 30))]
    assert names == ["finish_reason:stop", f"finish_reason:{OTHER}"]


def test_rare_labels_are_as_frequent_in_the_baseline_as_after_it() -> None:
    """Of 400 labels drawn alike, about 6 times each, those just short of an event of their own are few by chance.

    The share of the others after the baseline is that of labels met less than five times, whatever each has been met. Leave
    one out expects the same of the baseline. The difference of one world of 2400 sessions has a standard deviation of about
    0.025 in simulation, so the mean of 40 has 0.004, and 0.012 is three of them. Counting the baseline by the events as
    planned would miss by 0.136.
    """
    gaps: list[float] = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        drawn = [[f"l{label}"] for label in rng.integers(0, 400, 4800)]
        events = [Event(REASON.name, "other", label=OTHER)]
        seen, counts = np.unique([each[0] for each in drawn[:2400]], return_counts=True)
        events += [Event(REASON.name, "label", label=str(label)) for label in seen[counts >= 5]]
        base = event_matrix(events, visits(list(drawn[:2400])), ["all"] * 2400, baseline=True)[:, 0]
        after = event_matrix(events, visits(list(drawn[2400:])), ["all"] * 2400)[:, 0]
        gaps.append(float(after.mean() - base.mean()))
    assert abs(np.mean(gaps)) < 0.012


def paused(row: dict[str, Any], rng: np.random.Generator) -> None:
    if rng.random() < 0.3:
        row["finish_reason"] = "pause_turn"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return scanned(tmp_path_factory.mktemp("paused"), bare(3, since=9, change=paused))["incidents"]


def test_a_new_finish_reason_rings_and_is_named(found: list[dict[str, Any]]) -> None:
    """From day 10 on 30 % of answers end with a reason that was never seen: of all traffic, which is otherwise quiet."""
    (incident,) = found
    assert incident["event"] == f"finish_reason:{OTHER}"
    assert incident["slice"] == {}
    assert incident["title"].startswith("ends more answers with pause_turn")
    assert incident["before"]["rate"] == 0.0
    assert incident["after"]["rate"] == pytest.approx(0.3, abs=0.06)


def test_nothing_rings_without_it(tmp_path: Path) -> None:
    assert scanned(tmp_path, bare(3))["incidents"] == []


def test_a_label_that_cannot_be_named_is_said_to_be_unusual() -> None:
    said = {
        name: event_phrase(INFOS[name], Event(name, "other", label=OTHER), "up")
        for name in ("finish_reason", "tools", "tool_mix", "language")
    }
    assert said == {
        "finish_reason": "ends more answers with a reason seldom or never seen before",
        "tools": "uses a tool seldom or never seen before more",
        "tool_mix": "goes ways seldom or never seen before with its tools more often",
        "language": "answers in a language seldom or never seen before",
    }
