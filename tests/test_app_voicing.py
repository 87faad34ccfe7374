"""Voices in a folder: joined, watched, shown with their incident, cleaned as traffic is, and forgotten."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from click.testing import CliRunner

from test_app_forgetting import holds
from unquiet.app.forgetting import forget, known_as
from unquiet.app.retention import Bounds, retire
from unquiet.app.voiced import overview, with_voices
from unquiet.app.voicing import add_rows, add_voices
from unquiet.cli import unquiet
from unquiet.model.privacy import PrivacySettings
from unquiet.model.turns import TURNS
from unquiet.privacy import UserHasher, folder_key
from unquiet.sources.voices import read_voices
from unquiet.store import Store

START = datetime(2026, 3, 2, tzinfo=UTC)
DAYS, ONSET_DAY, RAISED_DAY = 28, 16.4, 17.0
THINGS = (
    "invoice",
    "parcel",
    "password",
    "subscription",
    "voucher",
    "address",
    "warranty",
    "receipt",
    "delivery",
    "account",
)
DEEDS = ("change", "find", "cancel", "renew", "explain", "track", "print", "download", "share", "delete")
ESSAYS = (
    "volcanoes", "glaciers", "orchids", "lighthouses", "falcons", "comets", "fjords", "mosaics", "sundials", "harbours",
    "violins", "deserts", "beekeeping", "cathedrals", "submarines", "poetry", "vineyards", "earthquakes", "chess", "ballet",
)  # fmt: skip


def at(day: float) -> datetime:
    return START + timedelta(days=day)


def _turn(number: int, day: float, user: str | None, text: str, intent: str) -> dict[str, Any]:
    moment = at(day)
    session = f"s{number}"
    told = {"turn_id": f"{session}#0", "session_id": session, "turn_index": 0, "time": moment, "user_id": user}
    return told | {"input": text, "output": "yes", "facets": [("intent", intent)]}


def traffic(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Sessions of 28 days: requests about things, and each tenth an essay."""
    rows: list[dict[str, Any]] = []
    for number, day in enumerate(np.sort(rng.uniform(0, DAYS, 4000)).tolist()):
        essay = rng.random() < 0.1
        deed, thing = (str(rng.choice(each)) for each in (DEEDS, THINGS))
        about = ", ".join(rng.choice(ESSAYS, 4, replace=False).tolist())
        code = rng.integers(1000, 10_000)
        text = f"Write an essay on {about} ({code})" if essay else f"How do I {deed} my {thing} number {code}?"
        rows.append(_turn(number, day, f"u{rng.integers(1500)}", text, "essay" if essay else "help"))
    return rows


def affected(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if dict(row["facets"])["intent"] == "essay" and row["time"] >= at(ONSET_DAY)]


def voices(rows: Sequence[dict[str, Any]], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Ordinary tickets, and complaints of those who met the failure, days later."""
    said: list[dict[str, Any]] = []
    hurt = {row["session_id"] for row in affected(rows)}
    for row in rows:
        if rng.random() < 0.03:
            about = f"Where do I {rng.choice(DEEDS)} a {rng.choice(THINGS)}, please?"
            said.append({"time": row["time"] + timedelta(hours=5), "text": about, "user_id": row["user_id"]})
        if row["session_id"] in hurt and rng.random() < 0.6:
            lag = timedelta(days=0.3 + float(rng.exponential(2.0)))
            about = row["input"].removeprefix("Write ")
            said.append(
                {"time": row["time"] + lag, "text": f"It refused {about}", "user_id": row["user_id"], "true": "yes"}
            )
    return sorted((each for each in said if each["time"] < at(DAYS)), key=lambda each: each["time"])


def incident(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What unquiet says of the failure."""
    onset = {"earliest": at(ONSET_DAY - 0.3), "at": at(ONSET_DAY), "latest": at(ONSET_DAY + 0.2)}
    return {
        "id": "20260318-aaaaaa",
        "status": "open",
        "onset": {name: moment.isoformat() for name, moment in onset.items()},
        "raised_at": at(RAISED_DAY).isoformat(),
        "slice": {"intent": "essay"},
        "also_in": [],
        "session_ids": [row["session_id"] for row in affected(rows)],
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]], list[dict[str, Any]]]:
    """A folder with traffic and an incident, the rows of the traffic, and voices."""
    folder = tmp_path_factory.mktemp("world") / "db"
    rng = np.random.default_rng(11)
    rows = traffic(rng)
    table = pa.Table.from_pylist([dict.fromkeys(TURNS.names) | row for row in rows], schema=TURNS)
    document = incident(rows)
    with Store.open(folder) as store:
        store.append_turns(table)
        store.put_setting("coverage", {"learning_days": 7.0, "budget_per_30_days": 1.0})
        raised = datetime.fromisoformat(document["raised_at"])
        store.upsert_incident(document["id"], document, raised_at=raised, status="open")
    return folder, rows, voices(rows, rng)


@pytest.fixture
def folder(world: tuple[Path, Any, Any], tmp_path: Path) -> Path:
    shutil.copytree(world[0], tmp_path / "db")
    return tmp_path / "db"


def written(path: Path, said: Sequence[dict[str, Any]]) -> Path:
    path.write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in said))
    return path


def test_days_won_are_the_true_ones(world: tuple[Path, Any, Any], folder: Path, tmp_path: Path) -> None:
    _, rows, said = world
    with Store.open(folder) as store:
        added = add_voices(store, folder, read_voices([written(tmp_path / "t.jsonl", said)]))
        assert added.new == len(said)
        told = with_voices(store, incident(rows))["voices"]
        streams = overview(store)["streams"]
    complaints = [each["time"] for each in said if "true" in each]
    first = (min(complaints) - at(RAISED_DAY)) / timedelta(days=1)
    won = told["days_won"]
    assert won["first_voice"] == pytest.approx(first, abs=1e-6)
    assert won["first_voice_low"] <= won["first_voice"] <= won["first_voice_high"]
    assert told["first_at"] == min(complaints).isoformat().replace("+00:00", "Z")
    assert 0.8 * len(complaints) <= told["count"] <= 1.3 * len(complaints)
    assert told["joined_by"]["user"] == told["count"]
    after = [each["at"] for each in streams["alarms"] if datetime.fromisoformat(each["at"]) >= at(ONSET_DAY - 0.3)]
    assert told["alarm_at"] == after[0]
    assert won["voice_alarm"] == pytest.approx((datetime.fromisoformat(after[0]) - at(RAISED_DAY)) / timedelta(days=1))
    assert all("refused" in each["text"] for each in told["examples"][:3])


def test_every_kind_of_join_is_told(world: tuple[Path, Any, Any], folder: Path, tmp_path: Path) -> None:
    _, rows, said = world
    mixed = [dict(each) for each in said]
    essays = {row["input"].removeprefix("Write "): row["session_id"] for row in rows}
    for place, each in enumerate(mixed):
        if place % 3 == 0:
            each.pop("user_id")
        elif "true" in each and place % 3 == 1:
            each["session_id"] = essays[each["text"].removeprefix("It refused ")]
    with Store.open(folder) as store:
        add_voices(store, folder, read_voices([written(tmp_path / "t.jsonl", mixed)]))
        by = overview(store)["joined_by"]
        joins = {row["voice_id"]: row for row in store.voice_joins.read().to_pylist()}
        texts = {row["voice_id"]: row["text"] for row in store.voices.read().to_pylist()}
    assert sum(by.values()) == len(mixed)
    assert by["session"] == sum("session_id" in each for each in mixed)
    assert by["similarity"] >= 5
    assert by["none"] >= 1
    alike = [(row, texts[key]) for key, row in joins.items() if row["how"] == "similarity"]
    right = sum(row["session_id"] == essays.get(text.removeprefix("It refused ")) for row, text in alike)
    assert right >= 0.7 * len(alike)
    assert all(row["session_id"] is None for row in joins.values() if row["how"] == "none")


def test_a_served_folder_keeps_voices_as_it_keeps_traffic(folder: Path, tmp_path: Path) -> None:
    """With a key, users are hashed and texts redacted before anything is kept, and still joined."""
    key = folder_key(folder)
    moment = at(20)
    said = [{"id": 1, "time": moment, "text": "It refused. Write to ann@example.org", "user_id": "u7"}]
    with Store.open(folder) as store:
        add_voices(store, folder, read_voices([written(tmp_path / "t.jsonl", said)]))
        (row,) = store.voices.read().to_pylist()
        assert row["text"] == "It refused. Write to [email]"
        assert row["user_id"] == UserHasher(key)("u7")
        assert store.voice_joins.read().to_pylist()[0]["how"] in ("user", "none")
        silent = PrivacySettings(content_by_default=False)
        rows = store.voices.read().set_column(0, "voice_id", pa.array(["another"]))
        assert add_rows(store, folder, rows, silent) == {"added": 1, "known": 0}
        assert store.voices.read().to_pylist()[0]["text"] is None
    assert holds(folder, "ann@example.org") == []


def test_a_file_twice_counts_once(world: tuple[Path, Any, Any], folder: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "t.jsonl", world[2])
    for new in (len(world[2]), 0):
        with Store.open(folder) as store:
            assert add_voices(store, folder, read_voices([path])).new == new


def test_voices_are_forgotten(world: tuple[Path, Any, Any], folder: Path, tmp_path: Path) -> None:
    _, rows, said = world
    mine = affected(rows)[0]
    own = {"time": mine["time"] + timedelta(hours=3), "text": "Sonderwunsch, it refused", "user_id": mine["user_id"]}
    other = {"id": "o", "time": at(20), "text": f"as {mine['user_id']} said", "user_id": "somebody-else"}
    named = {"time": at(27), "text": "Kennwort of a session", "session_id": mine["session_id"]}
    kept = [each for each in said if each["user_id"] != mine["user_id"]]
    with Store.open(folder) as store:
        add_voices(store, folder, read_voices([written(tmp_path / "t.jsonl", [*kept, own, other, named])]))
        done = forget(store, known_as(folder, ()), known_as(folder, [mine["user_id"]]))
        assert done.voices == 2
        left = {row["voice_id"]: row for row in store.voices.read().to_pylist()}
        assert len(left) == len(kept) + 1
        assert mine["user_id"] not in left["table:o"]["text"]
        assert with_voices(store, incident(rows))["voices"]["count"] >= 0
    assert holds(folder, "Sonderwunsch", "Kennwort", f"as {mine['user_id']} said") == []


def test_voices_age_with_the_turns(world: tuple[Path, Any, Any], folder: Path, tmp_path: Path) -> None:
    with Store.open(folder) as store:
        add_voices(store, folder, read_voices([written(tmp_path / "t.jsonl", world[2])]))
        retire(store, Bounds(turn_days=10), at(DAYS), at(DAYS))
        times = store.voices.read(["time"]).column("time").to_pylist()
        assert times
        assert min(times) >= at(DAYS - 10)
        assert store.voice_joins.count() == len(times)


def test_the_commands(world: tuple[Path, Any, Any], folder: Path, tmp_path: Path) -> None:
    def run(*words: str) -> Any:
        return CliRunner().invoke(unquiet, [*words, "--db", str(folder)], catch_exceptions=False)

    name = incident(world[1])["id"]
    assert "no voices yet" in run("voices").stdout
    assert "no voices in this folder" in run("voices", name).stdout
    path = written(tmp_path / "t.jsonl", [*world[2], {"time": "never", "text": "x"}])
    added = run("voices", str(path))
    assert f"{len(world[2])} voices added" in added.stderr
    assert "1 x unreadable time" in added.stderr
    told = orjson.loads(run("voices", str(path), "--json").stdout)
    assert told == {"schema": "unquiet.added/1", "added": 0, "known": len(world[2]), "rejected": {"unreadable time": 1}}
    shown = run("voices").stdout
    for part in ("joined to sessions", "by user", "by week", "topics", "the voices alone would have rung"):
        assert part in shown
    document = orjson.loads(run("voices", "--json").stdout)
    assert document["schema"] == "unquiet.voices/1"
    assert sum(week["voices"] for week in document["per_week"]) == document["voices"] == len(world[2])
    assert "days won" in run("voices", name).stdout
    assert orjson.loads(run("voices", name, "--json").stdout)["days_won"]["first_voice"] > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--map", "when=opened"), "--map when=opened: expected NAME=COLUMN with a NAME of voice_id, time"),
        (("--map", "time=a", "--map", "time=b"), "--map time: given twice"),
        (("--scale", "5:1"), "--scale 5:1: expected LOW:HIGH"),
    ],
)
def test_wrong_options(folder: Path, words: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(unquiet, ["voices", "x.csv", *words, "--db", str(folder)])
    assert said in str(result.exception)


def test_nothing_readable_is_an_error(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("time,text\nnever,hello\n")
    result = CliRunner().invoke(unquiet, ["voices", str(path), "--db", str(folder)])
    assert "1 x unreadable time" in result.stderr
    assert "no voice could be read" in str(result.exception)
