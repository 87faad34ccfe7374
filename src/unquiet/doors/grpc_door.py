"""OTLP over gRPC: the three export methods on raw bytes, through the same intake as HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from unquiet.doors.access import DENIED, Access
from unquiet.doors.answers import PROTOBUF, Answer, Signal
from unquiet.doors.intake import Intake
from unquiet.doors.settings import DoorSettings
from unquiet.model.errors import DoorError

METHODS: dict[str, Signal] = {
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export": "traces",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export": "logs",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": "metrics",
}

SLACK_BYTES = 64 << 10
"""A message may be so much larger than a body, so that the intake says what is wrong with it, not the library."""

THREADS = 8
"""Each holds at most one message, so this bounds the memory of messages that are being received."""

STOP_SECONDS_MAX = 10.0

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.UNAVAILABLE,
    503: grpc.StatusCode.UNAVAILABLE,
}


class _Export(grpc.GenericRpcHandler):
    """Finds the method of a call; what can be refused is refused before its message is read."""

    def __init__(self, intake: Intake, access: Access, clock: Callable[[], float]) -> None:
        self._intake, self._access, self._clock = intake, access, clock

    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """The handler of a call, None where there is no such method."""
        signal = METHODS.get(handler_call_details.method)
        if signal is None:
            return None
        metadata = {key: value for key, value in handler_call_details.invocation_metadata if isinstance(value, str)}
        source = self._access.source_of(metadata.get("authorization"), metadata.get("x-api-key"))
        if source is None:
            return self._refusing(Answer(401, PROTOBUF, b"", message=DENIED))
        full = self._intake.full(PROTOBUF)
        if full is not None:
            return self._refusing(full)
        return grpc.unary_unary_rpc_method_handler(self._exporting(signal, source))

    def _exporting(self, signal: Signal, source: str) -> Callable[[bytes, grpc.ServicerContext], bytes]:
        def export(request: bytes, context: grpc.ServicerContext) -> bytes:
            start = self._clock()
            answer = self._intake.receive(signal, PROTOBUF, request, source)
            self._intake.counters.answered("grpc", answer.status, self._clock() - start)
            return answer.body if answer.status == 200 else _abort(context, answer)

        return export

    def _refusing(self, answer: Answer) -> grpc.RpcMethodHandler[bytes, bytes]:
        """A handler that takes a stream and reads nothing of it, so that no message is received."""

        def refuse(_requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            self._intake.counters.answered("grpc", answer.status, 0.0)
            _abort(context, answer)

        return grpc.stream_unary_rpc_method_handler(refuse)


def _abort(context: grpc.ServicerContext, answer: Answer) -> NoReturn:
    """End a call with the status of an answer, and with RetryInfo where the same may be sent again."""
    code = _CODES[answer.status]
    number: int = code.value[0]
    status = Status(code=number, message=answer.message)
    if answer.retry_after_s is not None:
        packed = AnyMessage()
        packed.Pack(RetryInfo(retry_delay=Duration(seconds=answer.retry_after_s)))
        status.details.append(packed)
    trailing: list[tuple[str, str | bytes]] = [("grpc-status-details-bin", status.SerializeToString())]
    if answer.status == 401:
        trailing.append(("www-authenticate", "Bearer"))
    context.set_trailing_metadata(tuple(trailing))
    context.abort(code, answer.message)


class GrpcServer:
    """Bound on construction, serving between `start` and `stop`."""

    def __init__(
        self,
        settings: DoorSettings,
        intake: Intake,
        access: Access,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Bind the address.

        Raises:
            DoorError: it is taken or not allowed, or the TLS files cannot be used.
        """
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="grpc-intake")
        self._server = grpc.server(
            self._pool,
            handlers=[_Export(intake, access, clock)],
            options=[
                ("grpc.max_receive_message_length", settings.limits.body_bytes_max + SLACK_BYTES),
                ("grpc.so_reuseport", 0),
                ("grpc.max_concurrent_streams", 100),
                ("grpc.absolute_max_metadata_size", settings.limits.header_bytes_max),
            ],
        )
        self.is_alive = False
        host = f"[{settings.grpc_host}]" if ":" in settings.grpc_host else settings.grpc_host
        self.port = self._bind(f"{host}:{settings.grpc_port or 0}", settings)

    def _bind(self, address: str, settings: DoorSettings) -> int:
        try:
            if settings.tls is None:
                port = self._server.add_insecure_port(address)
            else:
                pair = (settings.tls.key.read_bytes(), settings.tls.cert.read_bytes())
                port = self._server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
        except OSError as error:
            raise DoorError(f"The TLS files of the gRPC door cannot be used: {error}. Give PEM files.") from error
        except RuntimeError as error:
            # The library's text, without its hint at its own variables, which tell no more.
            raise _unbound(address, str(error).partition(";")[0]) from error
        if port == 0:
            raise _unbound(address, "the library gives no reason; with TLS, check that key and certificate match")
        return port

    def start(self) -> None:
        """Serve."""
        self._server.start()
        self.is_alive = True

    def stop(self) -> None:
        """Finish the calls that are under way, then end."""
        self.is_alive = False
        self._server.stop(STOP_SECONDS_MAX).wait()
        self._pool.shutdown(wait=True)


def _unbound(address: str, reason: str) -> DoorError:
    return DoorError(
        f"The gRPC door cannot be opened at {address}: {reason}. Choose another address or port with `grpc` in [doors], or end "
        "what uses it."
    )
