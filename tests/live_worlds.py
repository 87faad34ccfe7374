"""A small world of agent traces for the live judgement, and a service over it with a clock of its own, without sockets."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from unquiet.model.bodies import Body, BodyKind
from unquiet.model.errors import StoreError
from unquiet.model.settings import Settings
from unquiet.service.engine import Engine, EngineSettings
from unquiet.store import Store
from unquiet.wal import START, Entry, Position

SECOND, MINUTE, HOUR, DAY = 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000
START_US = round(datetime(2026, 1, 5, tzinfo=UTC).timestamp() * 1e6)
EVER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
LATENESS_S, QUIET_S, LONGEST_S = 300, 10, 900
REMOTE = 0x300

GOOD = "Your order is on its way and will arrive within three days. Here is the link to follow the parcel."
BAD = "I'm sorry, but I can't help with that request. Please contact support for further assistance."
TOPICS = ("refund", "delivery", "invoice", "login")


def settings(*, end_marker: str | None = None) -> EngineSettings:
    """A judge that learns in two days."""
    judgement = Settings(learn=timedelta(days=2), least_sessions=100, end_marker=end_marker)
    return EngineSettings(judgement, timedelta(seconds=LATENESS_S), QUIET_S, LONGEST_S)


@dataclass(frozen=True)
class Item:
    """A span or a log record, when its exporter sends it, and the trace that it is of."""

    at_us: int
    message: Span | LogRecord
    trace: int
    is_root: bool = False


def attributes(values: dict[str, str | int]) -> list[KeyValue]:
    made = []
    for name, value in values.items():
        item = KeyValue(key=name)
        if isinstance(value, int):
            item.value.int_value = value
        else:
            item.value.string_value = value
        made.append(item)
    return made


def span(
    trace: int,
    number: int,
    parent: int | None,
    start_us: int,
    end_us: int,
    values: dict[str, str | int],
    flags: int = 0,
) -> Span:
    """A span; ids are made of numbers, a parent is a number of the same trace."""
    return Span(
        trace_id=trace.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        parent_span_id=b"" if parent is None else parent.to_bytes(8, "big"),
        name="step",
        start_time_unix_nano=start_us * 1000,
        end_time_unix_nano=end_us * 1000,
        attributes=attributes(values),
        flags=flags,
    )


def said(role: str, text: str) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])


AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "clerk"}
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.output_tokens": 20}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "find_order"}


def turn(
    trace: int, at_us: int, session: str, asked: str, answer: str, facets: dict[str, str], kind: int
) -> list[Item]:
    """The spans of one turn as its exporter sends them: agent, model call, its messages as a log record, maybe a tool.

    `kind` 1 has a tool, 2 an agent whose parent is in another program.
    """
    end = at_us + 6 * SECOND
    root = span(
        trace, 1, 99 if kind == 2 else None, at_us, end,
        {**AGENT, "gen_ai.conversation.id": session, **facets}, REMOTE if kind == 2 else 0,
    )  # fmt: skip
    chat = span(
        trace, 2, 1, at_us + SECOND, end - SECOND, {**CHAT, "gen_ai.output.messages": said("assistant", answer)}
    )
    record = LogRecord(
        trace_id=chat.trace_id,
        span_id=chat.span_id,
        time_unix_nano=(at_us + SECOND) * 1000,
        event_name="gen_ai.client.inference.operation.details",
        attributes=attributes({"gen_ai.input.messages": said("user", asked)}),
    )
    items = [
        Item(at_us + 2 * SECOND, record, trace),
        Item(end, chat, trace),
        Item(end + SECOND, root, trace, is_root=True),
    ]
    if kind == 1:
        items.append(Item(end - SECOND, span(trace, 3, 1, end - 2 * SECOND, end - SECOND, dict(TOOL)), trace))
    return items


def world(
    seed: int, days: float = 4.5, per_day: int = 60, onset: float = 3.0, *, marker: str | None = None
) -> list[Item]:
    """Sessions of one to three turns; from a day on most requests for refunds are refused; an hour later one more turn."""
    rng = np.random.default_rng(seed)
    items: list[Item] = []
    trace = 1
    for number, day in enumerate(np.sort(rng.random(int(days * per_day)) * days).tolist()):
        topic = str(rng.choice(TOPICS))
        facets = {"user.id": f"u{rng.integers(400)}", "intent": topic, "plan": str(rng.choice(["free", "paid"]))}
        at = START_US + round(day * DAY)
        bad = rng.random() < (0.8 if topic == "refund" and day >= onset else 0.03)
        count = int(rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1]))
        for place in range(count):
            last = {marker: "yes"} if marker is not None and place == count - 1 and rng.random() < 0.6 else {}
            asked = f"I have a question about my {topic}, order number {number}, part {place}"
            items += turn(trace, at, f"s{number}", asked, BAD if bad else GOOD, facets | last, int(rng.integers(3)))
            at += round(rng.uniform(0.5, 20) * MINUTE)
            trace += 1
    items += turn(trace, START_US + round(days * DAY) + 2 * HOUR, "end", "hello", GOOD, {"plan": "free"}, 0)
    return sorted(items, key=lambda item: item.at_us)


def bodies(items: Sequence[Item], sizes: Iterator[int] | None = None) -> list[Body]:
    """Bodies of items that follow each other, each sent with its last one; up to `sizes` of them, no more than 2 s apart."""
    made: list[Body] = []
    at, sizes = 0, sizes or iter(lambda: 3, 0)
    while at < len(items):
        size, first = next(sizes), items[at]
        part = [item for item in items[at : at + size] if item.at_us <= first.at_us + 2 * SECOND]
        while len({type(item.message) for item in part}) > 1:
            part.pop()
        at += len(part)
        made.append(body_of(part, part[-1].at_us))
    return made


def body_of(items: Sequence[Item], at_us: int) -> Body:
    """One body of spans or of log records."""
    messages = [item.message for item in items]
    if isinstance(messages[0], Span):
        spans = ExportTraceServiceRequest()
        spans.resource_spans.add().scope_spans.add().spans.extend(messages)
        return Body(BodyKind.TRACES_PROTO, "", at_us, len(messages), spans.SerializeToString())
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.extend(messages)
    return Body(BodyKind.LOGS_PROTO, "", at_us, len(messages), logs.SerializeToString())


def entries_of(bodies: Sequence[Body]) -> list[Entry]:
    """The log with these bodies."""
    return [Entry(body, Position(1, 100 * (place + 1))) for place, body in enumerate(bodies)]


@dataclass
class Log:
    """Reads entries like `WalReader`: those that have arrived by `now_us`, from a position on."""

    entries: Sequence[Entry]
    position: Position
    now_us: int = 0
    released: Position = START

    def read(self, bytes_max: int) -> list[Entry]:
        waiting = [entry for entry in self.entries if entry.end > self.position and entry.body is not None]
        found = [entry for entry in waiting if entry.body is not None and entry.body.arrived_us <= self.now_us]
        if found:
            self.position = found[-1].end
        return found

    def release(self, upto: Position) -> None:
        assert upto >= self.released
        self.released = upto

    @property
    def undrained_bytes(self) -> int:
        return sum(len(e.body.payload) for e in self.entries if e.body is not None and e.end > self.released)


@dataclass
class Service:
    """An engine over a folder and a log; `crash` leaves both as they are and goes on from a copy of the folder."""

    folder: Path
    entries: Sequence[Entry]
    settings: EngineSettings = field(default_factory=settings)
    lives: int = 0
    now_us: int = 0
    left: list[Store] = field(default_factory=list[Store])

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        self.store = Store.open(self.folder, memory_mb=256, threads=1)
        self.arm(0, after=False)
        self.engine = Engine.open(self.store, self.folder / "wal", self.settings, list, lambda *_: None)
        self.log = Log(self.entries, self.engine.drain.position)
        self.engine.reader = self.log  # type: ignore[assignment]

    def arm(self, statement: int, *, after: bool) -> None:
        """The disk fails at a statement from now on, 0 for never: before it is done, or right after it."""
        database = self.store._database
        plain = type(database).run
        left = [statement]

        def run(sql: str, values: Sequence[object] = ()) -> Any:
            left[0] -= 1
            if left[0] == 0 and not after:
                raise StoreError(f"no disk for {sql}")
            rows = plain(database, sql, values)
            if left[0] == 0:
                raise StoreError(f"no disk after {sql}")
            return rows

        database.run = run  # type: ignore[method-assign]

    def step(self, now_us: int) -> None:
        self.now_us = self.log.now_us = now_us
        self.engine.step(now_us)

    def crash(self) -> None:
        """What is on the disk now is what the next life finds."""
        self.lives += 1
        after = self.folder.with_name(f"life{self.lives}")
        shutil.copytree(self.folder, after)
        self.left.append(self.store)
        self.folder = after
        self.open()

    def reopen(self) -> None:
        """Begin anew after an error, as the loop of the service does."""
        self.store.close()
        self.open()

    def close(self) -> None:
        for store in (*self.left, self.store):
            store.close()


def finish_us(entries: Sequence[Entry]) -> int:
    """When everything has arrived."""
    return max(entry.body.arrived_us for entry in entries if entry.body is not None)


def run_to_end(service: Service) -> None:
    """Let everything arrive, become complete and due."""
    now_us = max(service.now_us, finish_us(service.entries))
    for wait_s in (0, LONGEST_S + 1, LATENESS_S + 1):
        now_us += wait_s * SECOND
        service.step(now_us)


@dataclass
class Facts:
    """What a judgement left in its folder."""

    turns: pa.Table
    sessions: pa.Table
    counts: pa.Table
    incidents: list[dict[str, Any]]
    counters: Counter[str] = field(default_factory=Counter[str])


def facts(store: Store) -> Facts:
    columns = sorted(store.session_columns())
    return Facts(
        store.turns_between(*EVER),
        store.sessions_between(*EVER, columns=columns).sort_by([("closed", "ascending"), ("visit_id", "ascending")]),
        store.counts_between(*EVER),
        store.incidents(),
        Counter(store.get_setting("service counts") or {}),
    )
