"""What users ask for that they did not ask for before, as a document and as a person reads it."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from mix_worlds import asking_anew
from unquiet.app.scanning import scan
from unquiet.cli import main
from unquiet.model.settings import Settings


def scanned(folder: Path, **how: Any) -> list[dict[str, Any]]:
    rows = asking_anew(1, **how).to_pylist()
    lines = (
        {name: row[name] for name in ("session_id", "user_id", "input", "output")}
        | {**dict(row["facets"]), "time": row["time"].isoformat()}
        for row in rows
    )
    (folder / "turns.jsonl").write_bytes(b"\n".join(orjson.dumps(line) for line in lines))
    settings = Settings(learn=timedelta(days=5))
    paths = [str(folder / "turns.jsonl")]
    result = scan(paths, folder / "db", settings, mapping={}, changes=[], progress=lambda *_: None)
    return orjson.loads(orjson.dumps(result.document["incidents"]))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("mix")
    (incident,) = scanned(folder, intent=False)
    return folder, incident


def test_the_incident_says_what_is_asked_for(told: tuple[Path, dict[str, Any]]) -> None:
    incident = told[1]
    assert (incident["signal"], incident["event"], incident["slice"]) == ("mix", "mix:new kind of request", {})
    assert incident["title"].startswith('users ask for something new ("esim / roaming')
    assert ": 0 % -> 4.5 % of sessions since Mon 19 Jan" in incident["title"]
    (kind,) = incident["kinds"]
    assert kind["id"] == 0
    assert kind["sessions"] == pytest.approx(0.05 * 7 * 300, rel=0.25)
    assert incident["evidence"]["before"] == []
    assert set(kind["examples"]) <= set(incident["evidence"]["after"])
    assert incident["status"] == "open"
    assert incident["provider_change"] is None


def test_a_person_reads_words_and_examples(
    told: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["unquiet", "incident", told[1]["id"], "--db", str(told[0] / "db")])
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().out
    assert "asked for" in said
    assert "asked now s" in said
    assert "esim" in said.partition("asked now")[2]


def test_an_intent_names_the_kind_and_what_is_over_is_resolved(tmp_path: Path) -> None:
    (incident,) = scanned(tmp_path, intent=True, since=10, until=15, share=0.08)
    assert incident["kinds"][0]["label"] == "esim"
    assert incident["status"] == "resolved"
    assert incident["resolved_at"] > "2026-01-19"
