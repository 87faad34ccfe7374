"""What a door took in and keeps until it is drained: one request body, cleaned of what may not reach a disk."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest


class BodyKind(IntEnum):
    """What the payload of a body is. The numbers are written to disk and never change their meaning."""

    TRACES_PROTO = 1
    TRACES_JSON = 2
    LOGS_PROTO = 3
    LOGS_JSON = 4
    TURNS_JSONL = 5


@dataclass(frozen=True, slots=True)
class Body:
    """One accepted request: validated, inflated and cleaned of what may not reach a disk.

    `source` names who sent it (the name of its token, empty where the door asks for none); `arrived_us` is the moment of
    arrival, microseconds since 1970; `count` is the number of spans, log records or turns in it.
    """

    kind: BodyKind
    source: str
    arrived_us: int
    count: int
    payload: bytes


class Cleaner(Protocol):
    """Removes from a request what may not reach a disk: all but spans in place, True where something was changed.

    Called from several threads at once, before anything is written. JSON documents were checked: they are nested no deeper
    than 100 levels, and their resources, scopes, spans and log records are lists of objects as OTLP has them.
    `source` names who sent the request, empty where the door asks for no token.
    """

    def traces(self, raw: bytes, source: str) -> bytes:
        """A serialised request of spans that was checked, cleaned; the same object where nothing changes."""
        ...

    def logs(self, request: ExportLogsServiceRequest, source: str, raw: bytes | None) -> bool:
        """Clean log records; `raw` are the bytes that the request was read from, None where it is not the same any more."""
        ...

    def json_spans(self, document: dict[str, Any], source: str) -> bool:
        """Clean an OTLP/JSON document of spans."""
        ...

    def json_logs(self, document: dict[str, Any], source: str) -> bool:
        """Clean an OTLP/JSON document of log records."""
        ...

    def turn(self, row: dict[str, Any], source: str) -> bool:
        """Clean one row of the turn table."""
        ...
