"""The gRPC door over real connections."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from door_worlds import Log, add_span, intake_over, logs, tls_files, traces
from unquiet.doors import Doors, DoorSettings, Intake, Limits, TlsFiles
from unquiet.doors.grpc_door import METHODS
from unquiet.model.bodies import BodyKind
from unquiet.model.errors import DoorError, WalError, WalFull

TRACES = next(iter(METHODS))


class World:
    def __init__(self, doors: Doors, intake: Intake, log: Log) -> None:
        self.port, self.intake, self.log = doors.grpc_port or 0, intake, log
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}", options=[("grpc.max_send_message_length", -1)])

    def fails(self, body: bytes, **call: Any) -> grpc.RpcError:
        with pytest.raises(grpc.RpcError) as caught:
            self.channel.unary_unary(TRACES)(body, timeout=20, **call)
        return caught.value

    def is_well(self) -> bool:
        before = len(self.log.bodies)
        self.channel.unary_unary(TRACES)(traces().SerializeToString(), timeout=20)
        return len(self.log.bodies) == before + 1


@contextmanager
def opened(*, limits: Limits | None = None, **settings: Any) -> Iterator[World]:
    log = Log()
    intake = intake_over(log, limits=limits)
    doors = Doors(DoorSettings(http_port=None, grpc_port=0, limits=limits or Limits(), **settings), intake)
    doors.start()
    world = World(doors, intake, log)
    try:
        yield world
        assert intake.budget.used_bytes == 0
    finally:
        world.channel.close()
        doors.stop()


@pytest.fixture(scope="module")
def shared_world() -> Iterator[World]:
    with opened() as world:
        yield world


@pytest.fixture
def world(shared_world: World) -> World:
    shared_world.log.bodies.clear()
    shared_world.log.problem = shared_world.log.room_problem = None
    return shared_world


def retry_delay_s(error: grpc.RpcError) -> int | None:
    """The RetryInfo of a failed call, None where there is none."""
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            status = Status.FromString(value)
            assert (status.code, status.message) == (error.code().value[0], error.details())
            for detail in status.details:
                info = RetryInfo()
                assert detail.Unpack(info)
                return info.retry_delay.seconds
    return None


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_every_service_takes_its_kind(world: World, compression: grpc.Compression) -> None:
    spans = traces()
    add_span(spans, trace_id=b"")
    answer = TraceServiceStub(world.channel).Export(spans, timeout=20, compression=compression)
    assert answer.partial_success.rejected_spans == 1
    assert not LogsServiceStub(world.channel).Export(logs(), timeout=20).HasField("partial_success")
    metrics = ExportMetricsServiceRequest()
    metrics.resource_metrics.add().scope_metrics.add().metrics.add().gauge.data_points.add()
    answer = MetricsServiceStub(world.channel).Export(metrics, timeout=20)
    assert (answer.partial_success.rejected_data_points, answer.partial_success.error_message) == (
        1,
        "metrics are not used",
    )
    assert [(body.kind, body.count) for body in world.log.bodies] == [
        (BodyKind.TRACES_PROTO, 3),
        (BodyKind.LOGS_PROTO, 3),
    ]


def test_bad_data_is_an_invalid_argument(world: World) -> None:
    error = world.fails(b"\xff" * 100)
    assert (error.code(), retry_delay_s(error)) == (grpc.StatusCode.INVALID_ARGUMENT, None)
    assert "no OTLP request of traces" in error.details()
    assert world.is_well()


def test_other_methods_are_not_implemented(world: World) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        world.channel.unary_unary(TRACES.replace("Export", "Import"))(b"", timeout=20)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("bound", ["undrained", "disk"])
def test_without_room_the_sender_is_told_when_to_come_back(world: World, bound: Any) -> None:
    body = traces().SerializeToString()
    world.log.room_problem = WalFull("no room", bound)
    error = world.fails(body * 1000)
    assert (error.code(), retry_delay_s(error)) == (grpc.StatusCode.UNAVAILABLE, 5)
    world.log.room_problem, world.log.problem = None, WalError("broken")
    error = world.fails(body)
    assert (error.code(), retry_delay_s(error)) == (grpc.StatusCode.UNAVAILABLE, 5)
    assert "cannot be written" in error.details()
    world.log.problem = None
    assert world.is_well()


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
@pytest.mark.parametrize("size", [100_001, 50_000_000])
def test_a_message_over_the_limit_must_not_be_sent_again(compression: Any, size: int) -> None:
    with opened(limits=Limits(body_bytes_max=100_000)) as world:
        error = world.fails(bytes(size), compression=compression)
        assert (error.code(), retry_delay_s(error)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, None)
        assert world.is_well()


def test_tokens_open_the_door_and_name_the_source() -> None:
    body = traces().SerializeToString()
    with opened(tokens={"shop-token": "shop"}) as world:
        call = world.channel.unary_unary(TRACES)
        call(body, timeout=20, metadata=[("authorization", "Bearer shop-token")])
        call(body, timeout=20, metadata=[("x-api-key", "shop-token")])
        assert [one.source for one in world.log.bodies] == ["shop", "shop"]
        for metadata in ([], [("authorization", "Bearer other")], [("authorization-bin", b"shop-token")]):
            error = world.fails(body * 1000, metadata=metadata)
            assert error.code() == grpc.StatusCode.UNAUTHENTICATED
            assert ("www-authenticate", "Bearer") in [tuple(one) for one in error.trailing_metadata()]
            assert "shop-token" not in error.details()
        assert len(world.log.bodies) == 2


def test_a_taken_port_is_explained() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DoorError, match=f"gRPC door cannot be opened at 127.0.0.1:{port}"):
            Doors(DoorSettings(http_port=0, grpc_port=port), intake_over(Log()))


def test_tls(tmp_path: Path) -> None:
    files = tls_files(tmp_path)
    with opened(tls=files) as world:
        trusted = grpc.ssl_channel_credentials(files.cert.read_bytes())
        with grpc.secure_channel(f"127.0.0.1:{world.port}", trusted) as channel:
            channel.unary_unary(TRACES)(traces().SerializeToString(), timeout=20)
        assert len(world.log.bodies) == 1
    with (
        pytest.raises(DoorError, match="TLS files of the gRPC door"),
        opened(tls=TlsFiles(files.cert, tmp_path / "no")),
    ):
        pass
