"""HTTP to a receiver: one call, bounded in time and size, and the one place that says which failures are worth a retry."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

import httpx
import orjson

from unquiet import __version__
from unquiet.alerts.options import is_loopback
from unquiet.alerts.texts import one_line
from unquiet.model.alerts import DeliveryError

MOST_BYTES = 16 << 20
"""No receiver has more to say; a hundred GitHub issues of the largest size fit."""

TIMEOUT_S = 10.0
REDIRECTS = 3
_MOVED = (301, 302, 307, 308)
_LATER = (408, 425, 429)
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Reply:
    """What a receiver answered with a status of success."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> object:
        """The body as JSON, None where it is none."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None


@dataclass(slots=True)
class Poster:
    """Calls one receiver.

    `who` names it in messages, `secrets` are taken out of whatever the receiver or the network says. `timeout_s` bounds
    each wait and three times that the whole call. TLS is verified; proxies and SSL_CERT_FILE of the environment are
    honoured, but a loopback address is never asked through a proxy. Redirects to another host, port or scheme are not
    followed.
    """

    who: str
    secrets: tuple[str, ...] = field(default=(), repr=False)
    timeout_s: float = TIMEOUT_S
    tick: Callable[[], float] = time.monotonic
    _clients: dict[str, httpx.Client] = field(default_factory=dict[str, httpx.Client], repr=False)

    def call(self, method: str, url: str, payload: object = None, headers: Mapping[str, str] | None = None) -> Reply:
        """Send JSON (or the bytes that `payload` is) and return the answer.

        Raises:
            DeliveryError: no answer came, or one whose status is no success.
        """
        body = payload if isinstance(payload, bytes) else orjson.dumps(payload) if payload is not None else None
        sent = {"Accept-Encoding": "identity", "User-Agent": f"unquiet/{__version__}"}
        if body is not None:
            sent["Content-Type"] = "application/json"
        sent |= dict(headers or {})
        reply = self._once(method, url, body, sent)
        for _ in range(REDIRECTS):
            if reply.status not in _MOVED or "location" not in reply.headers:
                break
            url = self._moved(url, reply.headers["location"])
            reply = self._once(method, url, body, sent)
        if not 200 <= reply.status < 300:
            raise self.failure(reply)
        return reply

    def failure(self, reply: Reply) -> DeliveryError:
        """What an answer that is no success means: a retry for 408, 425, 429, 5xx and used-up limits, else the end."""
        wait = retry_after_s(reply.headers)
        limited = reply.status == HTTPStatus.FORBIDDEN and (wait is not None or _used_up(reply.headers))
        again = reply.status in _LATER or reply.status >= 500 or limited
        said = self.scrubbed(reply.body[:4000].decode("utf-8", "replace"))
        todo = "It is tried again." if again else "Check its address, key and options; it is not tried again."
        quoted = f': "{said}"' if said else ""
        return DeliveryError(
            f"{self.who} answered {_named(reply.status)}{quoted}. {todo}", permanent=not again, retry_after_s=wait
        )

    def _moved(self, url: str, goal: str) -> str:
        try:
            goal = urljoin(url, goal)
        except ValueError:
            goal = ""
        if _origin(goal) != _origin(url):
            raise DeliveryError(
                f"{self.who} redirects to {self.scrubbed(_origin(goal))}, which is not followed. Set the address to where it "
                "really is.",
                permanent=True,
            )
        return goal

    def scrubbed(self, text: str) -> str:
        """One short line of a text, without any secret."""
        for secret in self.secrets:
            if secret:
                text = text.replace(secret, "***")
        return one_line(text, _SHOWN)

    def _once(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        until = self.tick() + 3 * self.timeout_s
        try:
            with self._client(url).stream(method, url, content=body, headers=dict(headers)) as response:
                return Reply(response.status_code, response.headers, self._body(response, until))
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            why = self.scrubbed(str(error)) or "no answer"
            # Without its cause: the text of that may hold an address or a header that is secret.
            raise DeliveryError(
                f"{self.who} could not be reached ({type(error).__name__}: {why}). It is tried again; check the network "
                "and its address if that lasts."
            ) from None

    def _body(self, response: httpx.Response, until: float) -> bytes:
        parts: list[bytes] = []
        size = 0
        for part in response.iter_raw():
            parts.append(part)
            size += len(part)
            if size > MOST_BYTES or self.tick() > until:
                why = (
                    f"more than {MOST_BYTES} bytes" if size > MOST_BYTES else f"not done after {3 * self.timeout_s:g} s"
                )
                raise httpx.ReadError(f"the answer was left alone: {why}")
        return b"".join(parts)

    def _client(self, url: str) -> httpx.Client:
        host = urlsplit(url).hostname or ""
        client = self._clients.get(host)
        if client is None:
            bare = f"[{host}]" if ":" in host else host
            # A connection that was idle for hours would fail its first use in a way that leaves open whether it arrived.
            client = self._clients[host] = httpx.Client(
                timeout=self.timeout_s,
                follow_redirects=False,
                limits=httpx.Limits(max_keepalive_connections=0),
                mounts={f"all://{bare}": None} if is_loopback(host) else None,
            )
        return client


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by `Retry-After` (a number or a date, the latter against the receiver's own `Date`), None without it.

    RFC 9110, section 10.2.3.
    """
    text = headers.get("retry-after", "").strip()
    try:
        value = float(text)
    except ValueError:
        return _until(text, headers.get("date", ""))
    return value if math.isfinite(value) and value >= 0 else None


def _until(text: str, now: str) -> float | None:
    try:
        at, since = parsedate_to_datetime(text), parsedate_to_datetime(now)
    except ValueError:
        return None
    if at.tzinfo is None or since.tzinfo is None:
        at, since = at.replace(tzinfo=UTC), since.replace(tzinfo=UTC)
    return max(0.0, (at - since).total_seconds())


def _used_up(headers: Mapping[str, str]) -> bool:
    """GitHub answers 403 where a rate limit is used up."""
    return headers.get("x-ratelimit-remaining") == "0"


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.scheme}://{parts.hostname}:{port}"


class _OriginOnly(logging.Filter):
    """httpx logs whole addresses, and those of webhooks are secrets."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the record, with no more of an address than its origin."""
        if isinstance(record.args, tuple):
            record.args = tuple(_origin(str(arg)) if isinstance(arg, httpx.URL) else arg for arg in record.args)
        return True


logging.getLogger("httpx").addFilter(_OriginOnly())
