"""The exporters of the OpenTelemetry SDK against the doors, as an agent would be set up with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from door_worlds import Log, intake_over
from unquiet.conventions.otlp import read_resource_spans
from unquiet.doors import Doors, DoorSettings, Limits
from unquiet.model.errors import WalFull

TOKEN = {"authorization": "Bearer agent-token"}


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def doors(log: Log) -> Iterator[Doors]:
    settings = DoorSettings(http_port=0, grpc_port=0, tokens={"agent-token": "agent"})
    opened = Doors(settings, intake_over(log, limits=Limits(retry_after_s=1)))
    opened.start()
    yield opened
    opened.stop()


def http_exporter(doors: Doors) -> SpanExporter:
    endpoint = f"http://127.0.0.1:{doors.http_port}/v1/traces"
    return HttpExporter(endpoint=endpoint, compression=Compression.Gzip, headers=TOKEN, timeout=15)


def grpc_exporter(doors: Doors) -> SpanExporter:
    endpoint = f"http://127.0.0.1:{doors.grpc_port}"
    return GrpcExporter(endpoint=endpoint, insecure=True, compression=grpc.Compression.Gzip, headers=TOKEN, timeout=15)


def send_spans(exporter: SpanExporter, count: int = 5) -> None:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("agent")
    for n in range(count):
        with tracer.start_as_current_span(f"chat {n}", attributes={"answer": "ja, natürlich", "parts": ["a", "b"]}):
            pass
    provider.shutdown()


@pytest.mark.parametrize("make", [http_exporter, grpc_exporter])
def test_spans_of_an_sdk_arrive(doors: Doors, log: Log, make: Any) -> None:
    send_spans(make(doors))
    (body,) = log.bodies
    assert (body.source, body.count) == ("agent", 5)
    found = read_resource_spans(ExportTraceServiceRequest.FromString(body.payload).resource_spans)
    assert [span.name for span in found.spans] == [f"chat {n}" for n in range(5)]
    assert found.spans[0].attributes == {"answer": "ja, natürlich", "parts": ["a", "b"]}


@pytest.mark.parametrize("make", [http_exporter, grpc_exporter])
@pytest.mark.parametrize("bound", ["undrained", "disk"])
def test_an_sdk_comes_back_when_there_is_room_again(doors: Doors, log: Log, make: Any, bound: Any) -> None:
    """The first try is refused, with a moment to come back; the second is taken, once."""
    refusals = [WalFull("no room", bound)]
    log.room = lambda: refusals.pop() if refusals else None
    send_spans(make(doors))
    assert (refusals, [body.count for body in log.bodies]) == ([], [5])
