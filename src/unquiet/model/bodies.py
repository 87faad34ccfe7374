"""What a door took in and keeps until it is drained: one request body."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


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
