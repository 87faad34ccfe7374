"""The monitor dies in a drill: it is told by its own watch, by the right condition, and nothing of it stays."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner

from test_drills import traffic
from unquiet.app.watchers import WATCHERS
from unquiet.cli.commands import unquiet
from unquiet.cli.drill_stack import stack_column, stack_document
from unquiet.drills import FAILURES, PRESETS
from unquiet.drills.deaths import DEATH_PRESETS, DEATHS, death_of
from unquiet.drills.scorecard import score
from unquiet.model.drills import Noticed, Rehearsed
from unquiet.selfwatch import WATCHES, drill_lost, sink_failing
from unquiet.service.dying import HORIZON_US, rehearse_deaths

SECOND_US = 1_000_000


@pytest.fixture(scope="module")
def turns() -> pa.Table:
    return traffic(600, 200)


@pytest.fixture(scope="module")
def rehearsed(turns: pa.Table) -> list[Rehearsed]:
    return rehearse_deaths(DEATH_PRESETS, range(2), turns, 2)


def test_every_death_is_told_by_its_condition_within_minutes(rehearsed: list[Rehearsed]) -> None:
    assert len(rehearsed) == 2 * len(DEATH_PRESETS)
    for each in rehearsed:
        part = next(death_of(preset) for preset in DEATH_PRESETS if preset.name == each.preset)
        assert part is not None
        assert each.incident == {"condition": part.condition}
        assert each.raised_us is not None
        assert 10 * SECOND_US < each.raised_us - each.onset_us <= 180 * SECOND_US
        assert each.met <= each.affected
        assert each.affected > 0


def test_the_same_seed_gives_the_same(rehearsed: list[Rehearsed], turns: pa.Table) -> None:
    assert rehearse_deaths(DEATH_PRESETS, range(2), turns, 2) == rehearsed


def test_a_watch_that_is_gone_is_a_miss(turns: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    others = tuple(each for each in WATCHES if each is not sink_failing.WATCH)
    monkeypatch.setattr("unquiet.selfwatch.WATCHES", others)
    monkeypatch.setattr("unquiet.service.dying.HORIZON_US", HORIZON_US // 12)
    (missed,) = rehearse_deaths([each for each in DEATH_PRESETS if each.name == "D19-sink"], [0], turns, 1)
    assert missed.raised_us is None
    assert drill_lost.WATCH in others


def test_they_are_scored_like_others_and_say_nothing_of_slices(rehearsed: list[Rehearsed]) -> None:
    for each in score(rehearsed, {preset.name: False for preset in DEATH_PRESETS}):
        assert (each.found, each.rehearsals) == (2, 2)
        assert (each.slice_right, each.onset_right, each.ratio) == (None, None, None)


def test_nothing_of_it_stays(turns: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rehearse_deaths(DEATH_PRESETS[:1], [0], turns, 1)
    assert list(tmp_path.iterdir()) == []


def test_they_are_listed_and_named_apart_from_traffic() -> None:
    listed = CliRunner().invoke(unquiet, ["drill", "--list", "--preset", "D19"]).stdout
    assert all(each.name in listed for each in DEATH_PRESETS)
    assert {each.failure for each in DEATH_PRESETS} == {each.name for each in DEATHS}
    assert not {each.name for each in DEATHS} & {each.name for each in FAILURES}
    assert not {each.name for each in DEATH_PRESETS} & {each.name for each in PRESETS}
    assert {each.condition for each in DEATHS} <= {each.name for each in WATCHES}


def test_the_stack_is_not_asked_about_them(rehearsed: list[Rehearsed]) -> None:
    control = {preset.name: False for preset in DEATH_PRESETS}
    assert stack_document(rehearsed, control)["failures"] == ()
    assert stack_column(rehearsed, "D19-door") == "-"
    seen = replace(rehearsed[0], preset="D9", watchers={WATCHERS[0].name: Noticed()})
    assert stack_document([*rehearsed, seen], control | {"D9": False})["failures"] == ("D9",)
    assert stack_column([*rehearsed, seen], "D9") == "0/1"
