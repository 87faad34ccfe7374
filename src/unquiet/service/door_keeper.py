"""Keeps the door process running, and knows what it said last."""

from __future__ import annotations

import contextlib
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
READY_S = 60.0
STOP_S = 8.0
"""Longer than a request that is under way gets; then it is ended, unanswered."""


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

    def start(self, ready_s: float = READY_S) -> None:
        """Open the doors.

        Raises:
            DoorError: they do not open; the text says why.
        """
        if not self._opened(ready_s):
            self.stop()
            raise DoorError(self.error or f"The doors did not open within {ready_s:g} s. See the lines above.")

    def reopen(self, ready_s: float = READY_S) -> bool:
        """Open the doors again after `stop`; False where that takes longer. It is tried on, and seen as a condition."""
        return self._opened(ready_s)

    def _opened(self, ready_s: float) -> bool:
        self._stop.clear()
        self._ready.clear()
        self._thread = threading.Thread(target=self._keep, daemon=True, name="doors")
        self._thread.start()
        return self._ready.wait(ready_s) and self.heard_us is not None

    def _keep(self) -> None:
        failures = 0
        while not self._stop.is_set():
            heard = self._run()
            if self.heard_us is None:
                # The first start: what is wrong with the addresses is for a person to mend.
                self._ready.set()
                return
            failures = 0 if heard else failures + 1
            self._stop.wait(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])

    def _run(self) -> bool:
        """One life of the process: whether the doors were open in it."""
        self.starts += 1
        command = [sys.executable, "-m", "unquiet.service.door_process"]
        arguments = [str(self.folder), str(self.config_path or ""), str(self.after())]
        try:
            process = subprocess.Popen([*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
        except OSError as error:
            self.error = f"the door process cannot be started ({error.strerror or error}); it is tried again"
            return False
        with process:
            self._process = process
            if self._stop.is_set():
                _ask_to_end(process)
            heard = self._listen(process)
        if not self._stop.is_set() and heard:
            self.error = f"the door process ended with {process.returncode}; it is started again"
        return heard

    def _listen(self, process: subprocess.Popen[bytes]) -> bool:
        """Take in what it says until it ends; whether the doors were open."""
        heard = False
        for line in process.stdout or ():
            told = orjson.loads(line)
            if "error" in told:
                self.error = str(told["error"])
                continue
            self.said, self.heard_us, heard = told, self.clock_us(), True
            self._ready.set()
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
            _ask_to_end(process)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
        if self._thread is not None:
            self._thread.join(STOP_S)


def _ask_to_end(process: subprocess.Popen[bytes]) -> None:
    """Close its input, which is the sign."""
    with contextlib.suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()
