"""The service as people meet it: started, asked while it runs and when it is stopped, ended by Ctrl-C and by SIGTERM."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from serve_worlds import PLAIN, STOP_S, Service, free_ports, request_of, send, serving, span_count, until

QUICK = f'{PLAIN}[detection]\nlateness = "1s"\ntrace_quiet = "1s"\n'


def rows(count: int, first: int = 0, **changes: Any) -> list[dict[str, Any]]:
    """Turns of now, each a session of its own."""
    now = datetime.now(UTC) - timedelta(seconds=30)
    return [
        {
            "time": (now + timedelta(milliseconds=n)).isoformat(),
            "session_id": f"s{n:05d}",
            "turn_index": 0,
            "user_id": f"u{n:05d}",
            "input": f"Where is order {n}?",
            "output": f"Order {n} is on its way.",
            "tool_calls": [{"name": "lookup", "arguments": {"order": n}, "result": {"state": "sent"}, "error": None}],
            "finish_reason": "stop",
            "error": None,
            "latency_ms": 900.0,
            "input_tokens": 100,
            "output_tokens": 20,
            "model": "aurora",
            "intent": "status",
        }
        | changes
        for n in range(first, first + count)
    ]


def turns_of(service: Service, ids: Sequence[str]) -> list[dict[str, Any]]:
    return [turn for each in ids for turn in service.get(f"turns?session={each}")["turns"]]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for the tests that do not end it."""
    with serving(tmp_path_factory.mktemp("running"), QUICK) as service:
        assert send(service, request_of(rows(20))) == 200
        until(lambda: service.counts().get("turns") == 20)
        yield service


def test_a_second_service_says_who_owns_the_folder(running: Service) -> None:
    """Also where it is started with the same ports, as by the same command."""
    second = Service(running.home, running.sections, ports=running.ports)
    assert running.process is not None
    process = second.launch()
    assert process.wait(60) == 2
    assert f"is in use by another unquiet (process {running.process.pid})" in second.said
    assert "Traceback" not in second.said
    assert running.owner() == running.process.pid
    assert running.answers("/healthz")


def test_commands_ask_the_running_service(running: Service) -> None:
    until(lambda: running.get("status")["turns"] == 20)
    status = running.run("status", "--json")
    assert status.returncode == 0, status.stderr
    document = json.loads(status.stdout)
    assert (document["turns"], document["service"]["counts"]["turns"]) == (20, 20)
    listed = running.run("incidents", "--json")
    assert (listed.returncode, json.loads(listed.stdout)) == (0, [])
    assert "learning" in listed.stderr
    missing = running.run("incident", "20260101-aaaaaa")
    assert missing.returncode == 2
    assert "no incident 20260101-aaaaaa" in missing.stderr
    marked = running.run("mark", "v12", "--kind", "prompt", "--from", "v11")
    assert marked.returncode == 0, marked.stderr
    assert [(each["from"], each["to"]) for each in running.get("changes")["changes"]] == [("v11", "v12")]
    assert running.run("mark", "v13", "--scope", "tenant=harbor").returncode == 0
    changes = json.loads(running.run("changes", "--json").stdout)["changes"]
    assert [(each["to"], each["announced"], each.get("scope")) for each in changes] == [
        ("v12", True, None),
        ("v13", True, {"tenant": "harbor"}),
    ]
    muted = running.run("mute", "20260101-aaaaaa", "--for", "1h", "--reason", "known")
    assert muted.returncode == 2
    assert "does not exist" in muted.stderr or "there is no incident" in muted.stderr


def test_the_pages_of_the_command_line_work_too(running: Service) -> None:
    for command in ("status", "incidents"):
        done = running.run(command)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr


def test_forgetting_reaches_everything_and_the_doors_open_again(running: Service) -> None:
    word = "Zitronenfalter"
    assert send(running, request_of(rows(3, 500, user_id="mallory", input=f"My name is {word}."))) == 200
    until(lambda: len(turns_of(running, ["s00500"])) == 1)
    forgotten = running.run("forget", "--user", "mallory", "--yes")
    assert forgotten.returncode == 0, forgotten.stderr
    assert "3 turns" in forgotten.stdout
    assert turns_of(running, ["s00500", "s00501", "s00502"]) == []
    held = [path for path in running.folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]
    assert held == []
    # The doors were closed meanwhile; they must take traffic again, and it must be drained.
    assert until(lambda: send(running, request_of(rows(1, 600))) == 200)
    until(lambda: len(turns_of(running, ["s00600"])) == 1)
    assert running.condition("door-dead")["state"] == "ok"


@pytest.mark.parametrize(
    ("number", "group"), [(signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGTERM, True)], ids=str
)
def test_it_ends_cleanly_with_nothing_lost(tmp_path: Path, number: int, group: bool) -> None:
    with serving(tmp_path, QUICK) as service:
        sent = request_of(rows(200))
        assert send(service, sent) == 200
        began = time.monotonic()
        code = service.stop(number, group=group)
        assert time.monotonic() - began < STOP_S
        assert code in (0, 130)
        assert "Traceback" not in service.said
        assert not (service.folder / "service.json").exists()
        assert not until_no_process(service)
        service.start()
        until(lambda: service.counts().get("spans") == span_count(sent))
        assert service.counts()["turns"] == 200


def until_no_process(service: Service) -> str:
    """Nothing of the group is left; what there is otherwise."""
    assert service.process is not None
    found = subprocess.run(["pgrep", "-g", str(service.process.pid), "-a"], capture_output=True, text=True)
    return found.stdout


def test_a_stopped_folder_is_looked_into_without_the_service(tmp_path: Path) -> None:
    with serving(tmp_path, QUICK) as service:
        assert send(service, request_of(rows(20))) == 200
        until(lambda: service.counts().get("turns") == 20)
        assert service.stop() == 0
        status = service.run("status", "--json")
        assert json.loads(status.stdout)["turns"] == 20
        listed = service.run("incidents")
        assert listed.returncode == 0, listed.stderr
        marked = service.run("mark", "v12")
        assert marked.returncode == 0, marked.stderr
        forgotten = service.run("forget", "--session", "s00003", "--yes")
        assert forgotten.returncode == 0, forgotten.stderr
        service.start()
        assert [each["to"] for each in service.get("changes")["changes"]] == ["v12"]
        assert turns_of(service, ["s00003"]) == []
        assert len(turns_of(service, ["s00004"])) == 1


def test_what_a_killed_service_left_is_not_asked_at_a_stranger(tmp_path: Path) -> None:
    """The address of a service that died may belong to another one by now."""
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    with serving(one, QUICK) as killed:
        assert send(killed, request_of(rows(7))) == 200
        until(lambda: killed.counts().get("turns") == 7)
        killed.kill()
        assert killed.owner() is not None
        with serving(other, QUICK, ports=killed.ports):
            status = killed.run("status", "--json")
            assert json.loads(status.stdout)["turns"] == 7, status.stdout
            assert killed.run("mark", "v1").returncode == 0
        assert "service" not in json.loads(status.stdout)


WRONG = {
    "a misspelt key": ("[detection]\nlatenes = '2s'\n", r"latenes.*lateness"),
    "a value out of bounds": ("[detection]\nlateness = '9h'\n", r"detection\.lateness"),
    "a sink without its secret": ("[alerts.team]\nkind = 'slack'\nurl = { env = 'NO_SUCH' }\n", r"NO_SUCH"),
    "a sink of no kind": ("[alerts.team]\nkind = 'pigeon'\n", r"pigeon"),
    "no TOML": ("[detection\n", r"unquiet\.toml"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_configuration_is_told_at_once(tmp_path: Path, name: str) -> None:
    sections, told = WRONG[name]
    service = Service(tmp_path)
    (tmp_path / "unquiet.toml").write_text(sections)
    done = service.run("serve")
    assert done.returncode == 2
    assert re.search(told, done.stderr, re.DOTALL), done.stderr
    assert not service.folder.exists()


def test_a_process_with_a_wrong_configuration_ends_with_2(tmp_path: Path) -> None:
    service = Service(tmp_path, "[detection]\nlatenes = '2s'\n[alerts.team]\nkind = 'pigeon'\n")
    process = service.launch()
    try:
        assert process.wait(60) == 2
    finally:
        service.kill()
    assert "latenes" in service.said
    assert "pigeon" in service.said
    assert "Traceback" not in service.said


def test_a_port_in_use_is_told_at_once(tmp_path: Path) -> None:
    with serving(tmp_path, QUICK) as first:
        for place, key in ((1, "http"), (2, "grpc"), (0, "read")):
            home = tmp_path / key
            home.mkdir()
            ports = free_ports(3)
            ports[place] = first.ports[place]
            second = Service(home, QUICK, ports=ports)
            process = second.launch()
            try:
                assert process.wait(60) == 2, key
            finally:
                second.kill()
            assert str(first.ports[place]) in second.said
            assert "Traceback" not in second.said, second.said
