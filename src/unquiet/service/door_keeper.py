"""Keeps the door process running, and knows what it said last."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from unquiet.model.errors import DoorError

BACKOFF_S = (0.0, 1.0, 2.0, 5.0, 15.0)
STOP_S = 15.0


@dataclass(slots=True)
class DoorKeeper:
    """Starts the doors, starts them again when they died, stops them. `said` may be read from any thread.

    `after` gives the last segment of the log that is drained: a new one begins behind it. `clock_us` is the present.
    """

    folder: Path
    config_path: Path | None
    after: Callable[[], int]
    clock_us: Callable[[], int]
    said: Mapping[str, Any] = field(default_factory=dict[str, Any])
    heard_us: int | None = None
    error: str = ""
    starts: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _ready: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self, ready_s: float = 60.0) -> None:
        """Open the doors, also again after `stop`: then it is tried until they open, and `said` tells.

        Raises:
            DoorError: they do not open for the first time; the text says why.
        """
        first = self.starts == 0
        self._stop, self._ready = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._keep, args=(self._stop,), daemon=True, name="doors")
        self._thread.start()
        opened = self._ready.wait(ready_s) and self.heard_us is not None
        if first and not opened:
            self.stop()
            raise DoorError(self.error or f"The doors did not open within {ready_s:g} s. See the lines above.")

    def _keep(self, stop: threading.Event) -> None:
        # Ctrl-C and a supervisor's SIGTERM reach the whole group. The process inherits this mask, and ends with its input:
        # what it answers just then is answered.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        failures = 0
        while not stop.is_set():
            heard = self._run(stop)
            if self.starts == 1 and not heard:
                self._ready.set()
                return
            failures = 0 if heard else failures + 1
            stop.wait(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])

    def _run(self, stop: threading.Event) -> bool:
        """One life of the process: whether the doors were open in it."""
        self.starts += 1
        heard = False
        command = [sys.executable, "-m", "unquiet.service.door_process"]
        arguments = [str(self.folder), str(self.config_path or ""), str(self.after())]
        with subprocess.Popen([*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603
            self._process = process
            for line in process.stdout or ():
                told = orjson.loads(line)
                if "error" in told:
                    self.error = str(told["error"])
                    continue
                self.said, self.heard_us, heard = told, self.clock_us(), True
                self._ready.set()
        if not stop.is_set() and heard:
            self.error = f"the door process ended with {process.returncode}; it is started again"
        return heard

    @property
    def pid(self) -> int | None:
        """The process id, None before the first start."""
        return self._process.pid if self._process is not None else None

    def stop(self) -> None:
        """Answer what is under way, then close: what is acknowledged is in the log when this returns."""
        self._stop.set()
        process = self._process
        if process is not None and process.poll() is None:
            with contextlib.suppress(OSError):
                if process.stdin is not None:
                    process.stdin.close()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
        if self._thread is not None:
            self._thread.join(STOP_S)
