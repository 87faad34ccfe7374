"""An OpenAI-compatible endpoint: where it is, one call of it, and patience with it that ends within two minutes."""

from __future__ import annotations

import http.client
import ipaddress
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Protocol
from urllib.parse import SplitResult, urlsplit

from unquiet.model.errors import ConfigError

PATH = "/chat/completions"
MOST_BYTES = 1 << 20
PATIENCE_S = 120.0
"""An endpoint that has not answered for so long is dead, and is said to be."""

FIRST_DELAY_S, LONGEST_DELAY_S = 1.0, 30.0
BUSY = 429


@dataclass(frozen=True, slots=True)
class Reply:
    """What the endpoint answered. `retry_after_s` is how long it asks to wait, None where it does not."""

    status: int
    body: bytes
    retry_after_s: float | None = None


class Unreachable(Exception):
    """No answer came; the text says why. `sent` is False where nothing can have been charged."""

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.sent = sent


class Dead(Exception):
    """The endpoint did not answer for PATIENCE_S; the text says what the last failure was."""


class Endpoint(Protocol):
    """What a judge is asked through."""

    def post(self, payload: bytes, timeout_s: float) -> Reply:
        """One call, which ends after `timeout_s` at the latest; raises Unreachable."""
        ...


def parse_endpoint(text: str) -> SplitResult:
    """The address of the chat completions of a base URL.

    Raises:
        ConfigError: it is no http or https address, or holds a password.
    """
    try:
        parts = urlsplit(text)
        host = parts.hostname
        _ = parts.port, text.encode("ascii"), (host or "").encode("idna")
    except ValueError as error:
        raise ConfigError(
            f"--endpoint {text[:200]!r}: {error}. Expected an address such as http://127.0.0.1:8000/v1"
        ) from error
    if parts.username is not None or parts.password is not None:
        raise ConfigError("--endpoint holds a user or password. Give the key in UNQUIET_JUDGE_KEY or with --key-file.")
    if parts.scheme not in ("http", "https") or not host or not text.isprintable() or " " in text:
        raise ConfigError(
            f"--endpoint {text[:200]!r}: expected an http or https address, such as http://127.0.0.1:8000/v1"
        )
    path = parts.path.rstrip("/")
    return parts._replace(path=path if path.endswith(PATH) else path + PATH, fragment="")


def is_loopback(address: SplitResult) -> bool:
    """Whether what is sent stays on this machine."""
    host = address.hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Texts and the key go where the user said and nowhere else."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> None:
        """Never."""


@dataclass(slots=True)
class HttpEndpoint:
    """An endpoint over HTTP. A loopback address is never asked through a proxy."""

    address: SplitResult
    key: str | None
    _opener: urllib.request.OpenerDirector = field(init=False)

    def __post_init__(self) -> None:
        """Make the opener once."""
        direct = [urllib.request.ProxyHandler({})] if is_loopback(self.address) else []
        self._opener = urllib.request.build_opener(_NoRedirect, *direct)

    def post(self, payload: bytes, timeout_s: float) -> Reply:
        """One call; a server that sends byte after byte for ever is left alone after `timeout_s`.

        Raises:
            Unreachable: no answer came.
        """
        done: queue.Queue[Reply | Unreachable] = queue.Queue(1)
        threading.Thread(target=lambda: done.put(self._attempt(payload, timeout_s)), daemon=True).start()
        try:
            found = done.get(timeout=timeout_s)
        except queue.Empty:
            raise Unreachable(f"no answer within {timeout_s:.0f} s", sent=True) from None
        if isinstance(found, Unreachable):
            raise found
        return found

    def _attempt(self, payload: bytes, timeout_s: float) -> Reply | Unreachable:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(self.address.geturl(), payload, headers, method="POST")  # noqa: S310 - checked
        try:
            with self._opener.open(request, timeout=timeout_s) as response:
                return Reply(response.status, response.read(MOST_BYTES))
        except urllib.error.HTTPError as error:
            with error:
                return self._refused(error)
        except urllib.error.URLError as error:
            return Unreachable(str(error.reason), sent=isinstance(error.reason, TimeoutError))
        except (OSError, http.client.HTTPException) as error:
            return Unreachable(f"{type(error).__name__} {error}".strip(), sent=True)

    def _refused(self, error: urllib.error.HTTPError) -> Reply:
        after = error.headers.get("Retry-After", "")
        try:
            body = error.read(MOST_BYTES)
        except (OSError, http.client.HTTPException):
            # The status says enough.
            body = b""
        return Reply(error.code, body, float(after) if after.isascii() and after.isdigit() else None)


@dataclass(slots=True)
class Patience:
    """Asks again, later and later, while an endpoint is busy, broken or away.

    `clock` gives seconds, `sleep` waits, `tell` is told when waiting begins.
    """

    clock: Callable[[], float]
    sleep: Callable[[float], None]
    tell: Callable[[str], None]
    retried: int = 0

    def ask(self, call: Callable[[float], Reply], timeout_s: float) -> Reply:
        """The first answer that is neither "busy" (429) nor a failure of the server (5xx); `call` gets its time limit.

        Raises:
            Dead: PATIENCE_S after the first call began there is none, or there would be none when the next one may be made.
        """
        begun, delay = self.clock(), FIRST_DELAY_S
        while True:
            left = max(PATIENCE_S - (self.clock() - begun), 0.01)
            wanted: float | None = None
            try:
                reply = call(min(timeout_s, left))
                if reply.status != BUSY and reply.status < 500:
                    return reply
                why, wanted = f"status {reply.status}", reply.retry_after_s
            except Unreachable as error:
                why = str(error)
            pause = max(delay, wanted or 0.0)
            if self.clock() - begun + pause >= PATIENCE_S:
                raise Dead(f"no usable answer in {self.clock() - begun:.0f} s, the last failure: {why}")
            if delay == FIRST_DELAY_S:
                self.tell(f"the endpoint does not answer ({why}); asking again, for two minutes at most")
            self.sleep(pause)
            self.retried += 1
            delay = min(2 * delay, LONGEST_DELAY_S)
