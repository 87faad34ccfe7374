"""The HTTP door over real connections."""

from __future__ import annotations

import base64
import gzip
import http.client
import socket
import ssl
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from google.rpc.status_pb2 import Status

from door_worlds import Log, intake_over, json_log, json_logs, json_span, json_traces, logs, tls_files, traces
from unquiet.doors import Doors, DoorSettings, Intake, Limits, TlsFiles, run_doors
from unquiet.doors.answers import JSON, PROTOBUF
from unquiet.model.bodies import Body, BodyKind
from unquiet.model.errors import DoorError, WalError, WalFull

GOOD = traces().SerializeToString()
PROTO = {"Content-Type": PROTOBUF}
TURN = b'{"time":1790000000,"session_id":"a"}\n'


class World:
    """An open door and the log behind it."""

    def __init__(self, doors: Doors, intake: Intake, log: Log) -> None:
        self.port, self.intake, self.log = doors.http_port or 0, intake, log

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
        connection = self.connect()
        try:
            connection.request(method, path, body=body, headers=headers or {})
            return Reply(connection.getresponse())
        finally:
            connection.close()

    def post(self, body: Any, path: str = "/v1/traces", **headers: str) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", path, body, PROTO | named)

    def is_well(self) -> bool:
        before = len(self.log.bodies)
        return self.post(GOOD).status == 200 and len(self.log.bodies) == before + 1


class Reply:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def message(self) -> str:
        if self.headers["Content-Type"] == PROTOBUF:
            return Status.FromString(self.body).message
        return orjson.loads(self.body)["message"]


@contextmanager
def opened(log: Log | None = None, *, limits: Limits | None = None, **settings: Any) -> Iterator[World]:
    log = log or Log()
    intake = intake_over(log, limits=limits)
    doors = Doors(DoorSettings(http_port=0, grpc_port=None, limits=limits or Limits(), **settings), intake)
    doors.start()
    try:
        yield World(doors, intake, log)
        assert intake.budget.used_bytes == 0
    finally:
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


def test_every_path_leads_to_its_kind(world: World) -> None:
    for path, kind, body in (
        ("/v1/traces", PROTOBUF, GOOD),
        ("/v1/traces", JSON, orjson.dumps(json_traces(json_span()))),
        ("/v1/logs", PROTOBUF, logs().SerializeToString()),
        ("/v1/logs", f"{JSON}; charset=utf-8", orjson.dumps(json_logs(json_log()))),
        ("/api/public/otel/v1/traces", PROTOBUF, GOOD),
        ("/v1/turns", "application/x-ndjson", TURN),
        ("/v1/turns", JSON, TURN),
        ("/v1/metrics", PROTOBUF, b""),
    ):
        reply = world.ask("POST", path, body, {"Content-Type": kind})
        assert reply.status == 200, (path, kind, reply.body)
        assert reply.headers["Content-Type"] == (PROTOBUF if kind == PROTOBUF else JSON)
    assert [body.kind for body in world.log.bodies] == [
        BodyKind.TRACES_PROTO,
        BodyKind.TRACES_JSON,
        BodyKind.LOGS_PROTO,
        BodyKind.LOGS_JSON,
        BodyKind.TRACES_PROTO,
        BodyKind.TURNS_JSONL,
        BodyKind.TURNS_JSONL,
    ]


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(GOOD)),
        ("GZIP", gzip.compress(GOOD[:50]) + gzip.compress(GOOD[50:])),
        ("deflate", zlib.compress(GOOD)),
        ("deflate", raw_deflate(GOOD)),
        ("identity", GOOD),
    ],
)
def test_encodings(world: World, encoding: str, body: bytes) -> None:
    assert world.post(body, Content_Encoding=encoding).status == 200
    assert [one.payload for one in world.log.bodies] == [GOOD]


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", GOOD),
        ("gzip", gzip.compress(GOOD)[:-9]),
        ("gzip", gzip.compress(GOOD)[:5]),
        ("gzip", gzip.compress(GOOD) + b"rest"),
        ("gzip", gzip.compress(GOOD)[:-8] + bytes(8)),
        ("deflate", zlib.compress(GOOD)[:-4]),
        ("deflate", zlib.compress(GOOD) + b"rest"),
    ],
    # The bytes of gzip hold the time: they are no names that two workers agree on.
    ids=["plain", "torn", "head only", "with a rest", "wrong sum", "torn deflate", "deflate with a rest"],
)
def test_a_false_encoding_is_bad_data(world: World, encoding: str, body: bytes) -> None:
    reply = world.post(body, Content_Encoding=encoding)
    assert (reply.status, f"{encoding!r} was claimed" in reply.message) == (400, True)
    assert world.is_well()


def test_an_unknown_encoding_is_told_what_is_known(world: World) -> None:
    reply = world.post(GOOD, Content_Encoding="zstd")
    assert (reply.status, reply.headers["Accept-Encoding"]) == (415, "gzip, deflate, identity")
    assert "gzip, deflate, identity" in reply.message


def test_wrong_requests_get_their_status(world: World) -> None:
    assert world.ask("POST", "/v1/spans", GOOD, PROTO).status == 404
    assert world.ask("GET", "/").status == 404
    reply = world.ask("GET", "/v1/traces")
    assert (reply.status, reply.headers["Allow"]) == (405, "POST")
    reply = world.ask("DELETE", "/healthz")
    assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD")
    for kind in ("text/plain", "application/x-www-form-urlencoded", "", "application/grpc"):
        reply = world.ask("POST", "/v1/traces", GOOD, {"Content-Type": kind})
        assert (reply.status, PROTOBUF in reply.message) == (415, True)
    assert world.ask("POST", "/v1/turns", TURN, PROTO).status == 415
    assert world.post(b"\xff" * 100).status == 400
    assert "access-control-allow-origin" not in world.ask("OPTIONS", "/v1/traces").headers
    assert world.log.bodies == []
    assert world.is_well()


def test_turns_say_which_lines_were_rejected(world: World) -> None:
    reply = world.ask("POST", "/v1/turns", TURN + b"{}\n", {"Content-Type": "application/jsonl"})
    document = orjson.loads(reply.body)
    assert (reply.status, document["accepted"], document["rejected"][0]["line"]) == (200, 1, 2)


def test_health_and_readiness(world: World) -> None:
    for path in ("/healthz", "/readyz"):
        reply = world.ask("GET", path)
        assert (reply.status, reply.body) == (200, b'{"status":"ok"}')
    assert world.ask("HEAD", "/healthz").body == b""
    world.log.room_problem = WalFull("the disk is full", "disk")
    reply = world.ask("GET", "/readyz")
    assert (reply.status, orjson.loads(reply.body)["status"]) == (503, "not ready")
    assert "disk is nearly full" in orjson.loads(reply.body)["reason"]
    assert world.ask("GET", "/healthz").status == 200


def test_one_connection_serves_many_requests_whatever_their_answer(world: World) -> None:
    connection = world.connect()
    statuses = []
    for body, kind in ((GOOD, PROTOBUF), (GOOD * 2000, "text/plain"), (b"\xff", PROTOBUF), (GOOD, PROTOBUF)):
        connection.request("POST", "/v1/traces", body=body, headers={"Content-Type": kind})
        statuses.append(Reply(connection.getresponse()).status)
        used = connection.sock
    assert statuses == [200, 415, 400, 200]
    assert used is not None
    connection.close()


@pytest.mark.parametrize(("bound", "status"), [("undrained", 429), ("disk", 503)])
def test_without_room_nothing_is_read(world: World, bound: Any, status: int) -> None:
    world.log.room_problem = WalFull("no room", bound)
    reply = world.post(GOOD * 50_000)
    assert (reply.status, reply.headers["Retry-After"], "again in 5 s" in reply.message) == (status, "5", True)
    world.log.room_problem = None
    assert world.is_well()


def test_a_failed_append_is_no_acknowledgement(world: World) -> None:
    world.log.problem = WalError("the disk is broken")
    reply = world.post(GOOD)
    assert (reply.status, reply.headers["Retry-After"], "cannot be written" in reply.message) == (503, "5", True)
    world.log.problem = None
    assert world.is_well()


LIMITED = Limits(body_bytes_max=100_000, header_bytes_max=4000, inflight_bytes_max=1_000_000)


@pytest.fixture(scope="module")
def limited() -> Iterator[World]:
    with opened(limits=LIMITED) as world:
        yield world


def test_an_announced_body_over_the_limit_is_refused_unread(limited: World) -> None:
    with socket.create_connection(("127.0.0.1", limited.port), timeout=10) as connection:
        connection.sendall(
            b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-protobuf\r\nContent-Length: 100001\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
    reply = limited.post(bytes(5_000_000))
    assert (reply.status, reply.headers["Retry-After"], "100,000 bytes" in reply.message) == (413, None, True)
    assert limited.is_well()


def test_a_body_of_unknown_length_is_refused_at_the_limit(limited: World) -> None:
    connection = limited.connect()
    connection.putrequest("POST", "/v1/traces")
    connection.putheader("Content-Type", PROTOBUF)
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    for _ in range(11):
        connection.send(b"2710\r\n" + bytes(10_000) + b"\r\n")
    assert Reply(connection.getresponse()).status == 413
    connection.close()
    chunked = limited.ask("POST", "/v1/traces", iter([GOOD[:20], GOOD[20:]]), PROTO)
    assert chunked.status == 200
    assert limited.is_well()


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_is_inflated_no_further_than_the_limit(limited: World, encoding: str) -> None:
    zeros = bytes(50_000_000)
    bomb = gzip.compress(zeros) if encoding == "gzip" else zlib.compress(zeros)
    assert limited.post(bomb, Content_Encoding=encoding).status == 413
    assert limited.is_well()


def test_headers_are_bounded(limited: World) -> None:
    reply = limited.post(GOOD, **{f"X_{n}": "x" * 450 for n in range(8)})
    assert reply.status == 200
    assert limited.post(GOOD, **{f"X_{n}": "x" * 450 for n in range(10)}).status in (400, 431)
    assert limited.is_well()


def test_a_body_that_trickles_is_given_up() -> None:
    with opened(limits=Limits(body_grace_s=0.3)) as world:
        connection = world.connect()
        connection.putrequest("POST", "/v1/traces")
        connection.putheader("Content-Type", PROTOBUF)
        connection.putheader("Content-Length", str(len(GOOD)))
        connection.endheaders()
        connection.send(GOOD[:10])
        reply = Reply(connection.getresponse())
        assert (reply.status, reply.headers["Connection"]) == (408, "close")
        connection.close()


def test_a_sender_that_hangs_up_leaves_nothing_behind(limited: World) -> None:
    before = len(limited.log.bodies)
    for _ in range(5):
        connection = limited.connect()
        connection.putrequest("POST", "/v1/traces")
        connection.putheader("Content-Type", PROTOBUF)
        connection.putheader("Content-Length", "90000")
        connection.endheaders()
        connection.send(GOOD[:10])
        connection.close()
    assert limited.is_well()
    assert len(limited.log.bodies) == before + 1


class SlowLog(Log):
    """Holds every append until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.entered = threading.Semaphore(0)

    def append(self, body: Body) -> None:
        self.entered.release()
        assert self.go_on.wait(20)
        super().append(body)


def test_bodies_in_flight_are_bounded_together() -> None:
    """Each counts as read and as parsed: 3 times its size."""
    log = SlowLog()
    body = traces(100).SerializeToString()
    limits = Limits(inflight_bytes_max=len(body) * 8)
    with opened(log, limits=limits) as world:
        replies: list[Reply] = []
        senders = [threading.Thread(target=lambda: replies.append(world.post(body))) for _ in range(2)]
        for sender in senders:
            sender.start()
        assert all(log.entered.acquire(timeout=10) for _ in senders)
        refused = world.post(body)
        assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
        log.go_on.set()
        for sender in senders:
            sender.join()
        assert [reply.status for reply in replies] == [200, 200]
        assert world.post(body).status == 200


def test_stopping_answers_what_is_under_way() -> None:
    log = SlowLog()
    intake = intake_over(log)
    doors = Doors(DoorSettings(http_port=0, grpc_port=None), intake)
    doors.start()
    world = World(doors, intake, log)
    replies: list[Reply] = []
    sender = threading.Thread(target=lambda: replies.append(world.post(GOOD)))
    sender.start()
    assert log.entered.acquire(timeout=10)
    stopping = threading.Thread(target=doors.stop)
    stopping.start()
    log.go_on.set()
    stopping.join(20)
    sender.join(20)
    assert ([reply.status for reply in replies], len(log.bodies)) == ([200], 1)
    assert doors.dead() == ("http",)


TOKENS = {"shop-token": "shop", "desk-token": "desk"}


@pytest.fixture(scope="module")
def guarded() -> Iterator[World]:
    with opened(tokens=TOKENS) as world:
        yield world


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("headers", "source"),
    [
        ({"Authorization": "Bearer shop-token"}, "shop"),
        ({"Authorization": "bearer  desk-token"}, "desk"),
        ({"x-api-key": "desk-token"}, "desk"),
        ({"Authorization": basic("public", "shop-token")}, "shop"),
        ({"Authorization": "Bearer wrong", "x-api-key": "shop-token"}, "shop"),
        ({}, None),
        ({"Authorization": "Bearer "}, None),
        ({"Authorization": "Bearer shop-toke"}, None),
        ({"Authorization": "Bearer shop-token2"}, None),
        ({"Authorization": "shop-token"}, None),
        ({"Authorization": basic("shop-token", "")}, None),
        ({"Authorization": "Basic !!!"}, None),
        ({"Authorization": "Bearer \xff"}, None),
    ],
)
def test_tokens_open_the_door_and_name_the_source(guarded: World, headers: dict[str, str], source: str | None) -> None:
    guarded.log.bodies.clear()
    reply = guarded.ask("POST", "/api/public/otel/v1/traces", GOOD, PROTO | headers)
    assert [body.source for body in guarded.log.bodies] == ([] if source is None else [source])
    if source is None:
        assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, 'Bearer realm="unquiet"')
        assert "shop-token" not in reply.message


def test_tokens_are_in_no_text(guarded: World) -> None:
    settings = DoorSettings(tokens=TOKENS)
    assert "shop-token" not in repr(settings)
    assert guarded.ask("GET", "/healthz").status == 200
    with pytest.raises(ValueError, match="empty token"):
        Doors(DoorSettings(http_port=0, grpc_port=None, tokens={"": "all"}), intake_over(Log()))


def test_idle_connections_are_closed() -> None:
    with opened(limits=Limits(idle_s=1)) as world:
        silent = socket.create_connection(("127.0.0.1", world.port), timeout=10)
        half = socket.create_connection(("127.0.0.1", world.port), timeout=10)
        half.sendall(b"POST /v1/traces HTTP/1.1\r\nHost:")
        assert silent.recv(10) == b""
        assert half.recv(10) == b""
        silent.close()
        half.close()


def test_a_taken_port_is_explained() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DoorError, match=f"HTTP door cannot be opened at 127.0.0.1:{port}"):
            Doors(DoorSettings(http_port=port, grpc_port=None), intake_over(Log()))


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return tls_files(tmp_path_factory.mktemp("tls"))


def test_tls(tls: TlsFiles) -> None:
    with opened(tls=tls) as world:
        trusted = ssl.create_default_context(cafile=str(tls.cert))
        connection = http.client.HTTPSConnection("127.0.0.1", world.port, timeout=20, context=trusted)
        connection.request("POST", "/v1/traces", body=GOOD, headers=PROTO)
        assert Reply(connection.getresponse()).status == 200
        connection.close()


def test_tls_files_that_cannot_be_used_are_explained(tls: TlsFiles, tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("no key")
    for files in (TlsFiles(tls.cert, tmp_path / "none.pem"), TlsFiles(tls.cert, tmp_path / "bad.pem")):
        with pytest.raises(DoorError, match="TLS files of the HTTP door"):
            Doors(DoorSettings(http_port=0, grpc_port=None, tls=files), intake_over(Log()))


def test_doors_run_until_they_are_stopped() -> None:
    stop, log = threading.Event(), Log()
    seen: list[int] = []

    def ready(doors: Doors) -> None:
        assert doors.dead() == ()
        world = World(doors, intake, log)
        seen.append(world.post(GOOD).status)
        stop.set()

    intake = intake_over(log)
    run_doors(DoorSettings(http_port=0, grpc_port=0), intake, stop, ready)
    assert (seen, len(log.bodies)) == ([200], 1)
