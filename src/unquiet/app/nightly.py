"""Regular drills: the latest traffic is rehearsed, and the scorecard is kept beside those of the nights before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from unquiet.app.rehearsing import Progress, Rehearsal, failure_of
from unquiet.drills.nights import MONTH, lost_drills, night_rows, terms
from unquiet.drills.scorecard import Score, score
from unquiet.model.drills import Preset
from unquiet.model.nights import Lost
from unquiet.model.settings import Settings
from unquiet.model.turns import empty_turns
from unquiet.store import Store

DAY = timedelta(days=1)
WINDOW = 7 * DAY
"""A night looks at so much traffic beyond the learning period: failures begin in it."""

KEPT = timedelta(days=400)
"""How long scorecards are kept."""


@dataclass(frozen=True, slots=True)
class Night:
    """What became of a night: what was lost, and the controls that rang."""

    lost: Sequence[Lost]
    rang: Sequence[Score]


def window_start(last: datetime, settings: Settings) -> datetime:
    """Where the traffic of a night begins, whose last turn is at `last`: at midnight (UTC)."""
    midnight = datetime.combine(last.astimezone(UTC).date(), time(), UTC)
    learn_days = -(-settings.learn // DAY)
    return midnight - learn_days * DAY - WINDOW


def latest_turns(store: Store, settings: Settings) -> pa.Table:
    """The turns of a folder that a night rehearses on."""
    extent = store.turn_extent()
    if extent.last is None:
        return empty_turns()
    return store.turns_between(window_start(extent.last, settings), extent.last + timedelta(microseconds=1))


def latest_of(turns: pa.Table, settings: Settings) -> pa.Table:
    """The same of turns that are at hand."""
    if not turns.num_rows:
        return turns
    start = window_start(pc.max(turns.column("time")).as_py(), settings)
    return turns.filter(pc.greater_equal(turns.column("time"), pa.scalar(start, turns.schema.field("time").type)))


def rehearsed_scores(
    turns: pa.Table, settings: Settings, presets: Sequence[Preset], seeds: int, workers: int, progress: Progress
) -> list[Score]:
    """The scorecard of so many rehearsals of each drill.

    Raises:
        ConfigError: the record is too short.
    """
    rehearsal = Rehearsal(turns, settings)
    found = rehearsal.run(rehearsal.drills(presets, range(seeds)), workers, progress)
    return score(found, {each.name: failure_of(each).control for each in presets})


def keep_night(
    store: Store, scores: Sequence[Score], presets: Sequence[Preset], settings: Settings, now: datetime
) -> Night:
    """Compare a scorecard with those of the month before `now`, and keep it."""
    terms_of = {each.name: terms(each, settings) for each in presets}
    with store.transaction():
        lost = lost_drills(scores, terms_of, store.nights.read(), now)
        store.nights.append(night_rows(scores, terms_of, lost, now))
        store.nights.retire("time", round((now - KEPT).timestamp() * 1e6))
    return Night(lost, [each for each in scores if each.control and each.found])


def last_night(store: Store) -> dict[str, Any] | None:
    """The last scorecard of a folder in short; None where there is none.

    `at` is when. Of every drill its latest score of the month before counts: `failures` that were rehearsed, of which `heard` were
    found every time and `never` not at all; `lost` and `rang` (controls) by name. `nights` are known.
    """
    rows = store.nights.read()
    if not rows.num_rows:
        return None
    at = pc.max(rows.column("time")).as_py()
    latest = {each["preset"]: each for each in rows.to_pylist() if each["time"] > at - MONTH}
    failures = [each for each in latest.values() if not each["control"]]
    return {
        "at": at.isoformat(),
        "nights": pc.count_distinct(rows.column("time")).as_py(),
        "failures": len(failures),
        "heard": sum(each["found"] == each["rehearsals"] for each in failures),
        "never": [each["preset"] for each in failures if not each["found"]],
        "lost": [each["preset"] for each in failures if each["lost"]],
        "rang": [name for name, each in latest.items() if each["control"] and each["found"]],
    }


def titles_of(presets: Sequence[Preset]) -> Mapping[str, str]:
    """What happens in each drill, by its name."""
    return {each.name: each.title for each in presets}
