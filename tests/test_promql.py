"""PromQL as Prometheus evaluates it: every expression is held against what Prometheus itself answered."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from promql_worlds import CHECKED_MINUTES, END_US, EXPRESSIONS, MOMENTS_S, RULE_FILES, START_US, series, turns
from unquiet.conventions.metrics import LABELS, METRICS
from unquiet.model.turns import TURNS
from unquiet.promql import Exposition, Rule, microseconds, read_rules
from unquiet.promql.aggregating import AGGREGATIONS
from unquiet.promql.evaluating import SPECIAL, Evaluation, parsed
from unquiet.promql.instants import CALENDAR, ELEMENTWISE
from unquiet.promql.ranges import RANGE_FUNCTIONS
from unquiet.promql.values import Vector, labelled

TOLD = json.loads((Path(__file__).parent / "promql_reference.json").read_text())
REFERENCE = TOLD["results"]
SERIES = series()


def evaluated(text: str) -> dict[tuple, dict[float, float]]:
    value = Evaluation(SERIES, MOMENTS_S).of(parsed(text))
    assert isinstance(value, Vector)
    return {
        labels: dict(zip(MOMENTS_S[has].tolist(), row[has].tolist(), strict=True))
        for labels, row, has in zip(value.labels, value.values, value.present, strict=True)
        if has.any()
    }


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_prometheus_says_the_same(text: str) -> None:
    told = {labelled(e["labels"]): {float(at): float(v) for at, v in e["values"]} for e in REFERENCE[text]}
    mine = evaluated(text)
    assert set(mine) == set(told)
    for labels, points in told.items():
        assert list(mine[labels]) == list(points)
        np.testing.assert_allclose(list(mine[labels].values()), list(points.values()), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "path", [each for each in RULE_FILES if each.name in TOLD["fired"]], ids=lambda each: each.stem
)
def test_alerts_fire_when_prometheus_says(path: Path) -> None:
    told = TOLD["fired"][path.name]
    fired = Exposition(read_rules(path), turns()).firing(turns(), START_US, START_US, END_US)
    minutes = {name: (microseconds(each) - START_US) // 60_000_000 for name, each in fired.items()}
    assert {name: sorted(set(each.tolist()) & set(CHECKED_MINUTES)) for name, each in minutes.items()} == told
    assert any(told.values())


@pytest.mark.parametrize("bound", ["1048576", "1.048576e+06", "67108864", "0.12345678"])
def test_a_bucket_is_selected_by_a_bound_of_many_digits(bound: str) -> None:
    expr = f'increase(gen_ai_client_token_usage_bucket{{le="{bound}"}}[1h]) > 0'
    fired = Exposition([Rule("Tokens", expr)], _with_empty_answers()).firing(
        _with_empty_answers(), START_US, START_US, END_US
    )
    assert len(fired["Tokens"]) > 0


def _with_empty_answers() -> pa.Table:
    none = pa.array([0] * turns().num_rows, TURNS.field("output_tokens").type)
    return turns().set_column(TURNS.get_field_index("output_tokens"), "output_tokens", none)


def test_the_reference_tells_every_metric_label_and_function() -> None:
    text = (Path(__file__).parent.parent / "docs" / "reference" / "promql.md").read_text()
    names = [name for metric in METRICS for name in metric.names] + [
        name for names in LABELS.values() for name in names
    ]
    functions = [*RANGE_FUNCTIONS, *ELEMENTWISE, *CALENDAR, *SPECIAL, *AGGREGATIONS]
    assert [name for name in (*names, *functions) if f"`{name}`" not in text] == []
