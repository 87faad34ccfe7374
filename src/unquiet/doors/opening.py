"""Opening the doors and closing them again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from unquiet.doors.access import Access
from unquiet.doors.grpc_door import GrpcServer
from unquiet.doors.http_server import HttpServer
from unquiet.doors.intake import Intake
from unquiet.doors.settings import DoorSettings
from unquiet.model.errors import DoorError

LOOK_S = 1.0
"""How often it is looked whether the doors are still open."""


class Stop(Protocol):
    """A threading.Event or multiprocessing.Event."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set; False when the time is over."""
        ...


class Doors:
    """The HTTP and the gRPC door over one intake, in threads of this process."""

    def __init__(self, settings: DoorSettings, intake: Intake) -> None:
        """Bind the addresses.

        Raises:
            DoorError: an address is taken or not allowed, or the TLS files cannot be used.
        """
        access = Access(settings.tokens)
        self._http = HttpServer(settings, intake, access) if settings.http_port is not None else None
        try:
            self._grpc = GrpcServer(settings, intake, access) if settings.grpc_port is not None else None
        except DoorError:
            if self._http is not None:
                self._http.stop()
            raise

    @property
    def http_port(self) -> int | None:
        """The port of the HTTP door, None where it is closed."""
        return self._http.port if self._http else None

    @property
    def grpc_port(self) -> int | None:
        """The port of the gRPC door, None where it is closed."""
        return self._grpc.port if self._grpc else None

    def start(self) -> None:
        """Take requests. DoorError where a door does not open."""
        for door in (self._http, self._grpc):
            if door is not None:
                door.start()

    def dead(self) -> tuple[str, ...]:
        """The doors that were opened and take nothing any more."""
        doors = (("http", self._http), ("grpc", self._grpc))
        return tuple(name for name, door in doors if door is not None and not door.is_alive)

    def stop(self) -> None:
        """Take no more requests, answer those under way, end. Nothing is appended afterwards."""
        for door in (self._http, self._grpc):
            if door is not None:
                door.stop()


def run_doors(settings: DoorSettings, intake: Intake, stop: Stop, on_ready: Callable[[Doors], None]) -> None:
    """Keep the doors open until `stop` is set; `on_ready` is called once requests are taken.

    Raises:
        DoorError: a door cannot be opened, or died.
    """
    doors = Doors(settings, intake)
    try:
        doors.start()
        on_ready(doors)
        while not stop.wait(LOOK_S):
            if dead := doors.dead():
                raise DoorError(f"The door {' and '.join(dead)} died. See the log before this line, then start again.")
    finally:
        doors.stop()
