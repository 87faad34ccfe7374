"""Writes the story: the turn table, the list of releases, and the truth to compare a finding with."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from unquiet.demo.charts import Chart, draw_charts
from unquiet.demo.dialogue import Exchange, converse
from unquiet.demo.draw import Draw
from unquiet.demo.shop import FAULT, FAULT_DOSE, FAULT_SLICE, MODEL, RELEASES, SCRIPTS, Outcome, Release
from unquiet.demo.visits import Visit, draw_visits, release_s

START = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday."""

MIN_DAYS = 7

_UNANSWERED = 0.002
_CUT_OFF = 0.002
_SYSTEM_TOKENS = 1_180
_CHARACTERS_PER_TOKEN = 4

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Story:
    """What was written, and the truth about it.

    `turns` and `deploys` are the files. `onset` is when the failure began, `slice` the facets of those it can
    meet, `affected` the sessions that it met and when they began, `deploy` the release it came with, `charts` what
    a dashboard shows of it. `session_count` and `turn_count` say how much traffic there is.
    """

    turns: Path
    deploys: Path
    onset: datetime
    slice: dict[str, str]
    affected: dict[str, datetime]
    deploy: dict[str, str]
    session_count: int
    turn_count: int
    charts: tuple[Chart, ...]


def write_story(
    folder: Path, *, seed: int = 7, sessions_per_day: int = 3_000, days: int = 14, start: datetime = START
) -> Story:
    """Write `turns.jsonl.gz`, `deploys.jsonl` and `story.json` into the folder, which is made if it is missing.

    The same arguments write the same bytes. `sessions_per_day` is the mean over a week.

    Raises:
        ValueError: fewer than 7 days or one session a day, or a start without a time zone.
    """
    if days < MIN_DAYS or sessions_per_day < 1 or start.tzinfo is None:
        raise ValueError(
            f"A story needs at least {MIN_DAYS} days, one session a day and a start with a time zone; got "
            f"days={days}, sessions_per_day={sessions_per_day}, start={start!r}."
        )
    rows, affected, session_count = _tell(seed, sessions_per_day, days, start)
    onset = start + timedelta(seconds=release_s(FAULT, days))
    folder.mkdir(parents=True, exist_ok=True)
    deploys = [_deploy(release, start, days) for release in RELEASES]
    story = Story(
        turns=folder / "turns.jsonl.gz",
        deploys=folder / "deploys.jsonl",
        onset=onset,
        slice=dict(FAULT_SLICE),
        affected=affected,
        deploy=_deploy(FAULT, start, days),
        session_count=session_count,
        turn_count=len(rows),
        charts=draw_charts(rows, _written(onset)),
    )
    _write_gzip(story.turns, rows)
    story.deploys.write_bytes(b"".join(orjson.dumps(deploy) + b"\n" for deploy in deploys))
    (folder / "story.json").write_bytes(orjson.dumps(_truth(story), option=orjson.OPT_INDENT_2))
    return story


def _tell(seed: int, sessions_per_day: int, days: int, start: datetime) -> tuple[list[Row], dict[str, datetime], int]:
    """All rows in the order of their time, the affected sessions and the number of sessions."""
    rng = np.random.default_rng(seed)
    draw = Draw(rng.spawn(1)[0])
    onset_s = release_s(FAULT, days)
    timed: list[tuple[float, Row]] = []
    affected: dict[str, datetime] = {}
    session_count = 0
    for visit in draw_visits(rng, start=start, days=days, sessions_per_day=sessions_per_day):
        session_count += 1
        outcome = _outcome(visit, onset_s, draw)
        if outcome == "quiet":
            affected[visit.session_id] = start + timedelta(seconds=visit.at_s)
        timed.extend(_rows(visit, converse(visit, outcome, draw), start, draw))
    timed.sort(key=lambda pair: pair[0])
    return [row for _, row in timed], affected, session_count


def _outcome(visit: Visit, onset_s: float, draw: Draw) -> Outcome:
    hit = visit.at_s >= onset_s and all(getattr(visit, facet) == value for facet, value in FAULT_SLICE.items())
    if hit and draw.chance(FAULT_DOSE):
        return "quiet"
    return draw.weighted(SCRIPTS[visit.intent].otherwise, "done")


def _rows(visit: Visit, turns: list[Exchange], start: datetime, draw: Draw) -> Iterator[tuple[float, Row]]:
    at_s, history = visit.at_s, 0
    for index, (turn, error) in enumerate(_with_retries(turns, draw)):
        reply_tokens = len(turn.answered) // _CHARACTERS_PER_TOKEN + 1
        latency_ms = draw.lognormal(600 + 380 * turn.usual_calls + 9 * reply_tokens, 0.35)
        history += len(turn.said) // _CHARACTERS_PER_TOKEN + 1
        row = _row(visit, turn, index, start + timedelta(seconds=at_s))
        row |= {"latency_ms": round(latency_ms, 1), "input_tokens": _SYSTEM_TOKENS + history + 70 * turn.usual_calls}
        row["output_tokens"] = reply_tokens + 28 * turn.usual_calls
        if error is not None:
            row |= {"output": "", "tool_calls": [], "finish_reason": "error", "error": error, "output_tokens": 0}
        elif draw.chance(_CUT_OFF):
            row |= {"output": turn.answered[: len(turn.answered) * 3 // 5], "finish_reason": "length"}
        yield at_s, row
        history += reply_tokens
        at_s = round(at_s + latency_ms / 1000 + draw.lognormal(35.0, 0.8), 3)


def _with_retries(turns: Iterable[Exchange], draw: Draw) -> Iterator[tuple[Exchange, str | None]]:
    """Now and then the provider does not answer, and the customer sends the message again."""
    for turn in turns:
        if draw.chance(_UNANSWERED):
            yield turn, "provider returned 503"
        yield turn, None


def _row(visit: Visit, turn: Exchange, index: int, at: datetime) -> Row:
    return {
        "time": _written(at),
        "session_id": visit.session_id,
        "turn_index": index,
        "user_id": visit.user_id,
        "input": turn.said,
        "output": turn.answered,
        "tool_calls": list(turn.calls),
        "finish_reason": "stop",
        "error": None,
        "latency_ms": 0.0,
        "input_tokens": 0,
        "output_tokens": 0,
        "model": MODEL,
        "intent": visit.intent,
        "locale": visit.locale,
        "tenant": visit.tenant,
        "channel": visit.channel,
        "app_version": visit.app_version,
        "prompt_version": visit.prompt_version,
    }


def _written(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _deploy(release: Release, start: datetime, days: int) -> dict[str, str]:
    at = (start + timedelta(seconds=release_s(release, days))).isoformat().replace("+00:00", "Z")
    return {"time": at, "kind": release.kind, "from": release.before, "to": release.after}


def _write_gzip(path: Path, rows: Iterable[Row]) -> None:
    # Without a name and a time in its header, the file depends on the rows alone.
    with (
        path.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=4, mtime=0) as packed,
    ):
        packed.writelines(orjson.dumps(row) + b"\n" for row in rows)


def _truth(story: Story) -> dict[str, Any]:
    return {
        "onset": story.onset.isoformat().replace("+00:00", "Z"),
        "slice": story.slice,
        "deploy": story.deploy,
        "affected": list(story.affected),
        "session_count": story.session_count,
        "turn_count": story.turn_count,
    }
