"""`unquiet status` of a folder that a service runs on, is opening, or died on."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from unquiet.app.service_lines import lasting, service_lines
from unquiet.cli import unquiet
from unquiet.cli.showing import Output
from unquiet.cli.status import show_status
from unquiet.service.asking import ADDRESS
from unquiet.store import Store

NOW_US = 1_773_500_000_000_000
NOW = "2026-03-14T14:53:20Z"


def condition(name: str, state: str = "ok", **more: Any) -> dict[str, Any]:
    plain = {"severity": "error", "detail": "", "todo": "", "since_us": NOW_US - 300_000_000}
    return {"name": name, "state": state} | plain | more


def service(**more: Any) -> dict[str, Any]:
    """What a service says of itself while all is well."""
    doors = {
        "ports": {"http": 4318, "grpc": None},
        "dead": [],
        "rejected": {"traces": 0},
        "bodies": {"http 200": 40},
        "last_arrival_us": {"checkout": NOW_US - 3_000_000},
        "last_problem": None,
        "starts": 1,
        "error": None,
    }
    plain = {
        "version": "0.1.0",
        "started": "2026-03-14T11:53:20Z",
        "last_round": "2026-03-14T14:53:19Z",
        "now": NOW,
        "doing": "waiting",
        "error": None,
        "counts": {"spans": 20_480, "turns": 5120},
        "undrained_bytes": 0,
        "conditions": [condition("door-dead"), condition("sink-failing")],
    }
    return plain | more | {"doors": doors | more.get("doors", {})}


def lines(**more: Any) -> dict[str, tuple[str, bool]]:
    """Text and warning by name; those without a name by the text's beginning."""
    return {name or text[:12]: (text, warn) for name, text, warn in service_lines(service(**more))}


def told(status: dict[str, Any]) -> str:
    console = Output(file=StringIO(), width=400, color_system=None)
    show_status(console, status, every_slice=False)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_service_that_is_well_has_no_warning() -> None:
    said = lines()
    assert said["service"] == ("unquiet 0.1.0, up for 3 hours, waiting; went round 1 s ago", False)
    assert said["doors"] == ("HTTP on port 4318", False)
    assert said["last arrival"] == ("checkout: 3 s ago", False)
    assert said["taken"][0].startswith(
        "20480 spans, 5120 turns since the folder began; 0 duplicates dropped, 0 too late"
    )
    assert said["not drained"] == ("nothing: all that was acknowledged is in the folder", False)
    assert said["conditions"] == ("2 of 2 are ok", False)
    assert [name for name, (_, warn) in said.items() if warn] == []


def test_a_loop_that_stands_still_is_a_warning() -> None:
    said = lines(last_round="2026-03-14T14:52:00Z", error="the disk is full")
    assert said["service"] == ("unquiet 0.1.0, up for 3 hours, waiting; went round 80 s ago", True)
    assert said["it stands st"] == ("it stands still: the disk is full", True)
    assert lines(last_round=None)["service"][1]


def test_doors_that_died_refused_or_failed() -> None:
    said = lines(
        doors={
            "ports": {"http": 4318, "grpc": 4317},
            "dead": ["grpc"],
            "bodies": {"http 200": 40, "http 401": 3},
            "starts": 3,
            "error": "the door process ended with -9; it is started again",
            "last_problem": {"text": "no space left", "at_us": NOW_US - 60_000_000},
            "last_arrival_us": {},
        }
    )
    assert said["doors"] == ("HTTP on port 4318, gRPC does not answer; opened again 2 times", True)
    assert said["the last fai"][0] == "the last failure: the door process ended with -9; it is started again"
    assert said["refused"] == ("requests since they were opened, by door and status: 3 x http 401", True)
    assert said["a body could"][0] == "a body could not be made durable 60 s ago: no space left"
    assert said["last arrival"][0] == "none since the doors were opened"
    assert lines(doors={"ports": {}})["doors"] == ("unknown: they have not reported yet", True)


def test_what_was_not_taken_is_counted() -> None:
    counts = {
        "spans": 9, "turns": 2, "duplicate spans": 4, "duplicate turns": 1, "late spans": 2, "late turns": 1,
        "rejected turns: time ahead": 5, "damaged records": 1, "spans without an agent": 7,
    }  # fmt: skip
    said = lines(counts=counts, doors={"rejected": {"traces": 6}}, undrained_bytes=3 << 20)
    assert said["taken"][0] == "9 spans, 2 turns since the folder began; 5 duplicates dropped, 3 too late to be counted"
    assert said["rejected"] == ("6 at the doors since they were opened, 5 after", True)
    assert said["1 records of"][1]
    assert said["7 spans are "] == ("7 spans are of no agent and made no turn", False)
    assert said["not drained"] == (
        "3.0 MiB of the log: what has just come, and traces that are not complete",
        False,
    )
    assert lines(undrained_bytes=None)["not drained"] == ("unknown: the log does not report", True)


def test_conditions_say_what_to_do_and_unknown_is_not_ok() -> None:
    found = [
        condition("door-dead"),
        condition("clock-skew", "unknown", detail="no span has arrived yet", todo="Point an exporter here."),
        condition("sink-failing", "failing", detail="team: HTTP 404", todo="Correct its address."),
    ]
    said = lines(conditions=found)
    assert said["conditions"] == ("1 of 3 are ok", True)
    assert list(said)[-2:] == ["failing", "unknown"]
    assert said["failing"] == ("sink-failing (error) for 5 minutes: team: HTTP 404. Correct its address.", True)
    assert said["unknown"] == ("clock-skew for 5 minutes: no span has arrived yet. Point an exporter here.", True)
    assert lines(conditions=[])["conditions"][1]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3.0, "0 s"),
        (119.4, "119 s"),
        (120.0, "2 minutes"),
        (7199.0, "120 minutes"),
        (7200.0, "2 hours"),
        (2e5, "2 days"),
    ],
)
def test_lengths_of_time(seconds: float, words: str) -> None:
    assert lasting(seconds) == words


def test_a_folder_that_is_being_opened_is_unknown_and_not_empty() -> None:
    text = told({"open_incidents": [], "service": service(doing="judging 03 Mar 2026 (40%)")})
    assert "judging 03 Mar 2026 (40%)" in text
    assert "  unknown: the service is opening it; ask again in a while" in text
    assert "nothing was judged" in text.splitlines()[-1]


def test_turns_since_the_last_look_are_no_call_for_a_scan() -> None:
    known = {
        "folder": "d", "last": "2026-03-14T14:50:00Z", "first": "2026-03-14T14:00:00Z", "turns": 7, "data_age_days": 0.002,
        "files": [], "unjudged_turns": 5, "coverage": {"learning_days": 7.0, "not_judged": "nothing yet", "languages": None},
        "labels": [], "judges": {}, "drills": None, "open_incidents": [], "judged": False,
    }  # fmt: skip
    assert "scan again" in told(known)
    live = told(known | {"service": service()})
    assert "scan again" not in live
    assert "5 turns came after this was worked out" in live
    assert "the last is 3 minutes old" in live


def test_a_service_that_died_is_said_and_one_that_stopped_is_not(tmp_path: Path) -> None:
    with Store.open(tmp_path):
        pass
    run = CliRunner()
    assert "does not run" not in run.invoke(unquiet, ["status", "--db", str(tmp_path)]).output
    # A port that nobody listens on: it is reserved for no service.
    (tmp_path / ADDRESS).write_bytes(orjson.dumps({"url": "http://127.0.0.1:1", "pid": 1}))
    # Wide enough for a long path: a folded one could not be compared.
    shown = run.invoke(unquiet, ["status", "--db", str(tmp_path)], env={"COLUMNS": "1000"})
    text = " ".join(shown.output.split())
    assert (
        f"does not run: it was killed, or the machine went down. Nothing comes in until `unquiet serve --db {tmp_path}`"
        in text
    ), text


def test_an_incident_that_somebody_looks_after_is_not_open(tmp_path: Path) -> None:
    raised = datetime(2026, 3, 10, 16, 20, tzinfo=UTC)
    with Store.open(tmp_path) as store:
        for name in ("20260310-aaaaaa", "20260310-bbbbbb"):
            document = {"id": name, "title": "t", "status": "open", "raised_at": raised.isoformat()}
            store.upsert_incident(name, document, raised_at=raised, status="open")
        store.put_setting("coverage", {"learning_days": 7.0, "languages": None})
    run = CliRunner()
    deed = ["acknowledge", "20260310-aaaaaa", "--note", "mine", "--db", str(tmp_path)]
    assert run.invoke(unquiet, deed).output == "20260310-aaaaaa: acknowledged\n"
    known = orjson.loads(run.invoke(unquiet, ["status", "--json", "--db", str(tmp_path)]).output)
    assert known["open_incidents"] == ["20260310-bbbbbb"]
    listed = run.invoke(unquiet, ["incidents", "--db", str(tmp_path)])
    assert listed.exit_code == 1
    assert "20260310-aaaaaa  acknowledged" in listed.output
    run.invoke(unquiet, ["mute", "20260310-bbbbbb", "--for", "2h", "--reason", "known", "--db", str(tmp_path)])
    assert run.invoke(unquiet, ["incidents", "--db", str(tmp_path)]).exit_code == 0
