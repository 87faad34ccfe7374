"""The HTTP server of the doors: uvicorn with h11, in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from unquiet.doors.access import Access
from unquiet.doors.http_door import HttpDoor
from unquiet.doors.intake import Intake
from unquiet.doors.settings import DoorSettings
from unquiet.model.errors import DoorError

START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 10


class _PatientProtocol(H11Protocol):
    """Closes connections on which no whole request head arrives, which uvicorn leaves open for ever."""

    _watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._watch is None and self._is_idle():
            self._arm()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison]

    def _arm(self) -> None:
        self._watch = self.loop.call_later(self.timeout_keep_alive, self._close_if_still, self.cycle)

    def _close_if_still(self, cycle: object) -> None:
        self._watch = None
        if self._is_idle():
            if self.cycle is cycle:
                self.transport.close()
            else:
                self._arm()


class HttpServer:
    """Bound on construction, serving between `start` and `stop`."""

    def __init__(self, settings: DoorSettings, intake: Intake, access: Access) -> None:
        """Bind the address.

        Raises:
            DoorError: it is taken or not allowed, or the TLS files cannot be used.
        """
        limits = settings.limits
        self._pool = ThreadPoolExecutor(limits.threads, thread_name_prefix="http-intake")
        self._socket = _bound(settings.http_host, settings.http_port or 0)
        self.port: int = self._socket.getsockname()[1]
        tls: dict[str, Any] = {}
        if settings.tls is not None:
            tls = {"ssl_certfile": str(settings.tls.cert), "ssl_keyfile": str(settings.tls.key)}
        config = uvicorn.Config(
            HttpDoor(intake, access, self._pool),  # type: ignore[arg-type]
            interface="asgi3",
            http=_PatientProtocol,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            h11_max_incomplete_event_size=limits.header_bytes_max,
            limit_concurrency=limits.connections_max,
            timeout_keep_alive=int(limits.idle_s),
            timeout_graceful_shutdown=STOP_SECONDS_MAX,
            **tls,
        )
        try:
            config.load()
        except (OSError, ssl.SSLError) as error:
            self._socket.close()
            raise DoorError(f"The TLS files of the HTTP door cannot be used: {error}. Give PEM files.") from error
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="http-door", daemon=True)

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def start(self) -> None:
        """Serve; returns when requests are taken. DoorError where that does not come about."""
        self._thread.start()
        waiting = threading.Event()
        for _ in range(int(START_SECONDS_MAX / 0.01)):
            if self._server.started or not self._thread.is_alive():
                break
            waiting.wait(0.01)
        if not self.is_alive:
            raise DoorError("The HTTP door did not start. See the log before this line.")

    @property
    def is_alive(self) -> bool:
        """Whether it serves."""
        return self._server.started and self._thread.is_alive()

    def stop(self) -> None:
        """Finish the requests that are under way, then end."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS_MAX + 5)
        self._socket.close()
        self._pool.shutdown(wait=True)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise DoorError(
            f"The HTTP door cannot be opened at {host}:{port}: {error.strerror or error}. Choose another address or port "
            "with `http` in [doors], or end what uses it."
        ) from error
    listening.setblocking(False)
    return listening
