"""What stands before every route: sizes, Host, access, cross-site requests; and the headers behind every response."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unquiet.web.access import Access, Reader
from unquiet.web.headers import SECURITY
from unquiet.web.pages.browsers import ENTER, LEAVE, as_page
from unquiet.web.pages.forms import FORM_TYPE
from unquiet.web.problems import problem, shown

MOST_BODY_BYTES = 64 << 10
MOST_HEADER_BYTES = 16 << 10
MOST_HEADERS = 100
MOST_URL_BYTES = 4096
BODY_S = 30.0

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "QUERY"})
OPEN_PATHS = frozenset({"/healthz"})
OPEN_FILES = "/static/"
"""What the form to log in is drawn with; the same in every installation."""

LOGIN = "/login"
JSON_TYPES = frozenset({"application/json"})
EVENT_TYPE, BATCH_TYPE = "application/cloudevents+json", "application/cloudevents-batch+json"
EVENTS = "/api/v1/changes"
READER = "reader"

EVALS = "/api/v1/evals"
REPORT_TYPES = frozenset(
    {
        "application/json",
        "application/jsonl",
        "application/octet-stream",
        "application/x-ndjson",
        "application/xml",
        "application/zip",
        "text/xml",
    }
)
FORM_TYPES = frozenset({FORM_TYPE})
TYPES = {
    EVENTS: JSON_TYPES | {EVENT_TYPE, BATCH_TYPE},
    EVALS: REPORT_TYPES,
    ENTER: FORM_TYPES,
    LEAVE: FORM_TYPES,
}
"""What the paths take that do not take JSON alone."""
MOST_REPORT_BYTES = 16 << 20
"""Of a report of an evaluation suite; every other body is short."""

INCIDENTS = "/incidents/"
LOGINS = frozenset({LOGIN, ENTER})

ANYBODY = Reader("", may_act=True, bearer=False)


def reader_of(request: Request) -> Reader | None:
    """Who sent a request, as the guard found; None for somebody unknown on a path that is open to all."""
    return getattr(request.state, READER, None)


class Guard:
    """An ASGI layer around an app: refuses what may not come in, with a problem document.

    `now_us` gives the present moment, microseconds since 1970.
    """

    def __init__(self, app: ASGIApp, access: Access, now_us: Callable[[], int]) -> None:
        self._app = app
        self._access = access
        self._now_us = now_us

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event of the server."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        answer = self._oversized(scope, headers) or self._foreign(headers) or self._unknown(scope, headers)
        if answer is None and scope["method"] not in SAFE:
            answer = self._not_acting(scope, headers)
        if answer is None:
            body = await _body(receive, _most(scope))
            if isinstance(body, Response):
                answer = body
            elif body is None:
                return
            else:
                receive = _replayed(body, receive)
        if answer is not None:
            answer = as_page(answer, scope, headers)
        await (answer or self._app)(scope, receive, self._sealed(send))

    def _oversized(self, scope: Scope, headers: Headers) -> Response | None:
        raw: list[tuple[bytes, bytes]] = scope["headers"]
        size = sum(len(name) + len(value) for name, value in raw)
        if size > MOST_HEADER_BYTES or len(raw) > MOST_HEADERS:
            limits = f"{MOST_HEADER_BYTES} bytes in {MOST_HEADERS} headers"
            return problem(431, f"got {size} bytes in {len(raw)} headers, {limits} are allowed", "Send fewer headers.")
        url = len(scope["path"]) + len(scope["query_string"])
        if url > MOST_URL_BYTES:
            return problem(414, f"got a URL of {url} bytes, {MOST_URL_BYTES} are allowed", "Shorten the URL.")
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            return problem(400, f"got Content-Length {shown(length)}, a number is allowed", "Correct the header.")
        if len(length) > 12 or int(length) > _most(scope):
            return _too_large(f"{length[:20]} bytes", _most(scope))
        return None

    def _foreign(self, headers: Headers) -> Response | None:
        hosts = headers.getlist("host")
        if len(hosts) == 1 and self._access.allows_host(hosts[0]):
            return None
        got = shown(hosts[0]) if len(hosts) == 1 else f"{len(hosts)} of them"
        return problem(
            400,
            f"got Host {got}; a loopback name or a configured one is allowed",
            "Call the service by a name that it knows, or add this one to its configured hosts.",
        )

    def _unknown(self, scope: Scope, headers: Headers) -> Response | None:
        reader = self._reader(headers)
        scope.setdefault("state", {})[READER] = reader
        path, method = scope["path"], scope["method"]
        open_to_all = path in OPEN_PATHS or (method in ("GET", "HEAD") and path.startswith(OPEN_FILES))
        if reader is not None or open_to_all or (method == "POST" and path in LOGINS):
            return None
        got = "no token" if "authorization" not in headers else "a token that is not known"
        return problem(
            401,
            f"got {got}; a bearer token of the configuration is needed",
            "Send the header Authorization: Bearer TOKEN.",
            headers={"WWW-Authenticate": 'Bearer realm="unquiet"'},
        )

    def _reader(self, headers: Headers) -> Reader | None:
        if not self._access.needed:
            return ANYBODY
        given = headers.get("authorization")
        if given is not None:
            scheme, _, token = given.partition(" ")
            return self._access.by_token(token.strip()) if scheme.lower() == "bearer" else None
        value = cookie_parser(headers.get("cookie", "")).get(self._access.cookie)
        return self._access.by_cookie(value, self._now_us()) if value else None

    def _not_acting(self, scope: Scope, headers: Headers) -> Response | None:
        """Why a request that changes something is refused: forged by another site, without the right, or of a wrong type."""
        reader: Reader | None = scope["state"][READER]
        if not (reader and reader.bearer) and not _same_origin(headers):
            return problem(
                403,
                "got neither a bearer token nor a same-origin Origin or Sec-Fetch-Site header: it may come from another site",
                "Send a bearer token; where none is configured, the header Origin: http://HOST:PORT of this service.",
            )
        if reader and not reader.may_act and scope["path"] not in {*LOGINS, LEAVE}:
            return problem(403, f"the token {shown(reader.name)} may only read", "Use one that may act.")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        allowed = _types(scope["path"])
        if kind not in allowed:
            names = " or ".join(sorted(allowed))
            return problem(415, f"got Content-Type {shown(kind)}, {names} is allowed", "Send one of these, and say so.")
        return None

    def _sealed(self, send: Send) -> Send:
        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", [])
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY:
                    headers.setdefault(name, value)
                if self._access.tls:
                    headers.setdefault("strict-transport-security", "max-age=31536000")
            await send(message)

        return sealed


def _same_origin(headers: Headers) -> bool:
    """Whether a browser says that the request comes from a page of this very host. One of its two headers is enough."""
    origin, fetch = headers.get("origin"), headers.get("sec-fetch-site")
    if origin is not None:
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        if parts.scheme not in ("http", "https") or parts.netloc.lower() != headers.get("host", "").lower():
            return False
    return (origin is not None or fetch is not None) and fetch in (None, "same-origin")


def _types(path: str) -> frozenset[str]:
    """The media types that a path takes: pages take forms."""
    return FORM_TYPES if path.startswith(INCIDENTS) else TYPES.get(path, JSON_TYPES)


def _most(scope: Scope) -> int:
    """The bytes that a body may have."""
    return MOST_REPORT_BYTES if scope["path"] == EVALS and scope["method"] == "POST" else MOST_BODY_BYTES


def _too_large(size: str, most: int) -> Response:
    return problem(
        413,
        f"got a body of {size}, {most} are allowed",
        "Send less; traffic belongs to the doors, not here.",
    )


async def _body(receive: Receive, most: int) -> bytes | Response | None:
    """The whole body, the refusal of one that is too long or too slow, or None where the client went away."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                body += message.get("body", b"")
                if len(body) > most:
                    return _too_large(f"more than {most} bytes", most)
                more = message.get("more_body", False)
    except TimeoutError:
        return problem(408, f"got no whole body within {BODY_S:.0f} s", "Send it faster.")
    return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    first: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> MutableMapping[str, Any]:
        return first.pop() if first else await receive()

    return replayed
