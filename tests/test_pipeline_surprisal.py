"""The order of tools against that of the learning period: measured later, kept with the judgement, and heard when it turns."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from test_pipeline_judging import DAY_US, START
from unquiet.cli import unquiet
from unquiet.model.settings import Settings
from unquiet.model.turns import TURNS
from unquiet.pipeline.judging import Judge
from unquiet.pipeline.measuring import measure_visits
from unquiet.pipeline.saving import dump, load
from unquiet.signals.surprisal import tool_surprisal

SETTINGS = Settings(learn=timedelta(days=5))
TOOLS = ("find", "read", "price", "cancel", "send")


def traffic(seed: int, days: int, turned_from: float) -> pa.Table:
    """Five tools, called in their order with some left out; from day `turned_from` on half of the sessions go backwards."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for i, at in enumerate(np.sort(rng.random(days * 120)) * days):
        path = [tool for tool in TOOLS if rng.random() < 0.8]
        path = path[::-1] if at >= turned_from and rng.random() < 0.5 else path
        rows.append(
            {
                "turn_id": f"s{i}#0",
                "session_id": f"s{i}",
                "turn_index": 0,
                "time": START + timedelta(days=float(at)),
                "user_id": f"u{rng.integers(400)}",
                "input": f"a question about order number {i}",
                "output": "Your order is on its way and will arrive within three days.",
                "tool_calls": [{"name": tool, "arguments": f'{{"id": {i}}}', "result": "ok"} for tool in path],
                "facets": [],
            }
        )
    return pa.Table.from_pylist(rows, schema=TURNS)


def judged(turns: pa.Table, cuts: list[int], judge: Judge | None = None) -> tuple[Judge, pa.Table]:
    """The judgement, and all visits that it gave back."""
    judge = judge or Judge(SETTINGS)
    at = turns.column("time").cast(pa.int64()).to_numpy()
    parts: list[pa.Table] = []
    for low, high in zip([0, *cuts], [*cuts, len(at)], strict=True):
        visits = judge.push(turns.slice(low, high - low), int(at[high - 1])).visits
        parts += [visits] if visits.num_rows else []
    return judge, pa.concat_tables(parts)


@pytest.fixture(scope="module")
def turns() -> pa.Table:
    return traffic(6, 12, 9.0)


@pytest.fixture(scope="module")
def whole(turns: pa.Table) -> tuple[Judge, pa.Table]:
    return judged(turns, [])


def test_what_turned_its_order_surprises(whole: tuple[Judge, pa.Table]) -> None:
    """It is unknown while there is no history; then usual sessions have about as much as in the learning period."""
    judge, visits = whole
    assert judge.plan is not None
    tests = {(event.test, event.level) for event in judge.plan.events if event.signal == "tool_surprisal"}
    assert tests == {("below", 0.1), ("above", 0.5), ("above", 0.9), ("above", 0.99)}
    day = (visits.column("closed").cast(pa.int64()).to_numpy() - START.timestamp() * 1e6) / DAY_US
    bits = visits.column("s:tool_surprisal").to_numpy()
    assert np.isnan(bits[day < 5]).all()
    assert np.nanmedian(bits[day > 9.2]) > np.nanmedian(bits[(day > 5.2) & (day < 9)]) + 0.3
    places = [i for i, event in enumerate(judge.plan.events) if event.name == "tool_surprisal>q0.9"]
    recorded = judge.history.upto(2**62)
    rate = {
        name: float((recorded.y[rows, places[0]] == 1).mean())
        for name, rows in {
            "learned": recorded.tick_us < (START.timestamp() + 5 * 86400) * 1e6,
            "quiet": (recorded.tick_us > (START.timestamp() + 5.2 * 86400) * 1e6)
            & (recorded.tick_us < (START.timestamp() + 9 * 86400) * 1e6),
        }.items()
    }
    assert rate["quiet"] == pytest.approx(rate["learned"], abs=0.05)
    (incident,) = judge.incidents
    assert "tool_surprisal>q0.9" in {sibling.event for sibling in incident.siblings}


def test_how_the_turns_are_cut_changes_no_reading(turns: pa.Table, whole: tuple[Judge, pa.Table]) -> None:
    _, visits = judged(turns, list(range(41, turns.num_rows, 173)))
    assert visits.column("s:tool_surprisal").equals(whole[1].column("s:tool_surprisal"))


def test_the_reference_is_kept_with_the_judgement(turns: pa.Table, whole: tuple[Judge, pa.Table]) -> None:
    half, first = judged(turns.slice(0, 900), [])
    state = dump(half)
    assert state is not None
    again = load(state, SETTINGS)
    assert again is not None
    assert again.plan is not None
    assert half.plan is not None
    assert again.plan.tool_paths == half.plan.tool_paths
    _, second = judged(turns.slice(900), [], again)
    both = pa.concat_tables([first, second]).column("s:tool_surprisal")
    assert both.to_pylist() == whole[1].column("s:tool_surprisal").to_pylist()


def test_measure_has_no_history_and_says_nothing_rather_than_0(turns: pa.Table) -> None:
    assert measure_visits(turns.slice(0, 50)).column("s:tool_surprisal").null_count == 50


def test_unrecorded_calls_do_not_shift_the_others(whole: tuple[Judge, pa.Table]) -> None:
    judge = whole[0]
    assert judge.plan is not None
    taken = pa.array([["START\x00find", "find\x00END"], None, ["START\x00send", "send\x00END"]], pa.list_(pa.string()))
    bits = tool_surprisal(taken.slice(1), judge.plan.tool_paths, first=1)
    np.testing.assert_array_equal(bits, tool_surprisal(taken, judge.plan.tool_paths)[1:])


def test_the_command_says_what_needs_history(tmp_path: Path) -> None:
    path = tmp_path / "turns.jsonl"
    path.write_text(
        '{"time": "2026-03-02T00:00:00Z", "session_id": "s", "input": "a", "output": "b", "tool_calls": []}\n'
    )
    result = CliRunner().invoke(unquiet, ["measure", str(path), "--out", str(tmp_path / "out.parquet"), "--sessions"])
    assert result.exit_code == 0
    assert "tool_surprisal: needs history, so it has no value here" in result.stderr
    assert pq.read_table(tmp_path / "out.parquet").column("s:tool_surprisal").to_pylist() == [None]
