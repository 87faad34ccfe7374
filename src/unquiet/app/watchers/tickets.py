"""Their tickets: would those who complain have rung the 3-sigma rule?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.app.watchers.watching import Heard, IntArray, Record, Replay, Watch, ends
from unquiet.drills import sessions_of
from unquiet.gap.dashboards import DAY_US, daily_panel
from unquiet.model.voices import TICKET, UNJOINED

LEAST = 30
"""Sessions with an error that tell how many of those complain to whom something goes wrong."""


class Tickets:
    """Rings after a day with more tickets than usual."""

    name = "tickets"
    says = (
        "a 3-sigma rule on tickets by day: a session that the failure meets brings on its day as many tickets more as a session "
        f"with an error brought in this record, or where fewer than {LEAST} had one, as any session did"
    )

    def over(self, record: Record) -> Watch | str:
        """The tickets of each day of the record, and how many a session brings."""
        voices = record.kit.voices
        if voices is None or not voices.num_rows:
            return "no voices are known (unquiet voices PATH)"
        tickets = voices.filter(pc.equal(voices.column("kind"), TICKET))
        said_us = tickets.column("time").cast(pa.int64()).to_numpy()
        inside = (said_us >= record.start_us) & (said_us < record.end_us)
        if not inside.any():
            return "no ticket among the voices is from the time of the record"
        first_us = int(said_us[inside].min()) // DAY_US * DAY_US
        days = np.arange(first_us, record.end_us - DAY_US + 1, DAY_US, dtype=np.int64)
        counts = np.bincount((said_us[inside] - first_us) // DAY_US, minlength=len(days))[: len(days)]
        return _Daily(days, counts.astype(np.float64), _rate(record, tickets.filter(pa.array(inside))))


@dataclass(frozen=True, slots=True, eq=False)
class _Daily:
    days: IntArray
    counts: np.ndarray
    rate: float

    def heard(self, replay: Replay) -> Heard:
        codes, started_us, firsts = sessions_of(replay.was)
        met = np.zeros(len(firsts), bool)
        met[codes[replay.harmed]] = True
        kept = self.days + DAY_US <= replay.horizon_us
        days, counts = self.days[kept], self.counts[kept]
        place = np.searchsorted(days, started_us[met], side="right") - 1
        place = place[(place >= 0) & (started_us[met] < replay.horizon_us // DAY_US * DAY_US)]
        more = self.rate * np.bincount(place, minlength=len(days))[: len(days)]
        panel = daily_panel(Tickets.name, days.tolist(), (counts + more).tolist(), 1)
        if not panel.judged.any():
            return {Tickets.name: "too little was known to draw a limit"}
        return {Tickets.name: ends(panel, panel.fired & panel.judged)}


def _rate(record: Record, tickets: pa.Table) -> float:
    """Tickets a session: of those with an error, where they are enough and tickets are joined to sessions; else of all."""
    joins, turns = record.kit.joins, record.turns
    failed = set(turns.column("session_id").filter(turns.column("error").is_valid()).to_pylist())
    if joins is not None and len(failed) >= LEAST:
        mine = joins.filter(pc.is_in(joins.column("voice_id"), value_set=tickets.column("voice_id").combine_chunks()))
        joined = [
            session
            for session, how in zip(mine.column("session_id").to_pylist(), mine.column("how").to_pylist(), strict=True)
            if how != UNJOINED
        ]
        if joined:
            return sum(session in failed for session in joined) / len(failed)
    return tickets.num_rows / max(pc.count_distinct(turns.column("session_id")).as_py(), 1)
