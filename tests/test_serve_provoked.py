"""Conditions of the self-watch provoked in real processes: by traffic, signals, receivers and what lies in the folder."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from alert_receivers import CloudEvents, listening
from serve_worlds import PLAIN, READY_S, Row, Service, request_of, send, until
from unquiet.model.bodies import Body, BodyKind
from unquiet.wal import START, WalWriter

QUICK = f'{PLAIN}[detection]\nlateness = "1s"\ntrace_quiet = "1s"\n'
LIMITS = "[storage]\ndisk_free_mb_min = 1048576\nmemory_mb = 256\n"
DAY_US = 86_400_000_000
SEEN_S = 30.0
HANGS_S = 60.0
CONTENT = ("gen_ai.input.messages", "gen_ai.output.messages")


def rows(count: int, name: str, age: timedelta = timedelta(seconds=30)) -> list[dict[str, Any]]:
    """Turns without tools, each a session of its own."""
    began = datetime.now(UTC) - age
    return [
        {
            "time": (began + timedelta(milliseconds=n)).isoformat(),
            "session_id": f"{name}{n:04d}",
            "turn_index": 0,
            "user_id": f"u{n}",
            "input": f"Where is order {n}?",
            "output": f"Order {n} is on its way.",
            "tool_calls": [],
            "finish_reason": "stop",
            "error": None,
            "latency_ms": 900.0,
            "input_tokens": 100,
            "output_tokens": 20,
            "model": "aurora",
        }
        for n in range(count)
    ]


def without_content(turns: Sequence[Row]) -> ExportTraceServiceRequest:
    request = request_of(turns)
    for span in request.resource_spans[0].scope_spans[0].spans:
        kept = [each for each in span.attributes if each.key not in CONTENT]
        del span.attributes[:]
        span.attributes.extend(kept)
    return request


def shown(service: Service, name: str) -> dict[str, Any]:
    """A condition that fails, once it does: in the status, in what supervisors ask, and in the metrics."""
    until(lambda: service.condition(name)["state"] == "failing", SEEN_S)
    found = service.condition(name)
    assert found["detail"]
    assert found["todo"]
    health = httpx.get(service.url("/healthz"), timeout=30, trust_env=False).json()
    assert name in [each["name"] for each in health["conditions"] if each["state"] == "failing"]
    assert service.metric("unquiet_condition", condition=name, state="failing") == 1
    assert service.metric("unquiet_condition", condition=name, state="ok") == 0
    return found


def is_ok(service: Service, name: str) -> None:
    until(lambda: service.condition(name)["state"] == "ok", SEEN_S)
    assert service.metric("unquiet_condition", condition=name, state="ok") == 1


@pytest.fixture(scope="module")
def hook() -> Iterator[CloudEvents]:
    with listening(CloudEvents()) as receiver:
        yield receiver


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory, hook: CloudEvents) -> Iterator[tuple[Service, Service]]:
    """One that takes traffic, and one over a folder in which something is wrong; started together."""
    sink = f'[alerts.hook]\nkind = "webhook"\nurl = "{hook.url}"\n'
    busy = Service(tmp_path_factory.mktemp("busy"), QUICK + sink)
    wrong = Service(tmp_path_factory.mktemp("wrong"), QUICK + LIMITS)
    leave_a_log(wrong.folder / "wal")
    try:
        for each in (busy, wrong):
            each.launch()
        for each in (busy, wrong):
            until(lambda each=each: each.owner() is not None and each.answers("/readyz"), READY_S)
        yield busy, wrong
    finally:
        for each in (busy, wrong):
            if each.process is not None and each.process.poll() is None:
                os.killpg(each.process.pid, signal.SIGCONT)
            each.kill()


@pytest.fixture
def busy(services: tuple[Service, Service]) -> Service:
    return services[0]


@pytest.fixture
def wrong(services: tuple[Service, Service]) -> Service:
    return services[1]


def leave_a_log(folder: Path) -> None:
    """Of four days ago: a body, one that a disk has changed, and one that no version can read."""
    arrived_us = time.time_ns() // 1000 - 4 * DAY_US
    payloads = [request_of(rows(1, name, timedelta(days=4))).SerializeToString() for name in ("good", "damaged")]
    folder.mkdir(parents=True)
    log = WalWriter.open(folder, after=START, undrained_bytes_max=1 << 30, free_bytes_min=0)
    for payload in (*payloads, b"\xff\xff no message"):
        log.append(Body(BodyKind.TRACES_PROTO, "", arrived_us, 1, payload))
    log.close()
    (segment,) = folder.glob("*.wal")
    segment.write_bytes(segment.read_bytes().replace(payloads[1], payloads[1].replace(b"clerk", b"CLERK")))


@pytest.fixture(scope="module")
def hung(services: tuple[Service, Service]) -> Iterator[int]:
    """From its first test on the doors of one service stand still, as those that swap do; the id of their process."""
    pid = services[1].door_pid()
    os.kill(pid, signal.SIGSTOP)
    yield pid
    os.kill(pid, signal.SIGCONT)


def test_what_lies_in_the_folder_is_told_and_ends_nothing(wrong: Service) -> None:
    until(lambda: wrong.counts().get("turns") == 1, SEEN_S)
    counts = wrong.counts()
    assert (counts["damaged records"], counts["unreadable bodies"]) == (1, 1)
    shown(wrong, "log-damaged")
    assert "DecodeError in " in shown(wrong, "bodies-unreadable")["detail"]
    assert wrong.metric("unquiet_unreadable_total", kind="bodies") == 1
    quarantine = wrong.folder / "wal" / "quarantine"
    assert sorted(path.suffix for path in quarantine.iterdir()) == [".bin", ".body"]
    assert [path.read_bytes() for path in quarantine.glob("*.body")] == [b"\xff\xff no message"]
    assert wrong.process is not None
    assert wrong.process.poll() is None


def test_traffic_that_stopped_days_ago(wrong: Service) -> None:
    assert "nothing has arrived for 4 days" in shown(wrong, "traffic-stopped")["detail"]


def test_limits_that_are_reached(wrong: Service) -> None:
    shown(wrong, "memory-nearly-full")
    if shutil.disk_usage(wrong.folder).free < 1 << 40:
        shown(wrong, "disk-nearly-full")
        assert send(wrong, request_of(rows(1, "refused"))) == 503
        until(lambda: wrong.metric("unquiet_bodies_total", door="http", status="503") == 1, SEEN_S)


def test_content_that_goes_off(busy: Service, hung: int) -> None:
    assert send(busy, request_of(rows(250, "text"))) == 200
    is_ok(busy, "content-capture-off")
    assert send(busy, without_content(rows(60, "bare"))) == 200
    assert "shop (0 of the last" in shown(busy, "content-capture-off")["detail"]


def test_spans_that_are_late(busy: Service) -> None:
    is_ok(busy, "spans-late")
    assert send(busy, request_of(rows(200, "late", timedelta(hours=3)))) == 200
    shown(busy, "spans-late")
    assert (busy.metric("unquiet_late_spans_total") or 0) >= 200


def test_spans_that_are_rejected(busy: Service) -> None:
    is_ok(busy, "spans-rejected")
    request = request_of(rows(100, "bad"))
    for span in request.resource_spans[0].scope_spans[0].spans:
        span.span_id = b""
    send(busy, request)
    assert "traces: 100" in shown(busy, "spans-rejected")["detail"]
    assert busy.metric("unquiet_spans_rejected_total", kind="traces") == 100


def test_a_clock_that_is_ahead(busy: Service) -> None:
    is_ok(busy, "clock-skew")
    request = request_of(rows(1, "ahead", timedelta(minutes=-10)))
    request.resource_spans[0].resource.attributes[0].value.string_value = "tower"
    assert send(busy, request) == 200
    assert "tower is 10 min ahead" in shown(busy, "clock-skew")["detail"]


def test_a_sink_that_fails_and_works_again(busy: Service, hook: CloudEvents) -> None:
    """Nothing was sent before: whether it works was not known."""
    assert busy.condition("sink-failing")["state"] == "unknown"
    hook.mood[:] = [(500, {})]
    assert busy.run("alerts", "test", "--service").returncode == 2
    assert "500" in shown(busy, "sink-failing")["detail"]
    hook.mood.clear()
    assert busy.run("alerts", "test", "--service").stdout == "hook: delivered\n"
    is_ok(busy, "sink-failing")


def test_a_door_that_is_killed_is_opened_again(busy: Service) -> None:
    taken = busy.counts()["turns"]
    os.kill(busy.door_pid(), signal.SIGKILL)
    until(lambda: busy.get("status")["service"]["doors"]["starts"] == 2, SEEN_S)
    until(lambda: accepts(busy, rows(3, "again")), SEEN_S)
    until(lambda: busy.counts()["turns"] == taken + 3, SEEN_S)
    assert "ended with -9" in busy.get("status")["service"]["doors"]["error"]
    assert busy.answers("/readyz")


def test_a_door_that_hangs_and_goes_on(wrong: Service, hung: int) -> None:
    until(lambda: wrong.condition("door-dead")["state"] == "failing", HANGS_S, 0.5)
    assert shown(wrong, "door-dead")["severity"] == "critical"
    assert not wrong.answers("/healthz")
    ready = httpx.get(wrong.url("/readyz"), timeout=30, trust_env=False)
    assert ready.status_code == 503
    assert any("door-dead" in reason for reason in ready.json()["reasons"])
    os.kill(hung, signal.SIGCONT)
    is_ok(wrong, "door-dead")
    assert wrong.answers("/readyz")


def accepts(service: Service, turns: Sequence[Row]) -> bool:
    try:
        return send(service, request_of(turns)) == 200
    except httpx.HTTPError:
        return False
