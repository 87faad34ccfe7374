"""Their stack beside ours: who of the user's watchers notices a failure, and that nobody is credited with a false alarm."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from promql_worlds import END_US, RULE_FILES, START_US
from promql_worlds import turns as rule_turns
from test_drills import START, traffic
from unquiet.app.stack import Replayed, Stack
from unquiet.app.watchers import WATCHERS
from unquiet.app.watchers.watching import Kit
from unquiet.drills.comparing import answer, standings
from unquiet.model.drills import Noticed, Rehearsed
from unquiet.model.errors import ConfigError
from unquiet.model.evals import EVAL_RESULTS
from unquiet.model.settings import Settings
from unquiet.model.slices import Slice
from unquiet.model.turns import TURNS
from unquiet.model.voices import VOICES
from unquiet.promql import Exposition, read_rules

DAY_US = 86_400_000_000
START_DAY_US = round(START.timestamp() * 1e6)
ONSET_DAY = 9
SETTINGS = Settings(learn=timedelta(days=6))
FOLDER = Path(__file__).parent / "rule_files"
EVALS = pa.Table.from_pylist(
    [
        {
            "result_id": f"r{number}",
            "run": "nightly",
            "time": START,
            "tool": "pytest",
            "case_name": f"order {number}",
            "status": "passed" if number < 3 else "failed",
            "input": f"Where is my order {3100 + number}? Please have a look and tell me what you can see there.",
        }
        for number in range(4)
    ],
    schema=EVAL_RESULTS,
)


def tickets(per_day: Sequence[int]) -> pa.Table:
    rows = [
        {"voice_id": f"{day}.{n}", "time": START + timedelta(days=day, minutes=n), "kind": "ticket", "origin": "csv"}
        for day, count in enumerate(per_day)
        for n in range(count)
    ]
    return pa.Table.from_pylist(rows, schema=VOICES)


@pytest.fixture(scope="module")
def record() -> pa.Table:
    return _with(
        traffic(4200, 300), latency_ms=lambda i: 700.0 + i * 37 % 400, output_tokens=lambda i: 25 + i * 17 % 20
    )


def _with(turns: pa.Table, **columns) -> pa.Table:
    for name, of_row in columns.items():
        values = pa.array([of_row(i) for i in range(turns.num_rows)], TURNS.field(name).type)
        turns = turns.set_column(turns.column_names.index(name), name, values)
    return turns


def rehearsed(stack: Stack, record: pa.Table, **columns) -> dict[str, Noticed]:
    """What the watchers make of the record with some columns changed from the onset on, at noon."""
    at = record.column("time").cast(pa.int64()).to_numpy() - START_DAY_US
    start, onset, horizon = ONSET_DAY * DAY_US, (2 * ONSET_DAY + 1) * DAY_US // 2, (2 * ONSET_DAY + 7) * DAY_US // 2
    was = record.filter(pa.array((at >= start) & (at < horizon)))
    harmed = was.column("time").cast(pa.int64()).to_numpy() - START_DAY_US >= onset
    kept, changed = was.filter(pa.array(~harmed)), _with(was.filter(pa.array(harmed)), **columns)
    times = (START_DAY_US + each for each in (start, onset, horizon))
    return stack.judged(Replayed(was, pa.concat_tables([kept, changed]), harmed & bool(columns), *times))


def test_nothing_changed_is_noticed_by_nobody(record: pa.Table) -> None:
    kit = Kit(tuple(RULE_FILES), EVALS, tickets([5, 6, 7] * 5))
    seen = rehearsed(Stack(record, SETTINGS, kit), record)
    assert list(seen) == [watcher.name for watcher in WATCHERS]
    assert {name: each.at_us for name, each in seen.items()} == dict.fromkeys(seen)
    assert {each.status for each in seen.values()} == {"not noticed"}


def test_errors_are_noticed_by_rules_of_errors(record: pa.Table, tmp_path: Path) -> None:
    rules = tmp_path / "errors.yml"
    # Turns are few: in many windows of five minutes there is none.
    rules.write_text((FOLDER / "error_ratio.yml").read_text().replace("5m", "1h"))
    stack = Stack(record, SETTINGS, Kit((rules,)))
    seen = rehearsed(stack, record, error=lambda i: "503 no capacity" if i % 4 == 0 else None)
    onset_us = START_DAY_US + ONSET_DAY * DAY_US + DAY_US // 2
    for name in ("error rate", "3 sigma", "Prometheus rules"):
        assert seen[name].status == "noticed"
    by_rule, by_hour = seen["Prometheus rules"], seen["error rate"]
    assert by_rule.by == "HighErrorRatio"
    assert by_rule.at_us is not None
    assert by_hour.at_us is not None
    # Half an hour of its window and of its `for`; the end of the hour; the end of the day.
    assert onset_us < by_rule.at_us < onset_us + 2 * 3_600_000_000
    assert by_hour.at_us == onset_us + 3_600_000_000
    assert seen["3 sigma"].at_us == onset_us + DAY_US // 2
    assert seen["latency"].status == "not noticed"


def test_slow_answers_are_noticed_by_rules_of_latency(record: pa.Table) -> None:
    seen = rehearsed(Stack(record, SETTINGS, Kit((FOLDER / "latency.yml",))), record, latency_ms=lambda _: 5000.0)
    assert {name for name, each in seen.items() if each.at_us is not None} == {
        "latency",
        "fixed thresholds",
        "3 sigma",
        "Prometheus rules",
    }
    assert seen["error rate"].status == "not noticed"


def test_silent_failures_are_noticed_by_no_rule_and_seen_by_evals_that_ask_it(record: pa.Table) -> None:
    kit = Kit((FOLDER / "error_ratio.yml", FOLDER / "latency.yml"), EVALS)
    seen = rehearsed(Stack(record, SETTINGS, kit), record, output=lambda i: f"I can't help with that, number {i}.")
    assert {name for name, each in seen.items() if each.at_us is not None} == {"evals"}
    # A case that failed before tells nothing; a day is over at midnight.
    assert seen["evals"].by in ("order 0", "order 1", "order 2")
    assert seen["evals"].at_us is not None
    assert seen["evals"].at_us % DAY_US == 0
    unlike = pc.replace_substring_regex(EVALS.column("input"), ".*", "zzz quantum chromodynamics lattice")
    other = EVALS.set_column(EVALS.column_names.index("input"), "input", unlike)
    stack = Stack(record, SETTINGS, Kit(evals=other))
    assert rehearsed(stack, record, output=lambda i: f"No, {i}.")["evals"].status == "not noticed"


def test_tickets_ring_where_those_who_complain_are_enough(record: pa.Table) -> None:
    many, few = (Stack(record, SETTINGS, Kit(voices=tickets(each))) for each in ([90, 91, 92] * 5, [1, 9, 2] * 5))
    assert rehearsed(many, record, output=lambda i: f"No, {i}.")["tickets"].status == "noticed"
    assert rehearsed(few, record, output=lambda i: f"No, {i}.")["tickets"].status == "not noticed"


def test_what_is_not_known_is_unknown(record: pa.Table) -> None:
    seen = rehearsed(Stack(record, SETTINGS, Kit()), record, error=lambda _: "broken")
    for name in ("Prometheus rules", "evals", "tickets"):
        assert seen[name].status == "unknown"
        assert seen[name].unknown[name]
    only_strange = Stack(record, SETTINGS, Kit((FOLDER / "not_ours.yml",)))
    told = rehearsed(only_strange, record)["Prometheus rules"]
    assert told.status == "not noticed"
    assert set(told.unknown) == {
        "HostOutOfMemory",
        "WrongExpression",
        "OtherModel",
        "StatusInWords",
        "PinnedTime",
        "QueueDeep",
        "CountedValues",
    }


@pytest.mark.parametrize(
    ("expr", "column", "value"),
    [
        ('rate(llm_responses_total{finish_reason="content_filter"}[1h]) > 0', "finish_reason", "content_filter"),
        (
            'rate(gen_ai_client_operation_duration_seconds_count{gen_ai_response_model="other"}[1h]) > 0',
            "served_model",
            "other",
        ),
        ('rate(llm_errors_total{model="small"}[1h]) > 0', "error", "broken"),
        (
            'rate(tool_errors_total{tool="lookup"}[1h]) > 0',
            "tool_calls",
            [{"name": "lookup", "arguments": "", "result": None, "error": "timeout"}],
        ),
    ],
)
def test_a_value_that_only_the_failure_brings_is_noticed(
    record: pa.Table, tmp_path: Path, expr: str, column: str, value: object
) -> None:
    whole = [{"name": "lookup", "arguments": "", "result": "", "error": None}]
    served = _with(
        record,
        model=lambda _: "small",
        served_model=lambda _: "small-1",
        finish_reason=lambda _: "stop",
        tool_calls=lambda _: whole,
    )
    rules = tmp_path / "rules.yml"
    rules.write_text(f"groups: [{{name: g, rules: [{{alert: New, expr: '{expr}'}}]}}]")
    stack = Stack(served, SETTINGS, Kit((rules,)))
    seen = rehearsed(stack, served, **{column: lambda _: value})["Prometheus rules"]
    assert (seen.status, seen.unknown) == ("noticed", {})
    assert rehearsed(stack, served)["Prometheus rules"].status == "not noticed"
    if column in ("finish_reason", "served_model"):
        untold = _with(served, **{column: lambda _: None})
        assert rehearsed(Stack(untold, SETTINGS, Kit((rules,))), untold)["Prometheus rules"].status == "unknown"


RECORDED = "{record: 'job:errors:rate1h', expr: 'sum(rate(errors_total[1h]))'}"
ON_RECORDED = "{alert: Errors, expr: 'job:errors:rate1h > 0'}"


@pytest.mark.parametrize("files", [[[ON_RECORDED, RECORDED]], [[ON_RECORDED], [RECORDED]], [[RECORDED], [ON_RECORDED]]])
def test_alerts_see_the_recording_rules_below_them_and_of_other_files(
    record: pa.Table, tmp_path: Path, files: list[list[str]]
) -> None:
    paths = [tmp_path / f"{number}.yml" for number in range(len(files))]
    for path, rules in zip(paths, files, strict=True):
        path.write_text(f"groups: [{{name: g, rules: [{', '.join(rules)}]}}]")
    stack = Stack(record, SETTINGS, Kit(tuple(paths)))
    seen = rehearsed(stack, record, error=lambda _: "broken")["Prometheus rules"]
    assert (seen.status, seen.by, seen.unknown) == ("noticed", "Errors", {})


def test_a_rule_that_rings_anyway_is_a_false_alarm_and_not_credited(record: pa.Table, tmp_path: Path) -> None:
    rules = tmp_path / "nervous.yml"
    rules.write_text(
        "groups: [{name: g, rules: [{alert: Nervous, expr: 'sum(rate(http_requests_total[5m])) > 0'},"
        " {alert: Errors, expr: 'increase(errors_total[10m]) > 2'}]}]"
    )
    stack = Stack(record, SETTINGS, Kit((rules,)))
    quiet = rehearsed(stack, record)["Prometheus rules"]
    assert (quiet.status, quiet.false_alarms) == ("not noticed", ("Nervous",))
    loud = rehearsed(stack, record, error=lambda _: "broken")["Prometheus rules"]
    assert (loud.status, loud.by, loud.false_alarms) == ("noticed", "Errors", ("Nervous",))


def test_rules_say_the_same_of_a_replay_as_of_a_record() -> None:
    turns = rule_turns()
    cut = START_US + 9 * 3_600_000_000
    later = turns.filter(pa.array(turns.column("time").cast(pa.int64()).to_numpy() >= cut))
    for path in RULE_FILES:
        exposed = Exposition(read_rules(path), turns)
        whole = exposed.firing(turns, START_US, START_US, END_US)
        part = exposed.firing(later, cut, cut + 60_000_000, END_US)
        assert set(whole) == set(part)
        for name, moments in whole.items():
            if isinstance(moments, str):
                assert part[name] == moments
            else:
                since, now = cut / 1e6 + 60, np.asarray(part[name], float)
                assert moments[moments > since].tolist() == now[now > since].tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("groups: [", "it is no YAML"),
        ("hello", "the file is str. Expected: `groups:`"),
        ("rules: []", "it has no list `groups`"),
        ("groups: [{name: a, rules: [{expr: up}]}]", "a rule without `alert`"),
        ("groups: [{name: a, rules: [{alert: A, expr: up, for: soon}]}]", "'soon' is no duration like 30s"),
        ("", "it holds no rules"),
    ],
)
def test_a_wrong_rule_file_is_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message.replace("[", r"\[")):
        read_rules(path)
    with pytest.raises(ConfigError, match="it cannot be read"):
        read_rules(tmp_path / "none.yml")


def test_the_answer_counts_failures_by_most_of_their_rehearsals() -> None:
    def one(preset: str, ours: bool, **theirs: Noticed) -> Rehearsed:
        return Rehearsed(preset, 0, 0, 10, Slice(), 5, 5, 5, 50, raised_us=3 if ours else None, watchers=theirs)

    rung, quiet, blind = Noticed(at_us=4, by="x"), Noticed(), Noticed(unknown={"b": "none"}, blind=True)
    found = [
        one("A", True, a=rung, b=blind),
        one("A", False, a=quiet, b=blind),
        one("B", True, a=quiet, b=blind),
        one("C", False, a=quiet, b=blind),
        one("control", False, a=Noticed(at_us=4, by="x", false_alarms=("y",)), b=blind),
    ]
    control = {"A": False, "B": False, "C": False, "control": True}
    assert str(answer(found, control)) == (
        "of 3 failures your present stack would notice 1; with unquiet 2; these 1 nobody: C (not known: b)"
    )
    a, b = standings(found, control)
    assert (a.failures, a.noticed, a.rehearsals, a.on_controls, a.controls, a.false_alarms) == (("A",), 1, 4, 1, 1, 1)
    assert (a.is_unknown, b.is_unknown, b.unknown) == (False, True, {"b": "none"})
