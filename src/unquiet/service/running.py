"""`unquiet serve`: everything strung together in one process and its door process, until it is told to stop."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import orjson
import uvicorn

from unquiet.alerts import make_sink, secret_reader
from unquiet.app.folders import remember
from unquiet.app.retention import Bounds
from unquiet.app.status import status
from unquiet.model.alerts import AlertSink
from unquiet.model.errors import DoorError
from unquiet.service.alerting import Alerting
from unquiet.service.asking import ADDRESS
from unquiet.service.backend import ServiceBackend
from unquiet.service.config import Config
from unquiet.service.door_keeper import DoorKeeper
from unquiet.service.door_process import privacy_of
from unquiet.service.engine import POSITION, EngineSettings
from unquiet.service.garbage import search_seldom
from unquiet.service.kinds import Address
from unquiet.service.mind import Mind
from unquiet.service.nights import NightDrills
from unquiet.service.observing import Observed
from unquiet.service.pulse import Pulse
from unquiet.service.telling import farewell, greeting
from unquiet.service.watching import PROFILE, Watching
from unquiet.web.access import Access
from unquiet.web.app import make_app

STOP_S = 12.0
"""How long the end may take; a step of the judgement that takes longer is left, and done again at the next start."""

BACKLOG = 2048
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound here
"""Where commands of this machine find what listens on every address."""


def now_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def engine_settings(config: Config) -> EngineSettings:
    """How the service reads and judges."""
    detection = config.detection
    return EngineSettings(
        config.settings,
        detection.lateness,
        detection.trace_quiet.total_seconds(),
        detection.trace_longest.total_seconds(),
        pinned_bytes=config.storage.undrained_mb_max << 18,
    )


def make_sinks(config: Config, environ: Mapping[str, str], base: Path) -> list[tuple[AlertSink, str]]:
    """The sinks with the least severity of each. ConfigError where options are wrong."""
    read = secret_reader(environ, base)
    return [(make_sink(each.kind, each.name, each.options, read), each.min_severity) for each in config.alerts]


def access_of(config: Config) -> Access:
    """Who may read and act."""
    url = config.service.public_url or ""
    own = [config.service.read.host, url.partition("://")[2].partition("/")[0].rpartition(":")[0] or url]
    return Access(
        read_tokens={token.name: token.secret.reveal() for token in config.read_tokens},
        act_tokens={token.name: token.secret.reveal() for token in config.act_tokens},
        hosts=(*config.service.hosts, *(name for name in own if name)),
        tls=url.startswith("https://"),
    )


def bounds_of(config: Config) -> Bounds:
    """How long and how much is kept."""
    storage = config.storage
    size = storage.retention_gb
    return Bounds(storage.retention_days, storage.counts_days, round(size * (1 << 30)) if size else None)


@dataclass(slots=True)
class ServiceParts:
    """The parts of a service that is made and not started. `found` is the status of the folder as it was opened."""

    config: Config
    found: Mapping[str, Any]
    mind: Mind
    doors: DoorKeeper
    alerting: Alerting
    watching: Watching
    backend: ServiceBackend


def assemble(
    config: Config,
    config_path: Path | None,
    sinks: Sequence[tuple[AlertSink, str]],
    clock: Callable[[], int] = now_us,
) -> ServiceParts:
    """Make all parts and open the folder. `clock` gives microseconds since 1970.

    Raises:
        StoreError: the folder cannot be opened.
    """
    folder = config.service.folder
    pulse = Pulse(started_us=clock())
    alerting = Alerting(sinks, config.service.public_url, clock, secrets.randbits(64))
    observed = Observed(clock())
    mind = Mind(
        folder,
        engine_settings(config),
        config.detection.changes,
        bounds_of(config),
        config.storage.memory_mb // 2,
        clock,
        observed,
        alerting.tell,
        pulse,
    )
    mind.open()
    with mind.store() as store:
        observed.restore(store.get_setting(PROFILE), clock())
        found = status(store, folder, _moment(clock()))
        stored: int = (store.get_setting(POSITION) or (0, 0))[0]

    def drained_segment() -> int:
        # Without an engine the folder is being opened again: the newest segment of the log is on disk then.
        engine = mind.engine
        return engine.reader.position.segment if engine is not None else stored

    doors = DoorKeeper(folder, config_path, drained_segment, clock)
    storage = config.storage
    nights = NightDrills(mind, folder, config.drills.nightly, config.drills.seeds, config.settings, clock)
    watching = Watching(
        mind, doors, observed, alerting, nights, folder, storage.memory_mb << 20, storage.disk_free_mb_min << 20, clock
    )
    backend = ServiceBackend(
        mind, doors, watching, alerting, folder, config.detection.budget, clock, privacy_of(config)
    )
    return ServiceParts(config, found, mind, doors, alerting, watching, backend)


def serve(
    config: Config, config_path: Path | None, sinks: Sequence[tuple[AlertSink, str]], say: Callable[[str], None]
) -> None:
    """Run until SIGINT or SIGTERM: then the doors close, what is judged is saved, and this returns.

    Raises:
        StoreError, DoorError: it could not be started, or a part of it died.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    # The folder first: of a second start "it is in use" says more than that its ports are.
    parts = assemble(config, config_path, sinks)
    with contextlib.closing(parts.mind), listen(config.service.read) as listening:
        search_seldom()
        parts.alerting.start(parts.mind)
        server = _web_server(parts)
        threads = _threads(parts, server, listening)
        try:
            parts.doors.start()
            for thread in threads.values():
                thread.start()
            _announce(parts, listening, say)
            _wait(stop, threads)
            say("stopping: no more is taken, what is under way is finished")
        finally:
            _end(parts, server, threads)
            (config.service.folder / ADDRESS).unlink(missing_ok=True)
    if threads["mind"].is_alive():
        _leave(say)
    for line in farewell(config, parts.mind.parting, parts.mind.pulse.error):
        say(line)


def listen(address: Address) -> socket.socket:
    """The socket of the API, taken before anything is started: a port in use is said at once.

    Raises:
        DoorError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=BACKLOG)
    except OSError as error:
        # The text of the error itself repeats the address.
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise DoorError(
            f"{address} cannot be opened for API, metrics and health: {why}. Choose another address with "
            "`read` in [service] or UNQUIET_SERVICE_READ, or end what uses it."
        ) from error


def _threads(parts: ServiceParts, server: uvicorn.Server, listening: socket.socket) -> dict[str, threading.Thread]:
    runs: list[tuple[str, Callable[[], None]]] = [
        ("mind", parts.mind.run),
        ("watching", parts.watching.run),
        ("alerts", parts.alerting.run),
        ("nights", parts.watching.nights.run),
        ("web", lambda: server.run(sockets=[listening])),
    ]
    return {name: threading.Thread(target=run, name=name, daemon=True) for name, run in runs}


def _web_server(parts: ServiceParts) -> uvicorn.Server:
    app = make_app(parts.backend, access_of(parts.config), now_us)
    settings = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        http="h11",
        h11_max_incomplete_event_size=64 << 10,
        server_header=False,
        lifespan="off",
    )
    server = uvicorn.Server(settings)
    server.install_signal_handlers = lambda: None  # type: ignore[method-assign]
    return server


def _announce(parts: ServiceParts, listening: socket.socket, say: Callable[[str], None]) -> None:
    """Say what is in force; leave the address for other commands. Who asks from now on waits until it is answered."""
    config = parts.config
    host, port = config.service.read.host, listening.getsockname()[1]
    url = f"http://{Address(host, port)}"
    own = f"http://{Address(EVERYWHERE.get(host, host), port)}"
    (config.service.folder / ADDRESS).write_bytes(orjson.dumps({"url": own, "pid": os.getpid()}))
    remember(config.service.folder)
    for line in greeting(config, parts.found, parts.doors.said.get("ports", {}), url, _moment(now_us())):
        say(line)
    say("stop it with Ctrl-C or SIGTERM")


def _moment(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us / 1e6, UTC)


def _wait(stop: threading.Event, threads: Mapping[str, threading.Thread]) -> None:
    while not stop.wait(0.5):
        dead = [name for name, thread in threads.items() if not thread.is_alive()]
        if dead:
            raise DoorError(f"a part of the service died: {', '.join(dead)}. See the lines above, then start it again.")


def _end(parts: ServiceParts, server: uvicorn.Server, threads: Mapping[str, threading.Thread]) -> None:
    """Doors first; the judgement last, so that what was sent is noted as sent. What takes longer than STOP_S is left."""
    end = time.monotonic() + STOP_S
    parts.watching.stop()
    parts.watching.nights.stop()
    parts.alerting.stop()
    server.should_exit = True
    parts.doors.stop()
    for name in ("nights", "alerts", "watching", "web", "mind"):
        if name == "mind":
            parts.mind.stop()
        if threads[name].is_alive():
            threads[name].join(max(0.5, end - time.monotonic()) if name == "mind" else 1.5)


def _leave(say: Callable[[str], None]) -> NoReturn:
    """End at once while a long step is under way, as a crash would: what was committed stays, the rest is done again."""
    say("a long step of the judgement was cut off; what it had not committed is done again at the next start")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
