"""From a scan: suspects with what the traffic shows of them, and the changes as a list."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from click.testing import CliRunner, Result

from unquiet.app.marks import mark, marks
from unquiet.app.scanning import scan
from unquiet.cli.commands import unquiet
from unquiet.model.changes import Change
from unquiet.model.settings import Settings
from unquiet.store import Store

START = datetime(2026, 3, 2, tzinfo=UTC)
ONSET = START + timedelta(days=10, hours=6)
DEPLOYED = ONSET - timedelta(minutes=20)
WORDS = "parcel order arrives within days please check status link account page delivery window courier name".split()  # noqa: SIM905
TENANTS = ("harbor", "orbit", "quartz")
NEW = {"harbor": "p2", "orbit": "p3"}
"""Two tenants got new prompts at the same moment. Only harbor is hurt."""


def rows() -> list[dict[str, Any]]:
    rng = np.random.default_rng(3)
    found: list[dict[str, Any]] = []
    for i, day in enumerate(np.sort(rng.random(17 * 150)) * 17):
        at, tenant = START + timedelta(days=float(day)), str(rng.choice(TENANTS))
        row = {
            "time": at.isoformat(),
            "session_id": f"s{i}",
            "user_id": f"u{rng.integers(900)}",
            "input": f"question about {rng.choice(['refund', 'delivery', 'invoice'])} number {i}",
            "output": " ".join(rng.choice(WORDS, int(rng.integers(30, 60)))) + ".",
            "tenant": tenant,
            "prompt_version": NEW.get(tenant, "p1") if at >= DEPLOYED else "p1",
        }
        if at >= ONSET and tenant == "harbor" and rng.random() < 0.7:
            row["output"] = "I'm sorry, but I can't help with that request."
        found.append(row)
    return found


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """The folder of a scan, and its incidents."""
    folder = tmp_path_factory.mktemp("suspects")
    (folder / "turns.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows())))
    announced = [
        {"time": DEPLOYED.isoformat(), "kind": "prompt", "from": "p1", "to": version, "scope": {"tenant": tenant}}
        for tenant, version in NEW.items()
    ]
    announced += [
        {"time": (START + timedelta(days=day, hours=5)).isoformat(), "kind": "app", "to": f"1.{day}"}
        for day in range(17)
    ]
    (folder / "changes.jsonl").write_bytes(b"\n".join(map(orjson.dumps, announced)))
    turns, changes = folder / "turns.jsonl", folder / "changes.jsonl"
    result = scan([str(turns)], folder / "db", Settings(), mapping={}, changes=[changes], progress=lambda *_: None)
    return folder / "db", orjson.loads(orjson.dumps(result.document["incidents"]))


def run(*words: str) -> Result:
    return CliRunner().invoke(unquiet, words)


def test_the_change_that_the_affected_carry_comes_first(scanned: tuple[Path, list[dict[str, Any]]]) -> None:
    incident = next(each for each in scanned[1] if each["slice"] == {"tenant": "harbor"})
    first = incident["suspects"][0]
    assert (first["kind"], first["to"], first["likely"]) == ("prompt", "p2", True)
    assert first["carried"]["affected"]["rate"] == 1.0
    assert first["carried"]["others"]["rate"] < 0.3
    assert any("affected sessions since carry it" in line for line in first["why"])
    other = next(each for each in incident["suspects"] if each["to"] == "p3")
    assert (other["likely"], other["score"]) == (False, 0.0)
    assert any("seen in tenant=harbor" in line for line in other["why"])
    assert [each["likely"] for each in incident["suspects"] if each["kind"] == "app"] == [False, False]


def test_changes_are_listed_with_their_routine_and_last_sights(scanned: tuple[Path, list[dict[str, Any]]]) -> None:
    document = json.loads(run("changes", "--json", "--db", str(scanned[0])).stdout)
    assert document["schema"] == "unquiet.changes/1"
    changes = document["changes"]
    assert [each["at"] for each in changes] == sorted(each["at"] for each in changes)
    assert {each["kind"]: each["changes"] for each in document["kinds"]} == {"prompt": 2, "app": 17}
    sights = {each["value"]: each for each in document["sightings"] if each["facet"] == "prompt_version"}
    assert set(sights) == {"p1", "p2", "p3"}
    assert sights["p2"]["first"] < sights["p2"]["last"]
    shown = run("changes", "--db", str(scanned[0])).stdout
    assert "prompt p1 -> p2, only tenant=harbor" in shown
    assert "how routine in 17 days: prompt 2 times, app 17 times" in shown


def test_marks_from_files_tags_and_words(scanned: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> None:
    folder, event = scanned[0], tmp_path / "event.json"
    event.write_text(
        json.dumps({"specversion": "1.0", "id": "1", "source": "/ci", "type": "t", "time": "2026-03-03T00:00:00Z"})
    )
    tags = tmp_path / "tags.txt"
    tags.write_text("2026-03-04T00:00:00Z\tv1\n2026-03-05T00:00:00Z\tv2\nsoon\tv3\n")
    done = run("mark", "--file", str(event), "--file", str(tags), "--db", str(folder))
    assert (done.exit_code, done.stdout) == (0, "marked 3 changes, 3 of them new\n")
    assert "unreadable change" in done.stderr
    assert run("mark", "--file", str(tags), "--db", str(folder)).stdout == "marked 2 changes, 0 of them new\n"
    words = ("mark", "hotter", "--to", "0.9", "--kind", "temperature", "--at", "2026-03-06", "--scope", "tenant=orbit")
    assert run(*words, "--db", str(folder)).stdout == "marked temperature 0.9 at 2026-03-06 00:00 UTC\n"
    with Store.open(folder, create=False) as store:
        last = marks(store)[-1]
    assert (last.kind, last.after, last.scope) == ("temperature", "0.9", (("tenant", "orbit"),))
    assert last.source.endswith(": hotter")
    assert "nothing to mark" in str(run("mark", "--db", str(folder)).exception)
    assert "no list of facets" in str(run("mark", "x", "--scope", "tenant", "--db", str(folder)).exception)


def test_the_same_event_is_one_change_whenever_it_came(tmp_path: Path) -> None:
    early, late = (Change(START + timedelta(hours=h), "release", None, "v2", "/ci", (), "/ci 7") for h in (0, 1))
    other = Change(START, "release", None, "v2", "somebody")
    with Store.open(tmp_path / "db") as store:
        assert mark(store, [early]) == 1
        assert mark(store, [late, other]) == 0
        assert marks(store) == [early]
