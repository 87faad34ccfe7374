"""Nightly drills beside a running service: its latest traffic is rehearsed in another process, and the scorecard is kept.

What the rehearsals raise stays in that process: no incident is kept and nobody is alerted. Only a drill that is not found any
more is told, as a condition of unquiet itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from unquiet.app.nightly import MONTH, keep_night, window_start
from unquiet.drills import PRESETS
from unquiet.drills.scorecard import Score
from unquiet.model.drills import Preset
from unquiet.model.errors import UnquietError
from unquiet.model.settings import Settings
from unquiet.model.turns import TURNS
from unquiet.selfwatch import Nights
from unquiet.service.mind import Mind
from unquiet.service.night_process import as_text

TURNS_FILE = "night.arrow"
MOST_TURNS = 200_000
"""More than this would need more memory and time than a night beside a service has."""

LOOK_S = 5.0
MONTH_US = round(MONTH.total_seconds() * 1e6)
DAY = timedelta(days=1)


@dataclass(slots=True)
class NightDrills:
    """Rehearses every night at `at` (UTC), `seeds` times each drill; `at` None: never. `clock_us` is the present."""

    mind: Mind
    folder: Path
    at: time | None
    seeds: int
    settings: Settings
    clock_us: Callable[[], int]
    presets: Sequence[Preset] = PRESETS
    error: str = ""
    _stop: threading.Event = field(default_factory=threading.Event)
    _process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Wait for the night, rehearse, and again, until `stop` is called."""
        # A process that was killed may have left the turns of its night.
        (self.folder / TURNS_FILE).unlink(missing_ok=True)
        due = self._next()
        while not self._stop.wait(LOOK_S):
            if due is not None and self._now() >= due:
                self.rehearse()
                due = self._next()

    def stop(self) -> None:
        """End, a rehearsal that is under way too."""
        self._stop.set()
        process = self._process
        if process is not None and process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def seen(self) -> Nights:
        """How the nights are, for the self-watch; from the status that was published last."""
        night: dict[str, Any] | None = self.mind.pulse.status.get("drills")
        if night is None:
            return Nights(self.at is not None, None, (), self.error)
        last_us = round(datetime.fromisoformat(night["at"]).timestamp() * 1e6)
        # What was lost counts for a month, as the docs of the condition say: nights may have been switched off since.
        lost = tuple(night["lost"]) if self.clock_us() - last_us < MONTH_US else ()
        return Nights(self.at is not None, last_us, lost, self.error)

    def rehearse(self) -> None:
        """Do a night now; `error` says why it came to nothing, empty where it did not."""
        path = self.folder / TURNS_FILE
        try:
            self._write_turns(path)
            scores = self._scores(path)
            if self._stop.is_set():
                return
            with self.mind.store() as store:
                keep_night(store, scores, self.presets, self.settings, self._now())
            self.mind.publish()
            self.error = ""
        except (UnquietError, OSError) as error:
            self.error = str(error)
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def _write_turns(self, path: Path) -> None:
        """The latest turns, read a day at a time so that nothing waits for long."""
        with self.mind.store() as store:
            extent = store.turn_extent()
        if extent.last is None:
            raise UnquietError("there are no turns yet.")
        day, count = window_start(extent.last, self.settings), 0
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, TURNS) as writer:
            path.chmod(0o600)
            while day <= extent.last and not self._stop.is_set():
                with self.mind.store() as store:
                    turns = store.turns_between(day, day + DAY)
                count += turns.num_rows
                if count > MOST_TURNS:
                    raise UnquietError(
                        f"more than {MOST_TURNS} turns are too many to rehearse beside a service. Run `unquiet drill --nightly` "
                        "over a copy of the folder, or on a part of the traffic."
                    )
                writer.write_table(turns)
                day += DAY

    def _scores(self, path: Path) -> list[Score]:
        command = [sys.executable, "-m", "unquiet.service.night_process"]
        names = ",".join(each.name for each in self.presets)
        arguments = [str(path), as_text(self.settings), str(self.seeds), names]
        with subprocess.Popen(  # noqa: S603
            [*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        ) as process:
            self._process = process
            # Its input stays open until it has said everything: the end of it is the sign to end.
            said = process.stdout.read() if process.stdout is not None else b""
        if self._stop.is_set():
            return []
        try:
            told: dict[str, Any] = orjson.loads(said)
        except orjson.JSONDecodeError:
            told = {"error": f"the rehearsal ended with {process.returncode}; see the output of the service."}
        if "scores" not in told:
            raise UnquietError(str(told["error"]))
        return [Score(**(each | {"hours": each["hours"] and tuple(each["hours"])})) for each in told["scores"]]

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.clock_us() / 1e6, UTC)

    def _next(self) -> datetime | None:
        """The next moment that is due."""
        if self.at is None:
            return None
        now = self._now()
        today = datetime.combine(now.date(), self.at, UTC)
        return today if today > now else today + DAY
