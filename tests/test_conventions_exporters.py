"""Every dialect as its own exporter writes it: a stub model, a real instrumentation, a file, our turns."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from unquiet.sources import read_files

NOW = datetime(2100, 1, 1, tzinfo=UTC)
QUESTION = "Is it warm in Lisbon?"
ANSWER = "Yes, 27 degrees and sun."

# Runs in a process of its own: instrumentations patch the same library and keep global state.
STAGE = '''
import base64, json, os, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

QUESTION, ANSWER, OUT = sys.argv[1], sys.argv[2], Path(sys.argv[3])
SYSTEM = "You are a weather clerk."
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Weather of a city",
          "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]
POSTED = []


class Stub(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if "/chat/completions" not in self.path:
            POSTED.append(("post", body))
            return self.answer({})
        if any(m["role"] == "tool" for m in body["messages"]):
            message, finish = {"role": "assistant", "content": ANSWER}, "stop"
        else:
            call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Lisbon"}'}}
            message, finish = {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"
        self.answer({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-2024-08-06",
                     "system_fingerprint": "fp_1", "choices": [{"index": 0, "message": message, "finish_reason": finish}],
                     "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}})

    def do_PATCH(self):
        POSTED.append(("patch", json.loads(self.rfile.read(int(self.headers["content-length"])))))
        self.answer({})

    def do_GET(self):
        self.answer({})

    def answer(self, value):
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
threading.Thread(target=server.serve_forever, daemon=True).start()
URL = f"http://127.0.0.1:{server.server_port}"


def provider():
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    made = TracerProvider(resource=Resource.create({"service.name": "weather", "service.version": "1.4.2"}))
    exporter = InMemorySpanExporter()
    made.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(made)
    return made, exporter


def talk(client, tool=lambda run: run()):
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
    first = client.chat.completions.create(model="gpt-4o", messages=messages, tools=TOOLS)
    call = first.choices[0].message.tool_calls[0]
    result = tool(lambda: "27 C, sun")
    messages += [{"role": "assistant", "content": None, "tool_calls": [call.model_dump()]},
                 {"role": "tool", "tool_call_id": call.id, "content": result}]
    return client.chat.completions.create(model="gpt-4o", messages=messages, tools=TOOLS)


def hexed(value):
    """Protobuf's JSON writes bytes as base64; OTLP's JSON wants ids in hexadecimal."""
    if isinstance(value, dict):
        return {k: base64.b64decode(v).hex() if k in ("traceId", "spanId", "parentSpanId") else hexed(v) for k, v in value.items()}
    return [hexed(v) for v in value] if isinstance(value, list) else value


def save(spans, logs=()):
    from google.protobuf.json_format import MessageToDict
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    requests = [encode_spans(spans)]
    if logs:
        from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
        requests.append(encode_logs(logs))
    (OUT / "spans.jsonl").write_text("".join(
        json.dumps(hexed(MessageToDict(r, use_integers_for_enums=True))) + "\\n" for r in requests))
    framed = b"".join(len(d := r.SerializeToString()).to_bytes(4, "big") + d for r in requests)
    (OUT / "framed.binpb").write_bytes(framed)
    if not logs:
        (OUT / "bare.binpb").write_bytes(requests[0].SerializeToString())
'''

GENAI_EVENTS = """
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
import openai

traces, spans = provider()
logs = InMemoryLogRecordExporter()
logging = LoggerProvider()
logging.add_log_record_processor(SimpleLogRecordProcessor(logs))
OpenAIInstrumentor().instrument(tracer_provider=traces, logger_provider=logging)
tracer = traces.get_tracer("app")
with tracer.start_as_current_span("POST /chat", attributes={"session.id": "conv-1", "user.id": "u-1", "tenant": "acme"}):
    talk(openai.OpenAI(base_url=URL + "/v1", api_key="none"))
save(spans.get_finished_spans(), logs.get_finished_logs())
"""

GENAI_ATTRIBUTES = """
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
import openai

traces, spans = provider()
OpenAIInstrumentor().instrument(tracer_provider=traces)
tracer = traces.get_tracer("app")


def tool(run):
    with tracer.start_as_current_span("execute_tool get_weather", attributes={
        "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_weather", "gen_ai.tool.call.id": "call_1",
        "gen_ai.tool.call.arguments": '{"city": "Lisbon"}', "gen_ai.tool.call.result": "27 C, sun"}):
        return run()


with tracer.start_as_current_span("invoke_agent clerk", attributes={
    "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "clerk", "gen_ai.agent.version": "7",
    "gen_ai.conversation.id": "conv-1", "user.id": "u-1", "tenant": "acme"}):
    talk(openai.OpenAI(base_url=URL + "/v1", api_key="none"), tool)
save(spans.get_finished_spans())
"""

OPENINFERENCE = """
from openinference.instrumentation import using_attributes
from openinference.instrumentation.openai import OpenAIInstrumentor
import openai

traces, spans = provider()
OpenAIInstrumentor().instrument(tracer_provider=traces)
tracer = traces.get_tracer("app")


def tool(run):
    with tracer.start_as_current_span("get_weather", attributes={
        "openinference.span.kind": "TOOL", "tool.name": "get_weather", "input.value": '{"city":"Lisbon"}',
        "output.value": "27 C, sun"}):
        return run()


with using_attributes(session_id="conv-1", user_id="u-1", metadata={"tenant": "acme"}):
    with tracer.start_as_current_span("agent", attributes={
        "openinference.span.kind": "AGENT", "input.value": QUESTION, "session.id": "conv-1", "user.id": "u-1",
        "metadata": '{"tenant": "acme"}'}) as span:
        talk(openai.OpenAI(base_url=URL + "/v1", api_key="none"), tool)
        span.set_attribute("output.value", ANSWER)
done = spans.get_finished_spans()
save(done)
(OUT / "sdk.jsonl").write_text("".join(span.to_json(indent=None) + "\\n" for span in done))
"""

TRACELOOP = """
from opentelemetry.instrumentation.openai import OpenAIInstrumentor
import openai

traces, spans = provider()
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

logs = InMemoryLogRecordExporter()
logging = LoggerProvider()
logging.add_log_record_processor(SimpleLogRecordProcessor(logs))
OpenAIInstrumentor(use_attributes=ATTRIBUTES).instrument(tracer_provider=traces, logger_provider=logging)
tracer = traces.get_tracer("app")
shared = {"traceloop.association.properties.session_id": "conv-1", "traceloop.association.properties.user_id": "u-1",
          "traceloop.association.properties.tenant": "acme", "traceloop.workflow.name": "support"}


def tool(run):
    with tracer.start_as_current_span("get_weather.tool", attributes={
        **shared, "traceloop.span.kind": "tool", "traceloop.entity.name": "get_weather",
        "traceloop.entity.input": json.dumps({"args": [], "kwargs": {"city": "Lisbon"}}),
        "traceloop.entity.output": '"27 C, sun"'}):
        return run()


with tracer.start_as_current_span("support.workflow", attributes={
    **shared, "traceloop.span.kind": "workflow", "traceloop.entity.name": "support",
    "traceloop.entity.input": json.dumps({"args": [QUESTION], "kwargs": {}})}) as span:
    talk(openai.OpenAI(base_url=URL + "/v1", api_key="none"), tool)
    span.set_attribute("traceloop.entity.output", json.dumps(ANSWER))
save(spans.get_finished_spans(), logs.get_finished_logs())
"""

LANGFUSE = """
from langfuse import Langfuse, propagate_attributes
from langfuse.openai import openai

traces, spans = provider()
langfuse = Langfuse(public_key="pk", secret_key="sk", base_url=URL, tracer_provider=traces, flush_interval=60)


def tool(run):
    with langfuse.start_as_current_observation(as_type="tool", name="get_weather", input={"city": "Lisbon"}) as span:
        result = run()
        span.update(output=result)
        return result


with langfuse.start_as_current_observation(as_type="agent", name="clerk", input=QUESTION) as span:
    with propagate_attributes(session_id="conv-1", user_id="u-1", metadata={"tenant": "acme"}):
        talk(openai.OpenAI(base_url=URL + "/v1", api_key="none"), tool)
        span.update(output=ANSWER)
save(spans.get_finished_spans())
os._exit(0)
"""

LANGSMITH_OTEL = """
traces, spans = provider()
import langsmith, openai
from langsmith import traceable
from langsmith.wrappers import wrap_openai

client = langsmith.Client(api_url=URL, api_key="none")
model = wrap_openai(openai.OpenAI(base_url=URL + "/v1", api_key="none"), tracing_extra={"client": client})


@traceable(run_type="tool", name="get_weather", client=client)
def get_weather(city):
    return "27 C, sun"


@traceable(run_type="chain", name="clerk", client=client, metadata={"session_id": "conv-1", "user_id": "u-1", "tenant": "acme"})
def clerk(question):
    talk(model, lambda run: get_weather(city="Lisbon"))
    return ANSWER


clerk(QUESTION)
client.flush()
save(spans.get_finished_spans())
os._exit(0)
"""

LANGSMITH_RUNS = """
import langsmith, openai
from langsmith import traceable
from langsmith.wrappers import wrap_openai

client = langsmith.Client(api_url=URL, api_key="none", auto_batch_tracing=False)
model = wrap_openai(openai.OpenAI(base_url=URL + "/v1", api_key="none"), tracing_extra={"client": client})


@traceable(run_type="tool", name="get_weather", client=client)
def get_weather(city):
    return "27 C, sun"


@traceable(run_type="chain", name="clerk", client=client, metadata={"thread_id": "conv-1", "user_id": "u-1", "tenant": "acme"})
def clerk(question):
    talk(model, lambda run: get_weather(city="Lisbon"))
    return ANSWER


clerk(QUESTION)
batch = {"post": [], "patch": []}
for kind, body in POSTED:
    batch[kind].append(body)
(OUT / "runs.json").write_text(json.dumps(batch))
"""

EXPORTERS: dict[str, tuple[str, dict[str, str]]] = {
    "genai 1.28 (message events)": (GENAI_EVENTS, {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true"}),
    "genai 1.37 (message attributes)": (
        GENAI_ATTRIBUTES,
        {
            "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "span_only",
        },
    ),
    "openinference": (OPENINFERENCE, {}),
    "traceloop (message attributes)": (TRACELOOP.replace("ATTRIBUTES", "True"), {}),
    "traceloop (message events)": (TRACELOOP.replace("ATTRIBUTES", "False"), {}),
    "langfuse": (LANGFUSE, {}),
    "langsmith otel (genai 1.27)": (
        LANGSMITH_OTEL,
        {"LANGSMITH_TRACING": "true", "LANGSMITH_OTEL_ENABLED": "true", "LANGSMITH_OTEL_ONLY": "true"},
    ),
    "langsmith runs": (LANGSMITH_RUNS, {"LANGSMITH_TRACING": "true"}),
}


def export(script: str, settings: dict[str, str], folder: Path) -> list[Path]:
    """Run an exporter; the files that it wrote."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "LANG", "OPENAI", "TRACELOOP"))}
    done = subprocess.run(
        [sys.executable, "-c", STAGE + textwrap.dedent(script), QUESTION, ANSWER, str(folder)],
        env={**clean, **settings, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    files = sorted(folder.iterdir())
    assert files, done.stderr[-3000:]
    return files


def turns(path: Path) -> list[dict[str, Any]]:
    """The turns of a file, all of its spans accepted."""
    rows: list[dict[str, Any]] = []
    for _, tables, report in read_files([path], now=NOW):
        rows += [row for table in tables for row in table.to_pylist()]
        assert report.rejected == {}
    return rows


@pytest.mark.parametrize("dialect", EXPORTERS)
def test_one_request_with_a_tool_is_one_turn(dialect: str, tmp_path: Path) -> None:
    for path in export(*EXPORTERS[dialect], tmp_path):
        rows = turns(path)
        assert len(rows) == 1, path.name
        (turn,) = rows
        facets = dict(turn["facets"])
        assert turn["input"] == QUESTION, path.name
        assert turn["output"] == ANSWER
        assert [call["name"] for call in turn["tool_calls"]] == ["get_weather"]
        assert turn["tool_calls"][0]["arguments"].replace(" ", "") == '{"city":"Lisbon"}'
        assert turn["tool_calls"][0]["result"] == "27 C, sun"
        # Langfuse's wrapper writes the model that answered over the one that was asked for, and no finish reason.
        told = ("gpt-4o-2024-08-06", None, None) if dialect == "langfuse" else ("gpt-4o", "gpt-4o-2024-08-06", "stop")
        assert (turn["model"], turn["served_model"], turn["finish_reason"]) == told
        assert (turn["input_tokens"], turn["output_tokens"]) == (20, 10)
        assert (turn["session_id"], turn["user_id"]) == ("conv-1", "u-1")
        assert turn["latency_ms"] > 0
        assert turn["error"] is None
        assert facets["tenant"] == "acme"
        if path.name != "runs.json":
            assert facets["service.version"] == "1.4.2"
