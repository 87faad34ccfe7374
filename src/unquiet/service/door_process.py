"""The doors in a process of their own: whatever the judgement does, a body is taken and acknowledged in time.

Started by `door_keeper`. It writes one JSON line a second about itself to its output, and ends when its input ends: with
the service that started it, however that ended. Signals to the whole group, such as Ctrl-C, are the service's to heed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import orjson

from unquiet.app.cleaning import Cleaning
from unquiet.doors import DoorCounters, Doors, DoorSettings, Intake, Limits, TlsFiles, run_doors
from unquiet.model.errors import UnquietError
from unquiet.model.privacy import PrivacySettings
from unquiet.privacy import folder_key
from unquiet.service.config import Config, load
from unquiet.service.garbage import search_seldom
from unquiet.wal import Position, WalWriter

LOG = "wal"
EVERY_S = 1.0
FAILED = 2


def main(arguments: list[str]) -> int:
    """Run until the input ends. Arguments: folder, configuration file (may be empty), last drained segment."""
    folder, config_path, segment = arguments
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    try:
        config = load(Path(config_path) if config_path else None, os.environ, Path(folder))
        _run(config, Position(int(segment), 0))
    except UnquietError as error:
        _say({"error": str(error)})
        return FAILED
    return 0


def _run(config: Config, after: Position) -> None:
    storage = config.storage
    log = WalWriter.open(
        config.service.folder / LOG,
        after=after,
        undrained_bytes_max=storage.undrained_mb_max << 20,
        free_bytes_min=storage.disk_free_mb_min << 20,
    )
    try:
        cleaner = Cleaning(privacy_of(config), folder_key(config.service.folder))
        counters = DoorCounters()
        search_seldom()
        settings = door_settings(config)
        intake = Intake(
            log.append, now_us=_now_us, cleaner=cleaner, room=log.room, limits=settings.limits, counters=counters
        )
        stop = threading.Event()
        threading.Thread(target=_until_input_ends, args=(stop.set,), daemon=True, name="parent").start()
        run_doors(settings, intake, stop, lambda doors: _report(doors, counters, stop))
    finally:
        log.close()


def privacy_of(config: Config) -> PrivacySettings:
    """The settings of cleaning."""
    privacy = config.privacy
    return PrivacySettings(
        redact=privacy.redact,
        custom=privacy.patterns,
        hash_users=privacy.hash_users,
        content=privacy.content_of,
        content_by_default=privacy.content,
    )


def door_settings(config: Config) -> DoorSettings:
    """Addresses, tokens, TLS files and limits of the doors."""
    doors = config.doors
    tls = TlsFiles(doors.tls_cert, doors.tls_key) if doors.tls_cert and doors.tls_key else None
    return DoorSettings(
        http_host=doors.http.host if doors.http else "127.0.0.1",
        http_port=doors.http.port if doors.http else None,
        grpc_host=doors.grpc.host if doors.grpc else "127.0.0.1",
        grpc_port=doors.grpc.port if doors.grpc else None,
        tokens={token.secret.reveal(): token.name for token in doors.tokens},
        tls=tls,
        limits=Limits(body_bytes_max=doors.body_mb_max << 20, attribute_bytes_max=doors.attribute_kb_max << 10),
    )


def _report(doors: Doors, counters: DoorCounters, stop: threading.Event) -> None:
    """Say now and every second that the doors are open, and what they took."""

    def go_on() -> None:
        while True:
            dead = doors.dead()
            told = {
                "at_us": _now_us(),
                "ports": {"http": doors.http_port, "grpc": doors.grpc_port},
                "dead": dead,
                **counters.dump(),
            }
            if not _say(told):
                stop.set()
                return
            if stop.wait(EVERY_S):
                return

    threading.Thread(target=go_on, daemon=True, name="report").start()


def _say(told: Mapping[str, object]) -> bool:
    """Write a line to the service; False where it does not listen any more."""
    try:
        sys.stdout.buffer.write(orjson.dumps(told) + b"\n")
        sys.stdout.buffer.flush()
    except (BrokenPipeError, ValueError):
        return False
    return True


def _until_input_ends(done: Callable[[], None]) -> None:
    # Not by way of sys.stdin: its lock, held by a thread that waits, stops an interpreter that ends.
    while os.read(sys.stdin.fileno(), 1 << 12):
        pass
    done()


def _now_us() -> int:
    return time.time_ns() // 1000


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
