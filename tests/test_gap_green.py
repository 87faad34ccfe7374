"""Why the evals were green: each cause told apart from the others, several together, and what is not known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from green_worlds import ONSET, RAISED, check, make_folder, suite
from unquiet.app.green import why_green
from unquiet.cli import unquiet
from unquiet.gap.green.checks import run_check
from unquiet.gap.near import FEWEST, parting, topic_of
from unquiet.model.evals import ERROR, FAILED, NOT_RUN
from unquiet.store import Store

ALL = ("refund", "delivery", "login", "praise")
OTHERS = ("delivery", "login", "praise")
GERMAN = [("locale", "de-DE")]
NIGHTLY = (-3, -2, -1, 1, 2, 3)
REFUNDS = [check("contains", "refund is on its way")]
CHECKED = {"refund": {"checks": REFUNDS}}
Explain = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, tuple[Store, dict[str, Any]]]]:
    """The folder with the incident in one locale (False), and that with it everywhere (True)."""
    made = {where: make_folder(tmp_path_factory.mktemp("green") / "db", everywhere=where) for where in (False, True)}
    yield made
    for store, _ in made.values():
        store.close()


@pytest.fixture
def explain(worlds: dict[bool, tuple[Store, dict[str, Any]]]) -> Explain:
    def ask(*results: pa.Table, everywhere: bool = False, **changes: Any) -> dict[str, Any]:
        store, document = worlds[everywhere]
        return why_green(store, document | changes, results)

    return ask


def causes(found: dict[str, Any]) -> list[str]:
    return [each["cause"] for each in found["causes"]]


def said(found: dict[str, Any], cause: str) -> str:
    every = [*found["causes"], *found["unknown"], *found["ruled_out"]]
    return next(each["said"] for each in every if each["cause"] == cause)


def test_topic_absent_and_nothing_else(explain: Explain) -> None:
    found = explain(suite(OTHERS, days=NIGHTLY, facets=GERMAN, model="m-2026"))
    assert causes(found) == ["topic absent"]
    assert found["green"] is True
    evidence = found["causes"][0]["evidence"]
    assert evidence["share_without_near_case"] == 1.0
    assert {"session_id", "request", "case", "case_input", "distance"} == set(evidence["nearest"][0])


def test_a_single_case_on_the_topic_may_have_met_the_change_or_not(explain: Explain) -> None:
    """A change in half of the requests is missed by one case in half of the suites."""
    one = suite(("refund",), days=NIGHTLY, each=1, facets=GERMAN, model="m-2026", checks=REFUNDS)
    found = explain(suite(OTHERS, days=NIGHTLY), one, excess_sessions={"estimate": 1.0, "low": 0.0, "high": 2.0})
    assert causes(found) == ["topic absent"]


def test_slice_condition_absent_where_cases_have_another_locale(explain: Explain) -> None:
    found = explain(suite(ALL, days=NIGHTLY, facets=[("locale", "en-GB")], model="m-2026", checks=REFUNDS))
    assert causes(found) == ["slice condition absent"]
    assert "none has locale=de-DE" in said(found, "slice condition absent")


def test_slice_condition_absent_where_no_case_tells_a_locale(explain: Explain) -> None:
    found = explain(suite(ALL, days=NIGHTLY, model="m-2026", checks=REFUNDS))
    assert causes(found) == ["slice condition absent"]
    assert "no case tells its locale, so the suite cannot set it" in said(found, "slice condition absent")


def test_metric_insensitive_by_checks_that_bad_answers_pass(explain: Explain) -> None:
    blind = {"refund": {"checks": [check("regex", r"\w+"), check("not-contains", "stack trace")]}}
    found = explain(suite(ALL, days=NIGHTLY, facets=GERMAN, model="m-2026", varied=blind))
    assert causes(found) == ["metric insensitive"]
    assert found["causes"][0]["evidence"]["blind"] == found["causes"][0]["evidence"]["checks_tried"] > 0


def test_metric_insensitive_by_recorded_answers_that_show_the_change(explain: Explain) -> None:
    late = suite(
        ("refund",), days=(1, 2, 3), facets=GERMAN, model="m-2026", output="I'm sorry, but I cannot help with that."
    )
    found = explain(suite(ALL, days=(-2, -1), facets=GERMAN, model="m-2026"), late)
    assert causes(found) == ["metric insensitive"]
    evidence = found["causes"][0]["evidence"]
    assert evidence["that_show_the_change"] == evidence["recorded_answers"] > 0


def test_metric_insensitive_by_scores_that_do_not_move(explain: Explain) -> None:
    shared: dict[str, Any] = {"facets": GERMAN, "model": "m-2026", "score": 0.9}
    early = suite(("refund",), days=(-3, -2, -1), output="The money is back within three days.", **shared)
    late = suite(("refund",), days=(1, 2), output="Look at our page with questions and answers.", **shared)
    found = explain(early, late)
    assert causes(found) == ["metric insensitive"]
    assert "scores did not move" in said(found, "metric insensitive")


def test_the_evaluated_path_is_not_the_served_path(explain: Explain) -> None:
    found = explain(suite(ALL, days=NIGHTLY, facets=[*GERMAN, ("app.version", "7.1")], model="m-2025", varied=CHECKED))
    assert causes(found) == ["evaluated path is not the served path"]
    assert "model m-2025 was evaluated, m-2026 served" in said(found, "evaluated path is not the served path")
    assert "would tell" in said(found, "metric insensitive")


@pytest.mark.parametrize("status", [None, ERROR, NOT_RUN])
def test_the_evaluator_does_not_run(explain: Explain, status: str | None) -> None:
    shared: dict[str, Any] = {"facets": GERMAN, "model": "m-2026", "varied": CHECKED}
    runs = [suite(ALL, days=(-3, -2, -1), **shared)]
    if status is not None:
        runs.append(suite(ALL, days=(1, 2), **{**shared, "varied": None}, status=status))
    found = explain(*runs)
    assert causes(found) == ["evaluator not running"]
    assert found["green"] is None
    if status is None:
        assert "before, it ran every 1.0 days" in said(found, "evaluator not running")


def test_only_the_cases_that_matter_did_not_run(explain: Explain) -> None:
    skipped = {"refund": {"status": NOT_RUN, "checks": REFUNDS}}
    shared: dict[str, Any] = {"facets": GERMAN, "model": "m-2026"}
    found = explain(suite(ALL, days=(-2, -1), **shared), suite(ALL, days=(1, 2), varied=skipped, **shared))
    assert causes(found) == ["evaluator not running"]
    assert "came to no result" in said(found, "evaluator not running")


def test_several_causes_hold_together(explain: Explain) -> None:
    found = explain(suite(OTHERS, days=NIGHTLY, facets=GERMAN, model="m-2025"))
    assert set(causes(found)) == {"topic absent", "evaluated path is not the served path"}


def test_an_incident_in_all_traffic_lacks_no_condition(explain: Explain) -> None:
    found = explain(suite(ALL, days=NIGHTLY, model="m-2026", varied=CHECKED), everywhere=True)
    assert causes(found) == []
    assert "no condition that a case could lack" in said(found, "slice condition absent")


def test_evals_that_did_see_it(explain: Explain) -> None:
    shared: dict[str, Any] = {"facets": GERMAN, "model": "m-2026"}
    failed = {"refund": {"status": FAILED, "checks": REFUNDS}}
    found = explain(suite(ALL, days=(-2, -1), **shared), suite(ALL, days=(1, 2), varied=failed, **shared))
    assert causes(found) == []
    assert found["green"] is False
    assert len(found["saw"]["failed_cases"]) == 8
    assert set(found["saw"]["near_the_affected_requests"]) <= set(found["saw"]["failed_cases"])
    assert found["saw"]["near_the_affected_requests"]
    assert found["saw"]["hours_after_the_alarm"] == (ONSET + timedelta(days=1) - RAISED) / timedelta(hours=1)


def test_nothing_is_said_without_evals(explain: Explain) -> None:
    found = explain()
    assert (found["causes"], found["green"]) == ([], None)
    assert {each["cause"] for each in found["unknown"]} >= {"topic absent", "evaluator not running"}
    assert all("no eval results are known" in each["said"] for each in found["unknown"])


def test_what_a_report_without_inputs_and_a_judge_cannot_tell(explain: Explain) -> None:
    bare = explain(suite(ALL, days=NIGHTLY, input=None))
    assert causes(bare) == []
    assert "do not hold the inputs" in said(bare, "topic absent")
    judged = explain(suite(ALL, days=NIGHTLY, facets=GERMAN, checks=[check("llm-rubric", "is kind")]))
    assert causes(judged) == []
    assert "llm-rubric" in said(judged, "metric insensitive")
    assert {each["cause"] for each in judged["unknown"]} == {
        "metric insensitive",
        "evaluated path is not the served path",
    }


def test_texts_are_shown_without_what_identifies_people(explain: Explain) -> None:
    cases = suite(("praise",), days=NIGHTLY, input="thank you, write to ann@example.org")
    assert "ann@example.org" not in str(explain(cases))


def test_the_command_and_its_json(tmp_path: Path) -> None:
    store, document = make_folder(tmp_path / "db")
    store.evals.append(suite(OTHERS, days=NIGHTLY))
    store.close()
    shown = CliRunner().invoke(unquiet, ["why-green", document["id"], "--db", str(tmp_path / "db")])
    assert shown.exit_code == 0, shown.output
    assert "1. topic absent" in shown.output
    as_json = CliRunner().invoke(unquiet, ["why-green", document["id"], "--json", "--db", str(tmp_path / "db")])
    assert '"schema": "unquiet.why-green/1"' in as_json.output
    missing = CliRunner().invoke(unquiet, ["why-green", "20260101-000000", "--db", str(tmp_path / "db")])
    assert isinstance(missing.exception, Exception)
    assert document["id"] in str(missing.exception)


@pytest.mark.parametrize(
    ("kind", "expected", "passes"),
    [
        ("contains", "Refund", [True, False]),
        ("icontains", "REFUND", [True, False]),
        ("not-contains", "Refund", [False, True]),
        ("contains-any", '["nothing", "day"]', [True, False]),
        ("contains-all", "Refund, day", [True, False]),
        ("regex", r"\d+ days?", [True, False]),
        ("starts-with", "Refund", [True, False]),
        ("equals", '{"a": 1}', [False, True]),
        ("is-json", None, [False, True]),
    ],
)
def test_checks_on_answers(kind: str, expected: str | None, passes: list[bool]) -> None:
    found = run_check(kind, expected, pa.array(["Refund in 3 days", '{"a": 1}'], pa.large_string()))
    assert found is not None
    assert found.tolist() == passes


@pytest.mark.parametrize(("kind", "expected"), [("llm-rubric", "kind"), ("contains", None), ("regex", "(?<=a)b")])
def test_checks_that_text_alone_does_not_decide(kind: str, expected: str | None) -> None:
    assert run_check(kind, expected, pa.array(["text"], pa.large_string())) is None


def test_parting_is_sure_of_what_does_not_overlap() -> None:
    assert parting(np.array([0.5, 0.6]), np.array([0.1, 0.2])) == (0.5, 1.0)
    assert parting(np.array([0.1, 0.2]), np.array([0.1, 0.2]))[1] == 0.0


def test_too_few_affected_requests_have_no_topic() -> None:
    few = np.eye(FEWEST - 1, 8, dtype=np.float32)
    with pytest.raises(ValueError, match="expected 5 and 1"):
        topic_of(few, few, few)
