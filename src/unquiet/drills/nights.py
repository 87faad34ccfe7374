"""Night by night: the scorecard against those of the last month. A drill that is not found any more is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.drills.scorecard import Score
from unquiet.model.drills import Preset
from unquiet.model.nights import NIGHT_SCORES, Lost
from unquiet.model.settings import Settings
from unquiet.stats.predictive import chance_of_at_most

MONTH = timedelta(days=31)

UNLIKELY = 0.003
"""A drill is lost where so few rehearsals found it with less than this probability. 0 of 5 after 5 of 5 is just below it."""


def terms(preset: Preset, settings: Settings) -> str:
    """What a drill puts in and how it is listened to, as text: scores of different terms are not compared."""
    said = {
        "failure": preset.failure,
        "dose": asdict(preset.dose),
        "budget": settings.budget,
        "learn_s": settings.learn.total_seconds(),
    }
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS).decode()


def lost_drills(scores: Sequence[Score], terms_of: Mapping[str, str], history: pa.Table, now: datetime) -> list[Lost]:
    """The failures that are found less often than in the nights of the month before `now`.

    `history` follows NIGHT_SCORES. A night in which a drill was lost does not count as what is usual of it, so that it stays
    lost until it is found again, or a month has passed.
    """
    recent = history.filter(
        pc.and_(
            pc.greater_equal(history.column("time"), pa.scalar(now - MONTH, NIGHT_SCORES.field("time").type)),
            pc.invert(history.column("lost")),
        )
    ).to_pylist()
    found: list[Lost] = []
    for each in scores:
        before = [r for r in recent if r["preset"] == each.preset and r["terms"] == terms_of[each.preset]]
        hits, of = (sum(row[name] for row in before) for name in ("found", "rehearsals"))
        chance = chance_of_at_most(each.found, each.rehearsals, hits, of)
        if of and not each.control and chance < UNLIKELY:
            found.append(Lost(each.preset, each.found, each.rehearsals, hits, of, chance))
    return found


def night_rows(scores: Sequence[Score], terms_of: Mapping[str, str], lost: Sequence[Lost], now: datetime) -> pa.Table:
    """The rows of a night, schema NIGHT_SCORES."""
    gone = {each.preset for each in lost}
    rows = [
        {
            "score_id": f"{now.isoformat()} {each.preset}",
            "time": now,
            "preset": each.preset,
            "terms": terms_of[each.preset],
            "control": each.control,
            "rehearsals": each.rehearsals,
            "found": each.found,
            "hours": None if each.hours is None else each.hours[1],
            "met": each.met,
            "affected": each.affected,
            "lost": each.preset in gone,
        }
        for each in scores
    ]
    return pa.Table.from_pylist(rows, schema=NIGHT_SCORES)
