"""A real agent with real instrumentation and real exporters, over HTTP and over gRPC, against the running service."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from serve_worlds import PLAIN, Service, serving, until
from unquiet.demo import write_story

QUICK = f'{PLAIN}[detection]\nlateness = "1s"\ntrace_quiet = "1s"\n'
SESSIONS = 12

# Runs in a process of its own: instrumentations patch libraries and keep global state.
STAGE = """
import json, os, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

ENDPOINT, ROWS = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
FACETS = ("intent", "locale", "tenant", "channel", "prompt_version")


def provider(exporter):
    made = TracerProvider(resource=Resource.create({"service.name": "shop", "service.version": "1.4.2"}))
    made.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(made)
    return made


def facets(row):
    return {name: row[name] for name in FACETS}
"""

# The instrumentation of the OpenAI library; the model is a stub that answers as the story does.
OPENAI = """
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
import openai

ANSWERS = []


class Model(BaseHTTPRequestHandler):
    def do_POST(self):
        row = ANSWERS[-1]
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        told = [m for m in body["messages"] if m["role"] == "tool"]
        calls = row["tool_calls"]
        if len(told) < len(calls):
            call = calls[len(told)]
            function = {"name": call["name"], "arguments": json.dumps(call["arguments"])}
            asked = [{"id": f"call_{len(told)}", "type": "function", "function": function}]
            message, finish = {"role": "assistant", "content": None, "tool_calls": asked}, "tool_calls"
        else:
            message, finish = {"role": "assistant", "content": row["output"]}, row["finish_reason"]
        data = json.dumps({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": row["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
threading.Thread(target=server.serve_forever, daemon=True).start()
made = provider(OTLPSpanExporter(endpoint=ENDPOINT, compression=Compression.Gzip))
OpenAIInstrumentor().instrument(tracer_provider=made)
tracer = made.get_tracer("shop")
client = openai.OpenAI(base_url=f"http://127.0.0.1:{server.server_port}/v1", api_key="none")

for row in ROWS:
    ANSWERS.append(row)
    messages = [{"role": "system", "content": "You are a clerk."}, {"role": "user", "content": row["input"]}]
    named = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "clerk",
             "gen_ai.conversation.id": row["session_id"], "user.id": row["user_id"], **facets(row)}
    with tracer.start_as_current_span("invoke_agent clerk", attributes=named):
        while True:
            answer = client.chat.completions.create(model=row["model"], messages=messages).choices[0].message
            if not answer.tool_calls:
                break
            call = answer.tool_calls[0]
            result = row["tool_calls"][int(call.id.removeprefix("call_"))]["result"]
            with tracer.start_as_current_span(f"execute_tool {call.function.name}", attributes={
                "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": call.function.name,
                "gen_ai.tool.call.id": call.id, "gen_ai.tool.call.arguments": call.function.arguments,
                "gen_ai.tool.call.result": json.dumps(result)}):
                pass
            messages += [{"role": "assistant", "content": None, "tool_calls": [call.model_dump()]},
                         {"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)}]
made.shutdown()
"""

# OpenTelemetry's own helper, with which instrumentations of frameworks are written.
GENAI = """
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation._semconv import _OpenTelemetrySemanticConventionStability
from opentelemetry.util.genai.handler import TelemetryHandler
from opentelemetry.util.genai.types import InputMessage, OutputMessage, Text

_OpenTelemetrySemanticConventionStability._initialize()  # as every instrumentor does
made = provider(OTLPSpanExporter(endpoint=ENDPOINT, insecure=True))
handler = TelemetryHandler(tracer_provider=made)

for row in ROWS:
    with handler.invoke_local_agent("stub", request_model=row["model"]) as agent:
        agent.agent_name, agent.conversation_id = "clerk", row["session_id"]
        agent.attributes |= {"user.id": row["user_id"], **facets(row)}
        with handler.inference("stub", request_model=row["model"]) as call:
            call.input_messages = [InputMessage(role="user", parts=[Text(content=row["input"])])]
            call.output_messages = [OutputMessage(role="assistant", parts=[Text(content=row["output"])],
                                                  finish_reason=row["finish_reason"])]
            call.finish_reasons, call.input_tokens, call.output_tokens = [row["finish_reason"]], 10, 5
        for made_call in row["tool_calls"]:
            with handler.tool(made_call["name"]) as tool:  # which keeps arguments and results to itself
                for name in ("arguments", "result"):
                    tool.attributes[f"gen_ai.tool.call.{name}"] = json.dumps(made_call[name])
        agent.input_messages, agent.output_messages = call.input_messages, call.output_messages
made.shutdown()
"""

CAPTURE = {
    "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "span_only",
}


def conversations(folder: Path) -> list[list[dict[str, Any]]]:
    """Sessions of the demo whose provider always answered, each a list of turns."""
    story = write_story(folder, sessions_per_day=12, days=7)
    sessions: dict[str, list[dict[str, Any]]] = {}
    with gzip.open(story.turns) as lines:
        for row in map(json.loads, lines):
            sessions.setdefault(row["session_id"], []).append(row)
    whole = [rows for rows in sessions.values() if all(row["error"] is None for row in rows)]
    assert any(row["tool_calls"] for rows in whole[: 2 * SESSIONS] for row in rows)
    return whole[: 2 * SESSIONS]


def play(script: str, endpoint: str, rows: list[dict[str, Any]], service: Service, name: str) -> None:
    path = service.home / f"{name}.json"
    path.write_text(json.dumps(rows))
    done = subprocess.run(
        [sys.executable, "-c", STAGE + textwrap.dedent(script), endpoint, str(path)],
        env={**service.settings(), **CAPTURE},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Failed to export" not in done.stderr


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A service that both agents have sent to: by door, what was sent; and the service."""
    home = tmp_path_factory.mktemp("played")
    talks = conversations(home / "story")
    sent = {"http": talks[:SESSIONS], "grpc": talks[SESSIONS:]}
    with serving(home, QUICK) as service:
        flat = {door: [row for rows in sessions for row in rows] for door, sessions in sent.items()}
        play(OPENAI, service.traces_url, flat["http"], service, "http")
        play(GENAI, f"http://{service.grpc_target}", flat["grpc"], service, "grpc")
        count = sum(map(len, flat.values()))
        until(lambda: service.counts().get("turns", 0) >= count)
        yield sent, service


@pytest.mark.parametrize("door", ["http", "grpc"])
def test_the_turns_of_an_agent_arrive_as_they_were_said(played: Any, door: str) -> None:
    sent, service = played
    for rows in sent[door]:
        turns = service.get(f"turns?session={rows[0]['session_id']}")["turns"]
        assert [(t["input"], t["output"]) for t in turns] == [(r["input"], r["output"]) for r in rows]
        for turn, row in zip(turns, rows, strict=True):
            assert turn["user_id"] == row["user_id"]
            assert turn["model"] == row["model"]
            assert turn["finish_reason"] == row["finish_reason"]
            called = [(call["name"], json.loads(call["arguments"])) for call in turn["tool_calls"]]
            assert called == [(call["name"], call["arguments"]) for call in row["tool_calls"]]
            facets = {name: turn["facets"][name] for name in ("intent", "locale", "tenant", "prompt_version")}
            assert facets == {name: row[name] for name in facets}
            assert turn["error"] is None


def test_nothing_else_arrived_and_everything_is_told(played: Any) -> None:
    sent, service = played
    count = sum(len(rows) for sessions in sent.values() for rows in sessions)
    until(lambda: service.get("status")["turns"])
    status = service.get("status")
    assert status["turns"] == count
    counts = status["service"]["counts"]
    assert counts["turns"] == count
    assert counts.get("duplicate spans", 0) == counts.get("rejected spans", 0) == counts.get("late spans", 0) == 0
    assert status["service"]["doors"]["rejected"].get("traces", 0) == 0
    assert counts["spans"] == service.metric("unquiet_spans_accepted_total", kind="traces")
    assert {each.rpartition(" ")[0] for each in status["service"]["doors"]["bodies"]} == {"http", "grpc"}
    assert service.condition("clock-skew")["state"] == "ok"
