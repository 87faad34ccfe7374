"""The one place for HTTP: what is tried again, what is not, and what never shows."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from alert_receivers import Receiver, Request, _Handler, listening
from unquiet.alerts.posting import Poster, Reply, retry_after_s
from unquiet.model.alerts import DeliveryError

CERTIFICATES = Path(__file__).parent / "certificates"


def told(status: int, headers: Mapping[str, str] | None = None) -> DeliveryError:
    return Poster("X").failure(Reply(status, headers or {}, b""))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 422, 303, 304])
def test_what_cannot_get_better_is_permanent(status: int) -> None:
    assert told(status).permanent


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 507, 529, 599])
def test_what_can_get_better_is_tried_again(status: int) -> None:
    assert not told(status).permanent
    assert str(status) in str(told(status))


def test_a_used_up_limit_is_tried_again() -> None:
    assert not told(403, {"x-ratelimit-remaining": "0"}).permanent
    limited = told(403, {"retry-after": "60"})
    assert (limited.permanent, limited.retry_after_s) == (False, 60.0)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT", "date": "Fri, 31 Dec 1999 23:59:29 GMT"}, 30.0),
        ({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT", "date": "Sat, 01 Jan 2000 23:59:29 GMT"}, 0.0),
        ({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds


class Moved(Receiver):
    goal = ""

    def accept(self, request: Request) -> Any:
        if request.path == "/old":
            return 308, b"", {"Location": self.goal}
        return 200, b"there"


def test_redirects_stay_on_the_host() -> None:
    with listening(Moved()) as old, listening(Receiver()) as other:
        old.goal = "/new"
        assert Poster("X").call("POST", f"{old.url}/old", {"a": 1}).body == b"there"
        assert [(r.method, r.path, r.body) for r in old.requests] == [("POST", p, b'{"a":1}') for p in ("/old", "/new")]
        for goal in (f"{other.url}/new", "https://127.0.0.1/x", "http://[", "//evil.example/x"):
            old.goal = goal
            with pytest.raises(DeliveryError, match="redirects") as caught:
                Poster("X").call("POST", f"{old.url}/old", {"a": 1})
            assert caught.value.permanent
        old.goal = "/old"
        with pytest.raises(DeliveryError, match="308"):
            Poster("X").call("POST", f"{old.url}/old")
        assert other.requests == []


@pytest.mark.parametrize("mood", ["away", "reset"])
def test_a_lost_connection_is_tried_again(mood: str) -> None:
    with listening(Receiver([mood])) as receiver:
        with pytest.raises(DeliveryError, match="could not be reached") as caught:
            Poster("X").call("POST", receiver.url, {})
        assert not caught.value.permanent


def test_nobody_there_is_tried_again() -> None:
    with listening(Receiver()) as receiver:
        url = receiver.url
    with pytest.raises(DeliveryError, match="could not be reached") as caught:
        Poster("X").call("POST", url, {})
    assert not caught.value.permanent


def test_a_receiver_that_trickles_is_left_alone() -> None:
    """The clock says that the whole call takes too long though no single wait does."""
    ticks = iter([0.0, 31.0, 32.0])

    class Long(Receiver):
        def accept(self, request: Request) -> Any:
            return 200, b"x" * 100

    with listening(Long()) as receiver, pytest.raises(DeliveryError, match="not done after 30 s"):
        Poster("X", tick=lambda: next(ticks)).call("GET", receiver.url)


def test_an_answer_without_end_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unquiet.alerts.posting.MOST_BYTES", 50)

    class Long(Receiver):
        def accept(self, request: Request) -> Any:
            return 200, b"x" * 100

    with listening(Long()) as receiver, pytest.raises(DeliveryError, match="more than 50 bytes"):
        Poster("X").call("GET", receiver.url)


def test_tls_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = Receiver()
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "localhost.pem", CERTIFICATES / "localhost.key")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        url = f"https://127.0.0.1:{server.server_address[1]}/"
        with pytest.raises(DeliveryError, match="certificate verify failed"):
            Poster("X").call("POST", url, {})
        assert receiver.requests == []
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "localhost.pem"))
        assert Poster("X").call("POST", url, {}).status == 200
        server.shutdown()


def test_proxies_of_the_environment_are_used_but_not_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    class Proxy(Receiver):
        def accept(self, request: Request) -> Any:
            return 200, b"by proxy"

    with listening(Proxy()) as proxy, listening(Receiver()) as direct:
        for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("http_proxy", proxy.url)
        assert Poster("X").call("POST", "http://receiver.invalid/x", {}).body == b"by proxy"
        Poster("X").call("POST", direct.url, {})
        assert (len(proxy.requests), len(direct.requests)) == (1, 1)


def test_no_address_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), listening(Receiver([(500, {})])) as receiver, pytest.raises(DeliveryError):
        Poster("X").call("POST", f"{receiver.url}/services/hush", {})
    assert "hush" not in caplog.text
    assert receiver.url in caplog.text
