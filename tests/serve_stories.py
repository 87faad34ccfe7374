"""The demo's story with an end: some days of traffic, a quiet failure, some days after it; small enough for a test."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from serve_worlds import Service, request_of, send
from unquiet.demo import write_story
from unquiet.demo.story import START

DAYS = 7
LEARN_DAYS = 3
SESSIONS_PER_DAY = 2000
INTENT = "refund"
"""Only these requests are kept: about 125 sessions a day, in which the incident is found within hours."""


@dataclass(frozen=True)
class Tale:
    """`rows` are turns in order of time. The failure lasts from `onset` to `over`."""

    rows: list[dict[str, Any]]
    deploys: Path
    onset: datetime
    over: datetime


def tell(folder: Path) -> Tale:
    """Learning, failure and recovery; the same at every call."""
    first = write_story(folder / "first", sessions_per_day=SESSIONS_PER_DAY, days=DAYS)
    over = START + timedelta(days=DAYS)
    later = write_story(folder / "later", sessions_per_day=SESSIONS_PER_DAY, days=DAYS, seed=8, start=over)
    rows = [
        json.loads(line) for story in (first, later) for line in gzip.decompress(story.turns.read_bytes()).splitlines()
    ]
    failing = {row["session_id"] for row in rows if datetime.fromisoformat(row["time"]) >= later.onset}
    kept = [row for row in rows if row["intent"] == INTENT and row["session_id"] not in failing]
    kept.sort(key=lambda row: row["time"])
    return Tale(kept, first.deploys, first.onset, over)


def chunks(rows: Sequence[dict[str, Any]], hours: float) -> Iterator[list[dict[str, Any]]]:
    """Turns of so many hours each, in order."""
    held: list[dict[str, Any]] = []
    begin = datetime.fromisoformat(rows[0]["time"])
    for row in rows:
        at = datetime.fromisoformat(row["time"])
        while at - begin >= timedelta(hours=hours):
            if held:
                yield held
            held, begin = [], begin + timedelta(hours=hours)
        held.append(row)
    yield held


def halves(rows: Sequence[dict[str, Any]]) -> tuple[ExportTraceServiceRequest, ExportTraceServiceRequest]:
    """The spans of turns for two doors; a session stays at one door."""
    sides: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    for row in rows:
        sides[zlib.crc32(row["session_id"].encode()) % 2].append(row)
    return request_of(sides[0]), request_of(sides[1])


def deliver(service: Service, rows: Sequence[dict[str, Any]]) -> None:
    """Send turns over both doors at once, again and again until each has acknowledged its half, as exporters do."""
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(_insist, service, door, half) for door, half in enumerate(halves(rows))]
        for job in jobs:
            job.result(120)


def _insist(service: Service, door: int, request: ExportTraceServiceRequest) -> None:
    taken = _by_grpc if door else _by_http
    end = time.monotonic() + 100
    while not taken(service, request):
        assert time.monotonic() < end, "not acknowledged"
        time.sleep(0.2)


def _by_http(service: Service, request: ExportTraceServiceRequest) -> bool:
    try:
        status = send(service, request)
    except httpx.TransportError:
        return False
    assert status in (200, 429, 503), status
    return status == 200


def _by_grpc(service: Service, request: ExportTraceServiceRequest) -> bool:
    with grpc.insecure_channel(service.grpc_target) as channel:
        try:
            answer = TraceServiceStub(channel).Export(request, timeout=60)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
            return False
    assert answer.partial_success.rejected_spans == 0
    return True


def write_spans(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """The same spans as a file, as the collector writes it."""
    requests = [half for part in chunks(rows, 6) for half in halves(part)]
    datas = [request.SerializeToString() for request in requests]
    path.write_bytes(b"".join(len(data).to_bytes(4, "big") + data for data in datas))
    return path
