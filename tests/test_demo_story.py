"""The demo's story: the same bytes for the same seed, and the failure is where the truth says, and nowhere else."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from test_docs import ROOT, loaded
from unquiet.app import demonstrating
from unquiet.demo import Story, write_story
from unquiet.demo.phrasebook import phrasebook
from unquiet.demo.shop import CHANNELS, MARKETS, SCRIPTS, TENANTS
from unquiet.sources import read_files

Row = dict[str, Any]
FACETS = ("intent", "locale", "tenant", "channel", "app_version", "prompt_version")
COLUMNS = (
    *("time", "session_id", "turn_index", "user_id", "input", "output", "tool_calls", "finish_reason", "error"),
    *("latency_ms", "input_tokens", "output_tokens", "model"),
)


class Told(NamedTuple):
    story: Story
    rows: list[Row]
    sessions: dict[str, list[Row]]


def read_rows(path: Path) -> list[Row]:
    with gzip.open(path) as lines:
        return [json.loads(line) for line in lines]


def at(row: Row) -> datetime:
    return datetime.fromisoformat(row["time"])


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    story = write_story(tmp_path_factory.mktemp("demo"))
    rows = read_rows(story.turns)
    sessions: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        sessions[row["session_id"]].append(row)
    return Told(story, rows, sessions)


def in_slice(told: Told, *, after: bool) -> list[str]:
    return [
        key
        for key, turns in told.sessions.items()
        if all(turns[0][facet] == value for facet, value in told.story.slice.items())
        and (at(turns[0]) >= told.story.onset) == after
    ]


def tools(turns: list[Row]) -> list[str]:
    return [call["name"] for row in turns for call in row["tool_calls"]]


def digest(folder: Path, seed: int) -> str:
    write_story(folder, seed=seed, sessions_per_day=60, days=7)
    joined = b"".join((folder / name).read_bytes() for name in ("turns.jsonl.gz", "deploys.jsonl", "story.json"))
    return hashlib.sha256(joined).hexdigest()


def test_same_seed_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    assert digest(tmp_path / "a", 7) == digest(tmp_path / "b", 7)
    assert digest(tmp_path / "a", 7) != digest(tmp_path / "c", 8)


def test_every_row_has_the_columns_of_the_turn_table(told: Told) -> None:
    for row in told.rows:
        assert tuple(row) == (*COLUMNS, *FACETS)
        assert at(row).tzinfo is not None
        assert row["latency_ms"] > 0
        assert row["input_tokens"] > 0
        assert row["output_tokens"] >= 0
        for call in row["tool_calls"]:
            assert tuple(call) == ("name", "arguments", "result", "error")
            assert (call["result"] is None) == (call["error"] is not None)
    assert [row["time"] for row in told.rows] == sorted(row["time"] for row in told.rows)


def test_turns_of_a_session_are_in_order_and_share_their_facets(told: Told) -> None:
    for turns in told.sessions.values():
        assert [row["turn_index"] for row in turns] == list(range(len(turns)))
        assert len({tuple(row[name] for name in ("user_id", *FACETS)) for row in turns}) == 1
    assert told.story.session_count == len(told.sessions)
    assert told.story.turn_count == len(told.rows)
    assert np.mean([len(turns) for turns in told.sessions.values()]) > 1.5


def test_every_row_passes_the_real_door(told: Told) -> None:
    read = next(iter(read_files([told.story.turns], now=datetime(2026, 4, 1, tzinfo=UTC))))
    assert sum(table.num_rows for table in read.tables) == len(told.rows)
    assert read.report.rejected_count == 0


def test_every_kind_market_tenant_and_channel_occurs(told: Told) -> None:
    first = [turns[0] for turns in told.sessions.values()]
    wanted = {"intent": set(SCRIPTS), "locale": set(MARKETS), "tenant": set(TENANTS), "channel": set(CHANNELS)}
    for facet, values in wanted.items():
        assert {row[facet] for row in first} == values
    assert {row["app_version"] for row in first} == {"5.2.0", "5.3.0", "5.3.1"}


def test_no_slot_is_left_open_and_wording_varies(told: Told) -> None:
    assert not [row for row in told.rows if re.search(r"[{}]", row["input"] + row["output"])]
    assert len({row["input"] for row in told.rows}) > len(told.rows) / 3
    assert len({row["output"] for row in told.rows}) > len(told.rows) / 4


def test_the_slice_is_about_one_percent_of_the_traffic(told: Told) -> None:
    share = (len(in_slice(told, after=False)) + len(in_slice(told, after=True))) / len(told.sessions)
    assert 0.008 <= share <= 0.015


def test_the_affected_are_in_the_slice_and_after_the_onset(told: Told) -> None:
    after = in_slice(told, after=True)
    affected = set(told.story.affected)
    assert affected <= set(after)
    assert 0.65 <= len(affected) / len(after) <= 0.85
    assert told.story.onset.hour in range(13, 17)


def test_the_affected_get_no_refund_and_the_others_mostly_do(told: Told) -> None:
    affected = set(told.story.affected)
    assert not any("refund" in tools(told.sessions[key]) for key in affected)
    spared = [*in_slice(told, after=False), *(key for key in in_slice(told, after=True) if key not in affected)]
    assert np.mean(["refund" in tools(told.sessions[key]) for key in spared]) > 0.85


def test_the_decline_has_many_wordings_and_only_the_affected_hear_it(told: Told) -> None:
    quiet = phrasebook("de").topics["refund"].quiet
    beginnings = {line.split("{")[0].split(".")[0][:25] for line in quiet}
    heard = {key for key, turns in told.sessions.items() for b in beginnings if any(b in r["output"] for r in turns)}
    # The provider may cut off an answer, but not before its first words.
    assert heard == set(told.story.affected)
    said = {b for b in beginnings for key in heard if any(b in row["output"] for row in told.sessions[key])}
    assert len(said) >= 6


def test_the_prompt_changes_at_the_onset_and_the_deploy_is_announced(told: Told) -> None:
    deploys = [json.loads(line) for line in told.story.deploys.read_text("utf-8").splitlines()]
    true = [deploy for deploy in deploys if datetime.fromisoformat(deploy["time"]) == told.story.onset]
    assert true == [told.story.deploy]
    assert true[0]["kind"] == "prompt"
    assert 2 <= len(deploys) - 1 <= 3
    for turns in told.sessions.values():
        assert (turns[0]["prompt_version"] == true[0]["to"]) == (at(turns[0]) >= told.story.onset)


def test_nothing_else_about_the_affected_stands_out(told: Told) -> None:
    """Errors, latency, tokens and turns per session of the affected are those of the slice before."""
    before = [row for key in in_slice(told, after=False) for row in told.sessions[key]]
    affected = [row for key in told.story.affected for row in told.sessions[key]]
    for column, tolerance in (("latency_ms", 0.25), ("input_tokens", 0.03), ("output_tokens", 0.3)):
        middle = [float(np.median([row[column] for row in rows])) for rows in (before, affected)]
        assert abs(middle[1] / middle[0] - 1) <= tolerance, (column, middle)
    assert np.mean([row["finish_reason"] != "stop" for row in affected]) <= 0.05
    turns = [len(before) / len(in_slice(told, after=False)), len(affected) / len(told.story.affected)]
    assert abs(turns[1] / turns[0] - 1) <= 0.25


def test_the_dashboards_see_nothing(told: Told) -> None:
    """Over all traffic: error rate, tool errors, latency and tokens, after the onset against before."""
    parts = [[row for row in told.rows if (at(row) >= told.story.onset) == after] for after in (False, True)]
    for what, limit in (
        (lambda row: row["error"] is not None, 0.002),
        (lambda row: any(call["error"] for call in row["tool_calls"]), 0.004),
    ):
        rates = [float(np.mean([what(row) for row in rows])) for rows in parts]
        assert 0 < rates[0] < 0.03
        assert abs(rates[1] - rates[0]) <= limit
    for column in ("latency_ms", "input_tokens", "output_tokens"):
        for share in (50, 95):
            value = [float(np.percentile([row[column] for row in rows], share)) for rows in parts]
            assert abs(value[1] / value[0] - 1) <= 0.05


def test_the_charts_of_the_story_show_nothing(told: Told) -> None:
    charts = {chart.name: (chart.before, chart.since) for chart in told.story.charts}
    assert {"failed turns", "failed tool calls", "p95 latency"} <= set(charts)
    for name, values in charts.items():
        before, since = (float(value.rstrip("% s")) for value in values)
        assert abs(since - before) <= max(0.05 * before, 0.2), name


def test_some_leave_when_asked_for_their_order_number(told: Told) -> None:
    """They get no refund, and nobody refused it: a session without an action is no failure yet."""
    asked = set(phrasebook("de").ask_order)
    sessions = [told.sessions[key] for key in in_slice(told, after=False)]
    left = [turns for turns in sessions if len(turns) == 1 and turns[0]["output"] in asked]
    assert 0.01 <= len(left) / len(sessions) <= 0.12


def test_weekends_bring_a_topic_that_people_take_over(told: Told) -> None:
    """The share of hand-offs doubles at weekends, while within every topic it stays."""
    topic: dict[bool, list[bool]] = {False: [], True: []}
    handed: dict[tuple[str, bool], list[bool]] = defaultdict(list)
    for turns in told.sessions.values():
        weekend = at(turns[0]).weekday() >= 5
        topic[weekend].append(turns[0]["intent"] == "delivery_problem")
        handed[turns[0]["intent"], weekend].append("transfer_to_human" in tools(turns))
    assert np.mean(topic[True]) > 2 * np.mean(topic[False])
    overall = [np.mean([hit for (_, w), hits in handed.items() if w == end for hit in hits]) for end in (False, True)]
    assert overall[1] > 1.5 * overall[0]
    within = [np.mean(handed["delivery_problem", weekend]) for weekend in (False, True)]
    assert abs(within[1] - within[0]) < 0.06


def test_nights_are_quiet_and_weekends_slower(told: Told) -> None:
    starts = [at(turns[0]) for turns in told.sessions.values() if turns[0]["locale"] == "de-DE"]
    hours = np.bincount([start.hour for start in starts], minlength=24)
    assert hours[8:20].mean() > 4 * hours[0:4].mean()
    days = np.bincount([start.weekday() for start in starts], minlength=7)
    assert days[5:].mean() < days[:5].mean()


def unquiet(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "300", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "unquiet", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8", check=False
    )


def test_the_command_finds_the_failure_and_what_it_names_can_be_looked_at(tmp_path: Path) -> None:
    """The demo from end to end: one incident, the right slice, a narrow onset, the release first, the right sessions."""
    demo = unquiet(tmp_path, "demo")
    assert demo.returncode == 0, demo.stderr
    listed = unquiet(tmp_path, "incidents", "--json")
    assert listed.returncode == 1
    (incident,) = json.loads(listed.stdout)
    truth = json.loads((tmp_path / ".unquiet" / "demo" / "story.json").read_text("utf-8"))
    assert "refund requests in German (de-DE): " in incident["title"]
    assert incident["title"] in demo.stdout
    pictures = loaded(ROOT / "docs" / "pictures.py")
    for page in pictures.PAGES:
        written = page.read_text("utf-8")
        assert pictures.PICTURE.search(written)
        assert written == pictures.filled(written, demo.stdout), "run make docs"
    assert incident["slice"] == truth["slice"]
    earliest, onset, latest = (
        datetime.fromisoformat(text)
        for text in (incident["onset"]["earliest"], truth["onset"], incident["onset"]["latest"])
    )
    assert earliest <= onset <= latest
    assert latest - earliest <= timedelta(hours=12)
    assert {name: incident["suspects"][0][name] for name in ("from", "to")} == {"from": "v41", "to": "v42"}
    claimed = set(unquiet(tmp_path, "incident", incident["id"], "--sessions").stdout.split())
    right = claimed & set(truth["affected"])
    assert len(right) >= 0.9 * len(claimed)
    assert len(right) >= 0.8 * len(truth["affected"])
    assert unquiet(tmp_path, "status").returncode == 0
    assert unquiet(tmp_path, "demo").stdout == demo.stdout, "the second run continues the first and says the same"


def test_another_seed_starts_from_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one story left behind is no part of the next; the same story again is read once."""
    monkeypatch.setattr(demonstrating, "write_story", partial(write_story, days=8, sessions_per_day=40))
    sessions = []
    for seed in (1, 1, 2):
        demo = demonstrating.run_demo(tmp_path, seed, lambda what, share: None)
        sessions.append(demo.result.document["sessions"])
        assert demo.result.document["turns"] == demo.story.turn_count
        assert demo.found is None
    assert sessions[0] == sessions[1] != sessions[2]


def test_languages_answer_in_their_language() -> None:
    """Every phrase book has every topic, and every slot is known."""
    books = {market.language: phrasebook(market.language) for market in MARKETS.values()}
    for book in books.values():
        assert set(book.topics) == set(SCRIPTS)
        for name, script in SCRIPTS.items():
            topic = book.topics[name]
            assert bool(topic.bare) == script.needs_order
            assert topic.denied or "denied" not in script.otherwise
            assert not topic.paired or len(topic.open) == len(topic.done)
    assert books["de"].topics["refund"].quiet
    assert not set(books["de"].topics["refund"].open) & set(books["fr"].topics["refund"].open)


@pytest.mark.parametrize(("days", "per_day"), [(6, 100), (14, 0)])
def test_too_small_a_story_is_refused(tmp_path: Path, days: int, per_day: int) -> None:
    with pytest.raises(ValueError, match="at least 7 days"):
        write_story(tmp_path, days=days, sessions_per_day=per_day)


def test_the_start_moves_the_whole_story(tmp_path: Path) -> None:
    week = timedelta(days=7)
    stories = [
        write_story(tmp_path / str(i), days=7, sessions_per_day=50, start=datetime(2026, 3, 2, tzinfo=UTC) + i * week)
        for i in (0, 1)
    ]
    rows = [read_rows(story.turns) for story in stories]
    assert stories[1].onset - stories[0].onset == week
    assert [at(row) + week for row in rows[0]] == [at(row) for row in rows[1]]
    assert [row["output"] for row in rows[0]] == [row["output"] for row in rows[1]]
