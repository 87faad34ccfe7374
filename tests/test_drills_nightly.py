"""Regular drills: what was found and is not any more is told, by exit code, in JUnit XML and in the status."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from test_drills import traffic
from unquiet.app.nightly import keep_night, latest_of, latest_turns
from unquiet.cli.commands import unquiet
from unquiet.drills import PRESETS
from unquiet.drills.junit import to_junit
from unquiet.drills.nights import UNLIKELY, lost_drills, night_rows
from unquiet.drills.scorecard import Score
from unquiet.model.evals import FAILED, NOT_RUN, PASSED
from unquiet.model.nights import LEAST_SEEDS, NIGHT_SCORES, Lost
from unquiet.model.settings import Settings
from unquiet.sources.evals import read_evals
from unquiet.stats.predictive import chance_of_at_most
from unquiet.store import Store

NOW = datetime(2026, 4, 1, 3, 30, tzinfo=UTC)


def scored(preset: str, found: int, *, control: bool = False) -> Score:
    hours = (1.0, 2.0, 3.0) if found else None
    return Score(preset, control, 5, found, hours, 3.0, 3.0, 40.0, 1.5, 1.0, 1.0)


def history(*nights: tuple[int, int, list[Lost]]) -> pa.Table:
    """Nights of one drill: so many days ago, found so often, and what was lost."""
    rows = [night_rows([scored("D9", n)], {"D9": "t"}, lost, NOW - timedelta(days=ago)) for ago, n, lost in nights]
    return pa.concat_tables([NIGHT_SCORES.empty_table(), *rows])


LOST = Lost("D9", 0, 5, 5, 5, 0.001)


@pytest.mark.parametrize(
    ("nights", "found", "lost"),
    [
        ([(1, 5, [])], 0, True),
        ([(1, 5, [])], 1, False),
        ([(1, 5, []), (2, 5, [])], 1, True),
        ([(1, 3, [])], 0, False),
        ([(1, 0, [])], 0, False),
        ([], 0, False),
        ([(40, 5, [])], 0, False),
        ([(1, 0, [LOST]), (2, 5, [])], 0, True),
        ([(1, 0, []), (2, 5, [])], 0, False),
    ],
)
def test_lost_is_what_was_found_last_month(nights: list[tuple[int, int, list[Lost]]], found: int, lost: bool) -> None:
    got = lost_drills([scored("D9", found)], {"D9": "t"}, history(*nights), NOW)
    assert bool(got) == lost


def test_other_terms_and_controls_are_not_compared() -> None:
    assert not lost_drills([scored("D9", 0)], {"D9": "other dose"}, history((1, 5, [])), NOW)
    assert not lost_drills([scored("D9", 0, control=True)], {"D9": "t"}, history((1, 5, [])), NOW)


def test_the_chance_is_that_of_the_posterior() -> None:
    # By hand: the integral of (1 - p)^5 over the density 6 p^5.
    assert chance_of_at_most(0, 5, 5, 5) == pytest.approx(6 / 2772)
    assert chance_of_at_most(2, 2, 1, 3) == pytest.approx(1.0)
    assert chance_of_at_most(0, 1, 0, 0) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="3 of 2"):
        chance_of_at_most(3, 2, 0, 0)


def test_junit_is_read_back_by_our_own_reader(tmp_path: Path) -> None:
    scores = [scored("D9", 0), scored("D14", 0), scored("D6", 5), scored("D22", 2, control=True)]
    titles = {each.preset: f"what <happens> in {each.preset}" for each in scores}
    path = tmp_path / "drills.xml"
    path.write_text(to_junit(scores, titles, [LOST]))
    rows = pa.concat_tables(list(next(iter(read_evals([str(path)]))).tables)).to_pylist()
    assert {row["case_name"].split(":")[0].split(".")[-1]: row["status"] for row in rows} == {
        "D9": FAILED,
        "D14": NOT_RUN,
        "D6": PASSED,
        "D22": FAILED,
    }


def test_a_night_looks_at_the_latest_traffic(tmp_path: Path) -> None:
    turns = traffic(3000, 100)
    settings = Settings(learn=timedelta(days=5))
    late = latest_of(turns, settings)
    first = late.column("time")[0].as_py()
    assert first == datetime(2026, 3, 31, tzinfo=UTC) - timedelta(days=12)
    with Store.open(tmp_path / "db") as store:
        store.append_turns(turns)
        assert latest_turns(store, settings).sort_by("turn_id").equals(late.sort_by("turn_id"))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(unquiet, arguments)


def test_a_drill_that_is_lost_ends_with_a_code_of_its_own(run: Callable[..., Result], tmp_path: Path) -> None:
    pq.write_table(traffic(84, 7), tmp_path / "little.parquet")
    command = ("drill", "--nightly", "--db", "db", "--traffic", "little.parquet", "--learn-days", "5")
    quiet = run(*command, "--seeds", "3", "--preset", "nothing", "--junit", "first.xml")
    assert (quiet.exit_code, "nothing that was found" in quiet.stderr) == (0, True), quiet.output
    assert 'failures="0"' in (tmp_path / "first.xml").read_text()
    handoff = [each for each in PRESETS if each.name == "D17"]
    with Store.open(tmp_path / "db") as store:
        yesterday = datetime.now(UTC) - timedelta(days=1)
        keep_night(store, [scored("D17", 5)], handoff, Settings(learn=timedelta(days=5)), yesterday)
    lost = run(*command, "--preset", "D17", "--junit", "second.xml")
    assert lost.exit_code == 4, lost.output
    assert "LOST D17: found in 0 of 5 rehearsals, and in 5 of 5 of the last month" in lost.stderr
    assert 'failures="1"' in (tmp_path / "second.xml").read_text()
    status = run("status", "--db", "db").stdout
    assert "0 of 1 failure found every time" in " ".join(status.split())
    assert "lost: D17" in " ".join(status.split())
    with Store.open(tmp_path / "db") as store:
        assert not store.incidents()


def test_too_few_rehearsals_to_show_a_loss_are_refused(run: Callable[..., Result]) -> None:
    assert chance_of_at_most(0, LEAST_SEEDS, 10, 10) < UNLIKELY
    result = run("drill", "--nightly", "--seeds", "2")
    assert "expected 3 or more" in str(result.exception)
