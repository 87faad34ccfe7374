"""The dashboards: their values and their rule against slow obvious twins, and what is said of a panel."""

from __future__ import annotations

import math
import statistics
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unquiet.gap.dashboards import (
    COLUMNS,
    DAY_US,
    HOUR_US,
    TURN_PANELS,
    Panel,
    bucketed,
    daily_panel,
    eval_panel,
    slow_limits,
    turn_panels,
    verdict,
)
from unquiet.model.evals import EVAL_RESULTS
from unquiet.model.turns import TURNS
from unquiet.stats.trailing import control_limits

START = datetime(2026, 3, 2, tzinfo=UTC)
START_US = round(START.timestamp() * 1e6)
VALUES = st.one_of(st.just(math.nan), st.floats(-1e6, 1e6), st.integers(0, 3).map(float))


def naive_limits(at: list[int], value: list[float], window: int, least: int) -> list[tuple[float, float]]:
    """One point at a time, as a person would compute it."""
    found = []
    for moment in at:
        earlier = [v for t, v in zip(at, value, strict=True) if moment - window <= t < moment and not math.isnan(v)]
        if len(earlier) < least:
            found.append((math.nan, math.nan))
            continue
        mean, spread = statistics.fmean(earlier), statistics.pstdev(earlier)
        found.append((mean - 3 * spread, mean + 3 * spread))
    return found


@given(st.lists(st.tuples(st.integers(0, 40), VALUES), max_size=60), st.integers(1, 12), st.integers(1, 6))
def test_limits_equal_their_slow_twin(points: list[tuple[int, float]], window: int, least: int) -> None:
    points.sort(key=lambda point: point[0])
    at, value = [t for t, _ in points], [v for _, v in points]
    low, high = control_limits(np.array(at, np.int64), np.array(value, float), window, least=least)
    expected = naive_limits(at, value, window, least)
    scale = max([1.0, *(abs(v) for v in value if not math.isnan(v))])
    np.testing.assert_allclose(low, [a for a, _ in expected], atol=1e-5 * scale)
    np.testing.assert_allclose(high, [b for _, b in expected], atol=1e-5 * scale)


def test_points_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="order of time"):
        control_limits(np.array([2, 1]), np.array([0.0, 0.0]), 5)


def turn(number: int, at: datetime, **changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"turn_id": f"t{number}", "session_id": f"s{number}", "time": at, "tool_calls": None}
    return row | changes


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=TURNS)


def traffic(seed: int, days: int, per_day: int = 60) -> list[dict[str, Any]]:
    """Traffic in which every column is sometimes missing."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(days * per_day):
        at = START + timedelta(seconds=float(rng.uniform(0, days * 86400)))
        calls = [{"name": "a", "error": "x" if rng.random() < 0.1 else None} for _ in range(rng.integers(0, 4))]
        rows.append(
            turn(
                number,
                at,
                error="broken" if rng.random() < 0.05 else None,
                latency_ms=None if rng.random() < 0.1 else float(rng.lognormal(7, 0.5)),
                input_tokens=None if rng.random() < 0.2 else int(rng.integers(1, 900)),
                output_tokens=None if rng.random() < 0.2 else int(rng.integers(1, 300)),
                tool_calls=None if rng.random() < 0.1 else calls,
            )
        )
    return rows


def naive_bucket(rows: list[dict[str, Any]]) -> dict[str, float]:
    latency = [row["latency_ms"] for row in rows if row["latency_ms"] is not None]
    both = [(row["input_tokens"], row["output_tokens"]) for row in rows]
    tokens = [(a or 0) + (b or 0) for a, b in both if a is not None or b is not None]
    calls = [call for row in rows for call in row["tool_calls"] or ()]
    return {
        "error_rate": sum(row["error"] is not None for row in rows) / len(rows),
        "p95_latency": float(np.percentile(latency, 95)) if latency else math.nan,
        "tokens_per_turn": statistics.fmean(tokens) if tokens else math.nan,
        "tool_error_rate": sum(call["error"] is not None for call in calls) / len(calls) if calls else math.nan,
        "volume": float(len(rows)),
    }


@pytest.mark.parametrize(("seed", "width"), [(1, DAY_US), (2, HOUR_US), (3, HOUR_US)])
def test_the_values_equal_their_slow_twin(seed: int, width: int) -> None:
    rows = traffic(seed, 3)
    found = bucketed(table(rows).select(COLUMNS), width).to_pylist()
    groups: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(round(row["time"].timestamp() * 1e6) // width * width, []).append(row)
    assert [bucket["at_us"] for bucket in found] == sorted(groups)
    for bucket in found:
        expected = naive_bucket(groups[bucket["at_us"]])
        for name, value in expected.items():
            assert bucket[name] == pytest.approx(value, nan_ok=True), name


def panels_of(rows: list[dict[str, Any]], width: int = DAY_US) -> dict[str, Panel]:
    return {panel.kind.name: panel for panel in turn_panels(bucketed(table(rows).select(COLUMNS), width), width)}


def test_days_are_the_same_read_one_by_one_or_at_once() -> None:
    rows = sorted(traffic(5, 4), key=lambda row: row["time"])
    days: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        days.setdefault(row["time"].toordinal(), []).append(row)
    apart = pa.concat_tables([bucketed(table(day).select(COLUMNS), DAY_US) for day in days.values()])
    assert apart.equals(bucketed(table(rows).select(COLUMNS), DAY_US))


def test_no_turns_no_points() -> None:
    panels = turn_panels(bucketed(TURNS.empty_table().select(COLUMNS), DAY_US), DAY_US)
    assert [panel.kind for panel in panels] == list(TURN_PANELS)
    assert verdict(panels[0], START_US, START_US + DAY_US).status == "unknown"


def test_the_volume_of_the_days_that_recording_began_and_ended_in_is_unknown_and_a_gap_is_no_traffic() -> None:
    rows = [turn(day, START + timedelta(days=day)) for day in (0, 1, 3, 4)]
    volume = panels_of(rows)["volume"].value
    np.testing.assert_array_equal(volume, [np.nan, 1.0, 0.0, 1.0, np.nan])


def test_columns_without_values_are_unknown_and_not_flat() -> None:
    rows = [turn(number, START + timedelta(hours=number)) for number in range(24 * 12)]
    panels = panels_of(rows)
    since, until = START_US + 9 * DAY_US, START_US + 12 * DAY_US
    for name in ("p95_latency", "tokens_per_turn", "tool_error_rate"):
        assert verdict(panels[name], since, until).status == "unknown"
    assert verdict(panels["error_rate"], since, until).status == "flat"


def test_a_jump_of_latency_fires_on_its_day_and_tells_what_is_slow() -> None:
    rng = np.random.default_rng(4)
    rows = [
        turn(n, START + timedelta(minutes=10 * n), latency_ms=float(rng.lognormal(7, 0.3)) * (9 if n >= 144 * 9 else 1))
        for n in range(144 * 11)
    ]
    panels = panels_of(rows)
    said = verdict(panels["p95_latency"], START_US + 9 * DAY_US + HOUR_US, START_US + 11 * DAY_US)
    assert (said.status, said.first_fired_us) == ("fired", START_US + 9 * DAY_US)
    assert said.judged_before == 4
    assert said.before is not None
    assert said.since is not None
    assert said.since > 5 * said.before
    assert START_US + 9 * DAY_US in slow_limits(list(panels.values()))
    assert START_US + 8 * DAY_US not in slow_limits(list(panels.values()))


def test_what_never_moves_never_fires() -> None:
    panel = daily_panel("x", [START_US + i * DAY_US for i in range(30)], [0.1] * 30, 1)
    assert verdict(panel, START_US + 10 * DAY_US, START_US + 30 * DAY_US).status == "flat"


def test_a_panel_fires_on_its_side_only() -> None:
    at = [START_US + i * DAY_US for i in range(10)]
    fallen = [0.5, 0.52, 0.48, 0.51, 0.49, 0.5, 0.52, 0.48, 0.5, 0.1]
    said = {harm: verdict(daily_panel("x", at, fallen, harm), at[9], at[9] + 1).status for harm in (1, 0, -1)}
    assert said == {1: "flat", 0: "fired", -1: "fired"}


def test_without_a_week_before_it_nothing_is_said() -> None:
    panel = daily_panel("x", [START_US + i * DAY_US for i in range(6)], [0.1, 0.1, None, 0.1, 0.1, 0.9], 1)
    said = verdict(panel, START_US + 5 * DAY_US, START_US + 6 * DAY_US)
    assert (said.status, said.judged) == ("unknown", 0)
    assert "too little" in said.why


def results(runs: list[tuple[int, str]]) -> pa.Table:
    """Runs a day apart: each a string of p (passed), f (failed), e (error) and n (not run)."""
    names = {"p": "passed", "f": "failed", "e": "error", "n": "not_run"}
    rows = [
        {
            "result_id": f"{day} {number}",
            "run": f"run {day}",
            "time": START + timedelta(days=day),
            "tool": "t",
            "case_name": str(number),
            "status": names[sign],
        }
        for day, signs in runs
        for number, sign in enumerate(signs)
    ]
    return pa.Table.from_pylist(rows, schema=EVAL_RESULTS)


def test_evals_pass_of_those_that_ran() -> None:
    panel = eval_panel(results([(0, "pppfn"), (1, "nnn"), (2, "pe")]))
    np.testing.assert_allclose(panel.value, [0.75, 0.5])


def test_of_few_runs_the_one_that_passes_less_than_all_before_fires() -> None:
    at = START_US + 2 * DAY_US
    green = eval_panel(results([(0, "pppf"), (1, "pppp"), (2, "pppf")]))
    red = eval_panel(results([(0, "pppf"), (1, "pppp"), (2, "ppff")]))
    first = eval_panel(results([(2, "pppp")]))
    assert [verdict(panel, at, at + 1).status for panel in (green, red, first)] == ["flat", "fired", "unknown"]
    assert eval_panel(results([])).value.size == 0
