"""OTLP over HTTP and turns as JSON lines: an ASGI application. Memory is bounded before a body is read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from unquiet.doors.access import CHALLENGE, DENIED, Access
from unquiet.doors.answers import JSON, PROTOBUF, Answer, Signal, media_type, refused
from unquiet.doors.budget import OverBudgetError, Reservation
from unquiet.doors.inflating import ENCODINGS, NotCompressedError, TooLargeError, inflated
from unquiet.doors.intake import Intake

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = dict[bytes, bytes]

_OTLP_TYPES = (PROTOBUF, JSON)
_TURN_TYPES = ("application/x-ndjson", "application/jsonl", JSON)


@dataclass(frozen=True, slots=True)
class _Route:
    what: Signal | Literal["turns"]
    types: tuple[str, ...]


ROUTES = {
    "/v1/traces": _Route("traces", _OTLP_TYPES),
    "/v1/logs": _Route("logs", _OTLP_TYPES),
    "/v1/metrics": _Route("metrics", _OTLP_TYPES),
    "/api/public/otel/v1/traces": _Route("traces", _OTLP_TYPES),
    "/v1/turns": _Route("turns", _TURN_TYPES),
}
"""What can be posted where; the path of Langfuse's clients leads to the same place."""

HEALTH = ("/healthz", "/readyz")


class _Refusal(Exception):
    """A request that is answered before it is taken; `close`: nothing more can be read from its connection."""

    def __init__(self, answer: Answer, *headers: tuple[bytes, bytes], close: bool = False) -> None:
        super().__init__(answer.message)
        self.answer = answer
        self.headers = [*headers, (b"connection", b"close")] if close else list(headers)


class _Gone(Exception):
    """The sender hung up before its body was complete."""


class HttpDoor:
    """The ASGI application. `pool` runs what blocks."""

    def __init__(
        self, intake: Intake, access: Access, pool: Executor, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._intake, self._access, self._pool, self._clock = intake, access, pool, clock
        self._limits = intake.limits

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers: Headers = dict(scope["headers"])
        started = [self._clock()]
        extra: list[tuple[bytes, bytes]] = []
        try:
            if scope["path"] in HEALTH:
                answer = self._health(scope)
            else:
                answer = await self._post(scope, headers, receive, started)
        except _Refusal as refusal:
            answer, extra = refusal.answer, refusal.headers
        except _Gone:
            return
        if scope["path"] not in HEALTH:
            self._intake.counters.answered("http", answer.status, self._clock() - started[0])
        await _send(send, answer, extra)

    def _health(self, scope: dict[str, Any]) -> Answer:
        """Alive: answers at all. Ready: would take a body now."""
        if scope["method"] not in ("GET", "HEAD"):
            raise _wrong_method("GET, HEAD")
        full = self._intake.full(JSON) if scope["path"] == "/readyz" else None
        if full is not None:
            return Answer(503, JSON, orjson.dumps({"status": "not ready", "reason": full.message}))
        return Answer(200, JSON, b'{"status":"ok"}')

    async def _post(self, scope: dict[str, Any], headers: Headers, receive: Receive, started: list[float]) -> Answer:
        route = ROUTES.get(scope["path"])
        if route is None:
            known = ", ".join(ROUTES)
            raise _Refusal(refused(404, JSON, f"There is nothing at this path. Bodies are posted to {known}."))
        if scope["method"] != "POST":
            raise _wrong_method("POST")
        kind = media_type(_text(headers, b"content-type"))
        source, encoding = self._checked(scope, headers, route, kind)
        with self._intake.budget.reserved() as reservation:
            try:
                body = await self._body(headers, kind, receive, reservation)
                started[0] = self._clock()
                take = self._taker(route, kind, source, encoding)
                return await asyncio.get_running_loop().run_in_executor(self._pool, take, body, reservation)
            except OverBudgetError as error:
                raise _Refusal(self._intake.over_budget(kind, error)) from error

    def _checked(self, scope: dict[str, Any], headers: Headers, route: _Route, kind: str) -> tuple[str, str]:
        """The source and the encoding of a request that may be read."""
        if sum(len(name) + len(value) for name, value in scope["headers"]) > self._limits.header_bytes_max:
            limit = f"{self._limits.header_bytes_max:,} bytes"
            raise _Refusal(refused(431, kind, f"The headers are larger than {limit}."), close=True)
        api_key = _text(headers, b"x-api-key") or None
        source = self._access.source_of(_text(headers, b"authorization") or None, api_key)
        if source is None:
            raise _Refusal(refused(401, kind, DENIED), (b"www-authenticate", CHALLENGE.encode()))
        if kind not in route.types:
            raise _Refusal(
                refused(415, kind, f"The content type {kind!r} is not taken here; send {' or '.join(route.types)}.")
            )
        encoding = _text(headers, b"content-encoding").strip().lower() or "identity"
        if encoding not in ENCODINGS:
            allowed = ", ".join(ENCODINGS)
            raise _Refusal(
                refused(415, kind, f"The content encoding {encoding!r} is not known; send one of {allowed}."),
                (b"accept-encoding", allowed.encode()),
            )
        full = self._intake.full(kind)
        if full is not None:
            raise _Refusal(full)
        return source, encoding

    async def _body(self, headers: Headers, kind: str, receive: Receive, reservation: Reservation) -> bytes:
        """The body as it was sent, no larger and no slower than allowed."""
        announced = headers.get(b"content-length")
        if announced is not None:
            if int(announced) > self._limits.body_bytes_max:
                raise _Refusal(self._intake.too_large(kind))
            reservation.grow(int(announced))
        pieces: list[bytes] = []
        size = 0
        start = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._limits.body_grace_s) as patience:
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    piece, more = message["body"], message["more_body"]
                    size += len(piece)
                    if announced is None:
                        if size > self._limits.body_bytes_max:
                            raise _Refusal(self._intake.too_large(kind))
                        reservation.grow(len(piece))
                    pieces.append(piece)
                    patience.reschedule(start + self._limits.body_grace_s + size / self._limits.body_bytes_per_s_min)
        except TimeoutError:
            text = f"The body came too slowly: {size:,} bytes, then nothing in time. Send the same again."
            raise _Refusal(refused(408, kind, text), close=True) from None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _taker(self, route: _Route, kind: str, source: str, encoding: str) -> Callable[[bytes, Reservation], Answer]:
        """What is done with a whole body, in a thread."""

        def take(body: bytes, reservation: Reservation) -> Answer:
            try:
                raw = inflated(body, encoding, self._limits.body_bytes_max, reservation)
            except TooLargeError:
                return self._intake.too_large(kind)
            except NotCompressedError as error:
                return refused(400, kind, f"The content encoding {encoding!r} was claimed, but {error}.")
            if route.what == "turns":
                return self._intake.turns(raw, source, reservation)
            return self._intake.receive(route.what, kind, raw, source, reservation)

        return take


def _text(headers: Headers, name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")


def _wrong_method(allowed: str) -> _Refusal:
    answer = refused(405, JSON, f"This path takes {allowed} only.")
    return _Refusal(answer, (b"allow", allowed.encode()))


async def _send(send: Send, answer: Answer, extra: list[tuple[bytes, bytes]]) -> None:
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        *extra,
    ]
    if answer.retry_after_s is not None:
        headers.append((b"retry-after", str(answer.retry_after_s).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
