"""`unquiet serve` as a process of its own: started, asked, killed; and spans as an agent would send them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import httpx
import pytest
from click import ClickException
from click.testing import CliRunner
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from unquiet.cli.commands import unquiet
from unquiet.model.errors import UnquietError

T = TypeVar("T")
Row = Mapping[str, Any]

READY_S = 90.0
"""The machine may be busy with other tests."""

STOP_S = 15.0
PLAIN = "[privacy]\nredact = []\nhash_users = false\n"
"""Texts and users arrive as they were sent."""


def free_ports(count: int) -> list[int]:
    """Ports that are free now; all different."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def until(what: Callable[[], T], wait_s: float = 60.0, every_s: float = 0.1) -> T:
    """What `what` gives, once it is true; the last of it and an error where it never is."""
    end = time.monotonic() + wait_s
    while not (found := what()):
        assert time.monotonic() < end, f"not within {wait_s:g} s; the last was {found!r}"
        time.sleep(every_s)
    return found


class Done(NamedTuple):
    """What a command said."""

    returncode: int
    stdout: str
    stderr: str


@dataclass
class Service:
    """A service over `home/data`, configured by `home/unquiet.toml`. Its ports stay the same over restarts."""

    home: Path
    sections: str = PLAIN
    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    ports: list[int] = field(default_factory=lambda: free_ports(3))
    process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        return self.home / "data"

    @property
    def said(self) -> str:
        """All that it wrote to standard error, by all of its lives."""
        path = self.home / "said.txt"
        return path.read_text() if path.exists() else ""

    @property
    def traces_url(self) -> str:
        return f"http://127.0.0.1:{self.ports[1]}/v1/traces"

    @property
    def grpc_target(self) -> str:
        return f"127.0.0.1:{self.ports[2]}"

    def settings(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("UNQUIET_", "OTEL_"))}
        return {**clean, **self.environ, "NO_PROXY": "127.0.0.1"}

    def launch(self) -> subprocess.Popen[bytes]:
        """Start it, and do not wait."""
        read, http, grpc = (f'"127.0.0.1:{port}"' for port in self.ports)
        own = f'[service]\nfolder = "data"\nread = {read}\n[doors]\nhttp = {http}\ngrpc = {grpc}\n'
        (self.home / "unquiet.toml").write_text(own + self.sections)
        with (self.home / "said.txt").open("ab") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "unquiet", "serve"],
                cwd=self.home,
                env=self.settings(),
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        return self.process

    def start(self) -> Service:
        process = self.launch()

        def ready() -> bool:
            assert process.poll() is None, self.said
            return self.owner() == process.pid and self.answers("/readyz")

        until(ready, READY_S)
        return self

    def owner(self) -> int | None:
        """The process that wrote down how it is reached."""
        try:
            return json.loads((self.folder / "service.json").read_bytes())["pid"]
        except (OSError, ValueError):
            return None

    def answers(self, path: str) -> bool:
        try:
            return httpx.get(self.url(path), timeout=5, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.ports[0]}{path}"

    def get(self, path: str) -> Any:
        answer = httpx.get(self.url(f"/api/v1/{path}"), timeout=60, trust_env=False)
        assert answer.is_success, answer.text
        return answer.json()

    def post(self, path: str, body: Any) -> Any:
        answer = httpx.post(self.url(f"/api/v1/{path}"), json=body, timeout=120, trust_env=False)
        assert answer.is_success, answer.text
        return answer.json()

    def counts(self) -> dict[str, int]:
        """What it counted since the beginning of its folder."""
        return self.get("status")["service"]["counts"]

    def until_drained(self, wait_s: float = 60.0) -> dict[str, int]:
        """The counts once everything that was acknowledged is in the store."""
        until(lambda: self.metric("unquiet_undrained_bytes") == 0, wait_s)
        return self.counts()

    def metric(self, name: str, **labels: str) -> float | None:
        """The value of the first sample with these labels; None where there is none."""
        for line in httpx.get(self.url("/metrics"), timeout=60, trust_env=False).text.splitlines():
            head, _, value = line.rpartition(" ")
            if head.partition("{")[0] == name and all(f'{key}="{text}"' in head for key, text in labels.items()):
                return float(value)
        return None

    def condition(self, name: str) -> dict[str, Any]:
        found = self.get("status")["service"]["conditions"]
        return next((each for each in found if each["name"] == name), {"state": "unknown"})

    def door_pid(self) -> int:
        """The process that holds the doors open."""
        assert self.process is not None
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=True)
        return int(found.stdout.split()[0])

    def kill(self) -> None:
        """SIGKILL to the whole process group: what a power cut leaves of a process."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def stop(self, number: int = signal.SIGTERM, *, group: bool = False) -> int:
        """End it by a signal, to its group as Ctrl-C does or to it alone; its exit code."""
        assert self.process is not None
        if group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        return self.process.wait(STOP_S)

    def run(self, *arguments: str) -> Done:
        """A command of the command line over its folder, in this process: a new one takes seconds to start."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.home)
            for name, value in {**self.environ, "UNQUIET_DB": str(self.folder)}.items():
                patch.setenv(name, value)
            result = CliRunner().invoke(unquiet, arguments)
        if isinstance(result.exception, UnquietError | ClickException):
            return Done(2, result.stdout, result.stderr + str(result.exception))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)


@contextlib.contextmanager
def serving(home: Path, sections: str = PLAIN, **options: Any) -> Iterator[Service]:
    """A running service; whatever happens, nothing of it is left running."""
    service = Service(home, sections, **options)
    try:
        yield service.start()
    finally:
        service.kill()


def span_ids(row: Row, number: int) -> tuple[bytes, bytes]:
    """The trace and a span of a turn: the same turn has the same ids whenever it is sent."""
    trace = f"{row['session_id']:>12}{row['turn_index']:04d}".encode()[-16:]
    return trace, number.to_bytes(8, "big")


def request_of(rows: Sequence[Row]) -> ExportTraceServiceRequest:
    """Turns of the turn table as spans of an agent: one for it, one for each tool that it called."""
    request = ExportTraceServiceRequest()
    part = request.resource_spans.add()
    part.resource.attributes.add(key="service.name").value.string_value = "shop"
    spans = part.scope_spans.add().spans
    for row in rows:
        _add_turn(spans, row)
    return request


def _add_turn(spans: Any, row: Row) -> None:
    start_ns = round(datetime.fromisoformat(row["time"]).timestamp() * 1000) * 1_000_000
    end_ns = start_ns + round(row["latency_ms"] * 1e6)
    trace_id, span_id = span_ids(row, 1)
    agent = spans.add(
        trace_id=trace_id,
        span_id=span_id,
        name="invoke_agent",
        start_time_unix_nano=start_ns,
        end_time_unix_nano=end_ns,
    )
    said: dict[str, Any] = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "clerk",
        "gen_ai.conversation.id": row["session_id"],
        "user.id": row["user_id"],
        "gen_ai.input.messages": messages("user", row["input"]),
        "gen_ai.output.messages": messages("assistant", row["output"], row["finish_reason"]),
        "gen_ai.request.model": row["model"],
        "gen_ai.usage.input_tokens": row["input_tokens"],
        "gen_ai.usage.output_tokens": row["output_tokens"],
        "gen_ai.response.finish_reasons": [row["finish_reason"]],
    }
    facets = ("intent", "locale", "tenant", "channel", "app_version", "prompt_version")
    _set(agent, said | {name: row[name] for name in facets if name in row})
    if row["error"]:
        agent.status.code, agent.status.message = 2, row["error"]
    for number, call in enumerate(row["tool_calls"], 2):
        tool = spans.add(
            trace_id=trace_id,
            span_id=span_ids(row, number)[1],
            parent_span_id=span_id,
            name=f"execute_tool {call['name']}",
            start_time_unix_nano=start_ns + number,
            end_time_unix_nano=start_ns + number,
        )
        named = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": call["name"]}
        said = {
            f"gen_ai.tool.call.{name}": call[name] for name in ("arguments", "result") if call.get(name) is not None
        }
        _set(tool, named | {name: json.dumps(value) for name, value in said.items()})
        if call.get("error"):
            tool.status.code, tool.status.message = 2, call["error"]


def messages(role: str, text: str, finish: str | None = None) -> str:
    said: dict[str, Any] = {"role": role, "parts": [{"type": "text", "content": text}]}
    return json.dumps([said | ({"finish_reason": finish} if finish else {})])


def _set(span: Any, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        target = span.attributes.add(key=key).value
        if isinstance(value, list):
            for each in value:
                target.array_value.values.add().string_value = each
        elif isinstance(value, int):
            target.int_value = value
        else:
            target.string_value = value


def span_count(request: ExportTraceServiceRequest) -> int:
    return sum(len(scope.spans) for part in request.resource_spans for scope in part.scope_spans)


def send(service: Service, request: ExportTraceServiceRequest) -> int:
    """Post a request to the HTTP door; the status."""
    headers = {"content-type": "application/x-protobuf"}
    data = request.SerializeToString()
    return httpx.post(service.traces_url, content=data, headers=headers, timeout=60, trust_env=False).status_code
