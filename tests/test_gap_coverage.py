"""The coverage map: the kinds that no eval touches come first, and so do the cases that are proposed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from green_worlds import make_folder, suite, table_of
from unquiet.app.coverage import coverage_map
from unquiet.cli import unquiet
from unquiet.gap.coverage import UNTOLD, cover, most_adding
from unquiet.model.errors import UnquietError
from unquiet.model.evals import EVAL_RESULTS, PASSED
from unquiet.model.turns import TURNS
from unquiet.store import Store
from unquiet.store.tables import SESSIONS

START = datetime(2026, 3, 2, tzinfo=UTC)
LEFT_OUT = 10


def unit(rows: Any) -> Any:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def clusters(count: int, each: int, seed: int) -> tuple[Any, Any, Any]:
    """Made-up kinds: requests around `count` centres, their kinds, and the generator to draw more with."""
    rng = np.random.default_rng(seed)
    centres = unit(rng.normal(size=(count, 64)))
    kind = np.repeat(np.arange(count), each)
    return unit(centres[kind] + 0.12 * rng.normal(size=(len(kind), 64))), kind, centres


@pytest.mark.parametrize("seed", range(5))
def test_left_out_kinds_come_first_in_made_up_traffic(seed: int) -> None:
    requests, kind, centres = clusters(40, 60, seed)
    rng = np.random.default_rng(seed + 100)
    gone = set(rng.choice(40, LEFT_OUT, replace=False).tolist())
    kept = np.repeat([k for k in range(40) if k not in gone], 5)
    cases = unit(centres[kept] + 0.12 * rng.normal(size=(len(kept), 64)))
    found = cover(requests, kind, 40, cases, np.full(len(cases), UNTOLD))
    assert set(found.order[:LEFT_OUT].tolist()) == gone
    assert found.case_kind.tolist() == kept.tolist()
    assert found.untouched_share[sorted(gone)].min() > 0.9 > 0.3 > np.delete(found.untouched_share, sorted(gone)).max()
    rows, shares = most_adding(requests, kind, found, 10, rng)
    assert {int(kind[row]) for row in rows} == gone
    assert shares.min() > 0


def test_a_case_that_tells_another_kind_touches_nothing_of_this_one() -> None:
    requests, kind, centres = clusters(2, 30, 0)
    found = cover(requests, kind, 2, centres[:1], np.array([1]))
    assert found.untouched_share.tolist() == [1.0, 1.0]
    assert found.cases.tolist() == [0, 1]


def test_without_cases_nothing_is_touched_and_the_largest_kinds_are_proposed() -> None:
    requests, kind, _ = clusters(12, 30, 1)
    none = np.zeros((0, 64), np.float32)
    found = cover(requests, kind, 12, none, np.zeros(0, np.int64))
    assert not found.touched.any()
    rows, _ = most_adding(requests, kind, found, 10, np.random.default_rng(0))
    assert len({int(kind[row]) for row in rows}) == 10


def fill(folder: Path, texts: Sequence[str], named: Sequence[str] | None) -> Store:
    """A folder of sessions with one request each; `named`: a facet says the intent."""
    store = Store.open(folder)
    at = [START + timedelta(minutes=i) for i in range(len(texts))]
    facets = [[("intent", name)] for name in named] if named else [[] for _ in texts]
    rows: list[dict[str, Any]] = [
        {
            "turn_id": f"t{i}",
            "session_id": f"s{i}",
            "visit_id": f"s{i}",
            "time": at[i],
            "started": at[i],
            "closed": at[i],
        }
        | {"input": text, "output": "Thank you.", "turn_count": 1, "facets": facets[i]}
        for i, text in enumerate(texts)
    ]
    store.append_turns(table_of(rows, TURNS))
    store.append_sessions(table_of(rows, SESSIONS))
    return store


def evals_of(texts: Sequence[str]) -> pa.Table:
    at = START + timedelta(days=1)
    rows = [
        {
            "result_id": str(i),
            "run": "r",
            "time": at,
            "tool": "junit",
            "case_name": f"c{i}",
            "status": PASSED,
            "input": text,
        }
        for i, text in enumerate(texts)
    ]
    return table_of(rows, EVAL_RESULTS)


@pytest.mark.parametrize(("seed", "each"), [(0, 40), (1, 40), (2, 10)])
def test_ten_of_77_intents_of_a_bank_are_found_that_the_suite_leaves_out(
    shared: Path, tmp_path: Path, seed: int, each: int
) -> None:
    """With the intents told by the traffic, not by the cases; traffic and suite have no request in common."""
    every = pq.read_table(shared / "data" / "banking77" / "utterances.parquet").to_pandas()
    rng = np.random.default_rng(seed)
    gone = set(rng.choice(np.unique(every.intent), LEFT_OUT, replace=False))
    rest = every[(every.split == "test") & ~every.intent.isin(gone)]
    chosen = rest.groupby("intent").head(each)
    traffic = every[every.split == "train"].sample(5_000, random_state=seed)
    with fill(tmp_path / "db", traffic.text.tolist(), traffic.intent.tolist()) as store:
        found = coverage_map(store, [evals_of(chosen.text.tolist())])
    assert {kind["kind"] for kind in found["kinds"][:LEFT_OUT]} == gone
    assert {each["kind"] for each in found["add"]} == gone
    assert 0.05 < found["untouched_share"] < 0.3


def test_without_intents_in_the_traffic_the_ten_proposals_are_of_the_left_out_ones(
    shared: Path, tmp_path: Path
) -> None:
    every = pq.read_table(shared / "data" / "banking77" / "utterances.parquet").to_pandas()
    gone = set(np.random.default_rng(0).choice(np.unique(every.intent), LEFT_OUT, replace=False))
    suite_rows = every[(every.split == "test") & ~every.intent.isin(gone)]
    traffic = every[every.split == "train"].sample(5_000, random_state=0)
    with fill(tmp_path / "db", traffic.text.tolist(), None) as store:
        found = coverage_map(store, [evals_of(suite_rows.text.tolist())])
    intents = traffic.intent.tolist()
    proposed = [intents[int(each["session_id"][1:])] for each in found["add"]]
    assert sum(intent in gone for intent in proposed) >= 9
    assert len(set(proposed)) >= 7
    assert found["kinds_from"] == "clusters of the requests"


def test_the_map_of_a_folder_and_its_command(tmp_path: Path) -> None:
    store, _ = make_folder(tmp_path / "db")
    store.evals.append(suite(("delivery", "login", "praise"), days=(-1,), each=20, facets=[("locale", "en-GB")]))
    store.close()
    run = CliRunner().invoke(unquiet, ["coverage", "--json", "--db", str(tmp_path / "db")])
    assert run.exit_code == 0, run.output
    found = json.loads(run.output)
    assert found["schema"] == "unquiet.coverage/1"
    assert sum(kind["requests"] for kind in found["kinds"]) == found["requests"] == 2_400
    assert {value for kind in found["kinds"] for value in kind["facets"]["locale"]} == {"en-GB", "de-DE", "fr-FR"}
    locales = [kind["facets"]["locale"] for kind in found["kinds"] if kind["cases"]]
    assert all(
        each["de-DE"]["cases"] == 0 < each["en-GB"]["cases"] for each in locales if "de-DE" in each and "en-GB" in each
    )
    asked = [each["request"] for each in found["add"]]
    assert any(word in asked[0] for word in ("refund", "money back", "reimburse"))
    shown = CliRunner().invoke(unquiet, ["coverage", "--db", str(tmp_path / "db")])
    assert "the cases that would add most:" in shown.output


def test_a_folder_that_is_in_use_is_read_as_of_now(tmp_path: Path) -> None:
    store, _ = make_folder(tmp_path)
    with store:
        run = CliRunner().invoke(unquiet, ["coverage", "--json", "--db", str(tmp_path)])
        assert run.exit_code == 0, run.output
        assert json.loads(run.stdout)["requests"] == 2_400
        assert f"{tmp_path} is in use: read as of " in run.stderr


def test_without_evals_nothing_is_touched(tmp_path: Path) -> None:
    store, _ = make_folder(tmp_path / "db")
    with store:
        found = coverage_map(store)
    assert found["untouched_share"] == 1.0
    assert "no eval results are known" in found["note"]


def test_without_requests_nothing_can_be_said(tmp_path: Path) -> None:
    with fill(tmp_path / "db", ["", " "], None) as store, pytest.raises(UnquietError, match="no request was captured"):
        coverage_map(store)
