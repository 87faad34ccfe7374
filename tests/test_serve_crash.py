"""SIGKILL at any moment: what was acknowledged is there, once, and what was concluded is what an undisturbed run concludes.

`UNQUIET_CRASHES=100` for the long run; `UNQUIET_CRASH_SEED` for other moments.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from serve_stories import LEARN_DAYS, Tale, chunks, deliver, halves, tell
from serve_worlds import PLAIN, Service, span_count, until
from test_serve_story import SAME, scanned
from unquiet.store import Store

CRASHES = int(os.environ.get("UNQUIET_CRASHES", "5"))
SEED = int(os.environ.get("UNQUIET_CRASH_SEED", "20260302"))
HOURS = 0.4
"""Shorter than a session is waited for: however late a body is sent again, its turns belong to open sessions."""

SETTINGS = f'[detection]\nlateness = "1s"\ntrace_quiet = "1s"\nlearn_days = {LEARN_DAYS}\n'
LONG_AGO, FAR = datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)


@dataclass
class Sender:
    """Sends the tale in order, over both doors, and remembers how much was acknowledged. It goes no further than it may."""

    service: Service
    parts: list[list[dict[str, Any]]]
    may: int = 0
    acknowledged: int = 0
    failed: list[BaseException] = field(default_factory=list[BaseException])
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        try:
            for part in self.parts:
                while self.acknowledged >= self.may:
                    if self.stop.wait(0.01):
                        return
                deliver(self.service, part)
                self.acknowledged += 1
        except BaseException as error:  # noqa: BLE001 - told by the thread that waits
            self.failed.append(error)


def crash(service: Service, rng: random.Random) -> None:
    """Let it live for a moment, mostly long enough to work, and kill it."""
    if rng.random() < 0.2:
        service.launch()
        time.sleep(rng.uniform(0.0, 6.0))
    else:
        service.start()
        time.sleep(rng.expovariate(1.0))
    service.kill()


def live_through(service: Service, tale: Tale) -> None:
    """Send the tale through crashes at moments that the seed decides, the same share of it in every life."""
    rng = random.Random(SEED)
    sender = Sender(service, list(chunks(tale.rows, HOURS)))
    thread = threading.Thread(target=sender.run, daemon=True)
    thread.start()
    try:
        for life in range(CRASHES):
            sender.may = len(sender.parts) * (life + 1) // (CRASHES + 1)
            crash(service, rng)
            assert not sender.failed, sender.failed
        service.start()
        sender.may = len(sender.parts)
        thread.join(300)
        assert not thread.is_alive(), f"{sender.acknowledged} of {len(sender.parts)} parts were acknowledged"
        assert not sender.failed, sender.failed
    finally:
        sender.stop.set()


def kept(folder: Path) -> Mapping[str, Any]:
    """What a folder holds: turns, sessions, counts, incidents."""
    with Store.open(folder, create=False) as store:
        turns = store.turns_between(LONG_AGO, FAR, columns=["session_id", "time", "input", "output"])
        sessions = store.sessions_between(LONG_AGO, FAR)
        return {
            "turns": Counter(map(tuple, zip(*(turns.column(n).to_pylist() for n in turns.column_names), strict=True))),
            "sessions": plain(sessions.drop_columns("stratum")),
            "counts": plain(store.counts_between(LONG_AGO, FAR)),
            "incidents": [{name: each[name] for name in SAME if name != "suspects"} for each in store.incidents()],
        }


def plain(table: pa.Table) -> list[dict[str, Any]]:
    """Rows in a fixed order, comparable to the last bit."""
    return sorted(table.to_pylist(), key=repr)


def test_nothing_is_lost_or_counted_twice(tmp_path: Path) -> None:
    tale = tell(tmp_path)
    expected_spans = sum(span_count(half) for part in chunks(tale.rows, HOURS) for half in halves(part))
    last = datetime.fromisoformat(tale.rows[-1]["time"]).timestamp()
    service = Service(tmp_path, PLAIN + SETTINGS)
    try:
        live_through(service, tale)
        until(lambda: service.counts().get("turns") == len(tale.rows), 120)
        until(lambda: (service.metric("unquiet_last_tick_timestamp_seconds") or 0) >= last, 120)
        # Open incidents are described anew every ten minutes, and at a start.
        service.kill()
        service.start()
        until(lambda: [each["status"] for each in service.get("incidents")["incidents"]] == ["resolved"], 60)
        counts = service.counts()
        assert service.stop() == 0
    finally:
        service.kill()
    assert "Traceback" not in service.said, service.said[-4000:]
    assert counts["spans"] == expected_spans
    assert counts.get("late spans", 0) == counts.get("late turns", 0) == counts.get("damaged records", 0) == 0
    live = kept(service.folder)
    said = Counter((row["session_id"], row["input"], row["output"]) for row in tale.rows)
    assert Counter((s, i, o or "") for (s, _, i, o), n in live["turns"].items() for _ in range(n)) == said
    scanned(tale, tmp_path)
    undisturbed = kept(tmp_path / "scanned")
    assert live["incidents"] == undisturbed["incidents"]
    assert live["sessions"] == undisturbed["sessions"]
    assert live["counts"] == undisturbed["counts"]
