"""What the self-watch must know of the traffic: gathered while it is drained, read from other threads."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.conventions.otlp import Telemetry
from unquiet.model.bodies import Body
from unquiet.selfwatch import Capture, Content, Latest, Recent, Share, Skew, Traffic

SERVICE = "service.name"
LATEST_TURNS = 2000
UNKNOWN_SOURCE = "(no service.name)"
ALL_SIGNALS = "(all signals)"
REFUSED = ("400", "401", "413", "415")
"""Statuses of bodies that will never be taken as they are. How many spans are in one is not known: each counts as one."""

UNUSED = "metrics"


class Observed:
    """Profiles of the traffic by source: the service that spans come from, by its resource attribute `service.name`."""

    def __init__(self, now_us: int) -> None:
        self._lock = threading.Lock()
        self.capture, self.traffic = Capture(), Traffic(now_us)
        self.skew = Skew()
        self.recent = Recent()
        self.signals = Latest(LATEST_TURNS)
        self._doors: dict[str, int] = {}

    def restore(self, known: Mapping[str, Any] | None, now_us: int) -> None:
        """Go on with what `state` gave, if there is any."""
        if known:
            self.capture = Capture.restored(known["capture"])
            self.traffic = Traffic.restored(known["traffic"], now_us)

    def state(self) -> dict[str, Any]:
        """What was learned, as JSON."""
        with self._lock:
            return {"capture": self.capture.state(), "traffic": self.traffic.state()}

    def body(self, found: Telemetry, body: Body) -> None:
        """A body of telemetry was read: how far the clocks of its sources are from ours."""
        ends: dict[str, int] = {}
        for span in found.spans:
            if span.end_us is not None:
                name = str(span.resource.get(SERVICE) or UNKNOWN_SOURCE)
                ends[name] = max(ends.get(name, 0), span.end_us)
        with self._lock:
            self.traffic.add(body.arrived_us)
            for name, end_us in ends.items():
                self.skew.add(name, (body.arrived_us - end_us) / 1e6)

    def turns(self, turns: pa.Table, counts: Counter[str], now_us: int) -> None:
        """Turns were stored: whether their content was captured; what was counted on the way."""
        sources = pc.fill_null(
            pc.map_lookup(turns.column("facets").combine_chunks(), pa.scalar(SERVICE), "first"), UNKNOWN_SOURCE
        )
        has_text = pc.or_(pc.is_valid(turns.column("input")), pc.is_valid(turns.column("output")))
        names, where = np.unique(np.array(sources.to_pylist(), object).astype(str), return_inverse=True)
        texts = np.bincount(where, has_text.to_numpy(zero_copy_only=False).astype(float), minlength=len(names))
        sizes = np.bincount(where, minlength=len(names))
        with self._lock:
            for name, size, text in zip(names.tolist(), sizes.tolist(), texts.tolist(), strict=True):
                self.capture.add(name, now_us, int(size), int(text))
            for kind, count in counts.items():
                self.recent.add(now_us, kind, count)

    def doors(self, said: Mapping[str, Any], now_us: int) -> None:
        """What the doors took and turned away since the last time; they say counts since they were opened."""
        counts = {f"offered {kind}": n for kind, n in said.get("accepted", {}).items()}
        counts |= {f"rejected {kind}": n for kind, n in said.get("rejected", {}).items() if kind != UNUSED}
        statuses = {name: n for name, n in said.get("bodies", {}).items() if name.rpartition(" ")[2] in REFUSED}
        counts |= {f"rejected bodies: {name}": n for name, n in statuses.items()}
        with self._lock:
            for name, count in counts.items():
                before = self._doors.get(name, 0)
                # Doors that were opened anew begin at zero.
                self.recent.add(now_us, name, count - before if count >= before else count)
            self._doors = counts

    def failures(self, visits_turns: int, failed: Mapping[str, int]) -> None:
        """Signals were measured for so many turns; how often each failed."""
        with self._lock:
            self.signals.add(ALL_SIGNALS, 0, visits_turns)
            for name in {*failed, *self.signals.shares()} - {ALL_SIGNALS}:
                self.signals.add(name, failed.get(name, 0), visits_turns)

    def advance(self, now_us: int) -> None:
        """Time went on."""
        with self._lock:
            self.traffic.advance(now_us)

    def seen(
        self, now_us: int
    ) -> tuple[dict[str, Content], dict[str, float], dict[str, int], dict[str, Share], Traffic]:
        """Content and clocks by source, counts of the last ten minutes, failed measurements by signal, and the traffic."""
        with self._lock:
            return (
                self.capture.contents(),
                self.skew.medians(),
                self.recent.sums(now_us),
                self.signals.shares(),
                self.traffic,
            )
