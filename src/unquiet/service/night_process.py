"""A night's rehearsal in a process of its own, at low priority: turns from a file in, scores as JSON out.

Started by `nights`. It opens no folder and no configuration, so that it can neither keep nor tell anything, and it ends early
when its input ends: with the service that started it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from unquiet.app.nightly import rehearsed_scores
from unquiet.drills import PRESETS
from unquiet.model.errors import UnquietError
from unquiet.model.settings import Settings

NICE = 15
FAILED = 2


def main(arguments: list[str]) -> int:
    """Run. Arguments: the file of the turns (Arrow IPC), the settings as `as_text` gives them, how many seeds, drills."""
    path, settings, seeds, names = arguments
    presets = [each for each in PRESETS if each.name in names.split(",")]
    os.nice(NICE)
    threading.Thread(target=_end_with_input, daemon=True, name="parent").start()
    try:
        with pa.OSFile(str(Path(path))) as file, pa.ipc.open_stream(file) as reader:
            turns = reader.read_all()
        # What users said lies in the folder no longer than it takes to read it.
        Path(path).unlink()
        scores = rehearsed_scores(turns, from_text(settings), presets, int(seeds), 1, lambda _what, _share: None)
    except UnquietError as error:
        _say({"error": str(error)})
        return FAILED
    _say({"scores": [asdict(each) for each in scores]})
    return 0


def as_text(settings: Settings) -> str:
    """Settings as a text that can be an argument."""
    return orjson.dumps(
        asdict(settings) | {"learn": settings.learn.total_seconds(), "idle": settings.idle.total_seconds()}
    ).decode()


def from_text(text: str) -> Settings:
    """The settings of `as_text`."""
    said = orjson.loads(text)
    lengths = {name: timedelta(seconds=said[name]) for name in ("learn", "idle")}
    return Settings(**(said | lengths))


def _say(told: Mapping[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(told) + b"\n")
    sys.stdout.buffer.flush()


def _end_with_input() -> None:
    # Not by way of sys.stdin: its lock, held by a thread that waits, stops an interpreter that ends.
    while os.read(sys.stdin.fileno(), 1 << 12):
        pass
    os._exit(FAILED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
