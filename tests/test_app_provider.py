"""A change at the provider that nobody announced is said as such, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from unquiet.app.provider import OF_FORM
from unquiet.app.scanning import scan
from unquiet.model.settings import Settings
from unquiet.pipeline.measuring import signal_infos

START = datetime(2026, 3, 2, tzinfo=UTC)
ONSET = START + timedelta(days=10, hours=6)
BAD = "I'm sorry, but I can't help with that request."
WORDS = "parcel order arrives within days please check status link account page delivery window courier name".split()  # noqa: SIM905

Change = Callable[[dict[str, Any], np.random.Generator], None]


def rows_of(change: Change) -> list[dict[str, Any]]:
    rng = np.random.default_rng(11)
    rows: list[dict[str, Any]] = []
    for i, at in enumerate(np.sort(rng.random(17 * 130)) * 17):
        words = int(rng.integers(30, 60))
        row: dict[str, Any] = {
            "time": START + timedelta(days=float(at)),
            "session_id": f"s{i}",
            "user_id": f"u{rng.integers(900)}",
            "input": f"question about {rng.choice(['refund', 'delivery', 'invoice'])} number {i}",
            "output": " ".join(rng.choice(WORDS, words)) + ".",
            "output_tokens": words * 2,
            "latency_ms": float(rng.normal(20.0 * words, 60.0)) + 400.0,
            "model": "gpt-big",
            "served_model": "gpt-big-0101",
            "system_fingerprint": "fp_a",
            "plan": str(rng.choice(["free", "paid"])),
        }
        if row["time"] >= ONSET:
            change(row, rng)
        rows.append(row)
    return rows


def other_model(row: dict[str, Any], rng: np.random.Generator) -> None:
    """Longer answers, as lists, and faster."""
    words = int(rng.integers(55, 90))
    parts = rng.choice(WORDS, words).tolist()
    row["output"] = "\n".join(f"- {' '.join(parts[i : i + 9])}" for i in range(0, words, 9))
    row["output_tokens"] = words * 2
    row["latency_ms"] = float(rng.normal(200.0, 40.0))


def other_served(row: dict[str, Any], rng: np.random.Generator) -> None:
    other_model(row, rng)
    row["served_model"], row["system_fingerprint"] = "gpt-small-0202", "fp_b"


def refusing(row: dict[str, Any], rng: np.random.Generator) -> None:
    if "refund" in row["input"] and rng.random() < 0.7:
        row |= {"output": BAD, "output_tokens": 20, "latency_ms": 450.0}


def scanned(
    folder: Path, change: Change, announced: dict[str, str] | None = None, without: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    turns, changes = folder / "turns.jsonl", folder / "changes.jsonl"
    rows = ({name: row[name] for name in row if name not in without} for row in rows_of(change))
    lines = (orjson.dumps({**row, "time": row["time"].isoformat()}) for row in rows)
    turns.write_bytes(b"\n".join(lines))
    if announced is not None:
        changes.write_bytes(orjson.dumps({"time": (ONSET - timedelta(hours=1)).isoformat(), **announced}))
    read = [changes] if announced is not None else []
    result = scan([str(turns)], folder / "db", Settings(), mapping={}, changes=read, progress=lambda *_: None)
    return orjson.loads(orjson.dumps(result.document["incidents"]))


def test_every_signal_of_form_can_ring() -> None:
    assert {info.name for info in signal_infos() if info.alarms} >= OF_FORM


def test_a_silent_swap_is_said(tmp_path: Path) -> None:
    found = [incident["provider_change"] for incident in scanned(tmp_path, other_model)]
    assert found
    changed = found[0]
    assert changed["said"].endswith("this looks like another model or other settings behind the same name")
    assert "nothing was announced" in changed["said"]
    assert changed["served_model"] is changed["fingerprint"] is None
    assert {"output_chars", "latency_ms", "has_list"} <= set(changed["moved"])


def test_another_served_model_is_named(tmp_path: Path) -> None:
    changed = scanned(tmp_path, other_served)[0]["provider_change"]
    assert changed["said"] == (
        "the same model was asked for, but was answered by gpt-small-0202 instead of gpt-big-0101, and nothing was announced"
    )
    assert changed["served_model"] == {"before": {"gpt-big-0101": 1.0}, "after": {"gpt-small-0202": 1.0}}
    assert changed["fingerprint"] == {"before": {"fp_a": 1.0}, "after": {"fp_b": 1.0}}


def test_it_is_not_said_that_the_same_model_was_asked_for_where_none_is_recorded(tmp_path: Path) -> None:
    changed = scanned(tmp_path, other_served, without=("model",))[0]["provider_change"]
    assert changed["said"] == (
        "which model was asked for is not recorded; the traffic was answered by gpt-small-0202 instead of gpt-big-0101, "
        "and nothing was announced"
    )


@pytest.mark.parametrize(
    ("change", "announced"),
    [
        (other_model, {"kind": "prompt", "from": "p1", "to": "p2"}),
        (other_served, {"kind": "model", "from": "gpt-big-0101", "to": "gpt-small-0202"}),
        (refusing, None),
    ],
)
def test_it_is_not_said_of_what_was_announced_or_is_behaviour(
    tmp_path: Path, change: Change, announced: dict[str, str] | None
) -> None:
    incidents = scanned(tmp_path, change, announced)
    assert incidents
    assert [incident["provider_change"] for incident in incidents] == [None] * len(incidents)
