"""Without text: what can work works, what cannot is listed, and content that goes off is no change of behaviour."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from bare_worlds import START, Change, bare, scanned
from unquiet.app.status import status
from unquiet.cli import main
from unquiet.cli.status import show_status
from unquiet.store import Store


def no_tools(row: dict[str, Any], rng: np.random.Generator) -> None:
    if row["intent"] == "delivery" and rng.random() < 0.7:
        row["tool_calls"] = []


def slower(row: dict[str, Any], _: np.random.Generator) -> None:
    row["latency_ms"] *= 1.6


def wordier(row: dict[str, Any], _: np.random.Generator) -> None:
    row["output_tokens"] = int(row["output_tokens"] * 1.5)


def cut(row: dict[str, Any], rng: np.random.Generator) -> None:
    if rng.random() < 0.3:
        row["finish_reason"] = "length"


@pytest.mark.parametrize(
    ("change", "signal", "where"),
    [
        (no_tools, "no_tool_call", {"intent": "delivery"}),
        (slower, "latency_ms", {}),
        (wordier, "output_tokens", {}),
        (cut, "truncated", {}),
    ],
)
def test_what_needs_no_text_is_found(tmp_path: Path, change: Change, signal: str, where: dict[str, str]) -> None:
    document = scanned(tmp_path, bare(3, since=9, change=change))
    (incident,) = document["incidents"]
    assert (incident["signal"], incident["slice"]) == (signal, where)
    assert incident["evidence"]["note"].startswith("no text was captured of these sessions")
    assert len(incident["evidence"]["before"]) == len(incident["evidence"]["after"]) > 0
    assert document["coverage"]["strata"] == ["intent"]


def test_quiet_traffic_without_text_is_quiet_and_says_what_it_cannot_see(tmp_path: Path) -> None:
    document = scanned(tmp_path, bare(3))
    assert document["incidents"] == []
    told = document["coverage"]
    assert told["content"]["off"] is True
    assert told["content"]["without_text"] == 1.0
    assert told["content"]["last_text_at"] is None
    reason, names = max(told["signals_without_input_by_reason"].items(), key=lambda item: len(item[1]))
    assert reason == "content is off: the text of requests and answers is not captured"
    assert {"refusal", "output_chars", "language"} <= set(names)
    listed = told["signals_without_input_by_reason"].values()
    assert sorted(each for group in listed for each in group) == sorted(told["signals_without_input"])
    assert not {"latency_ms", "no_tool_call", "output_tokens", "finish_reason"} & set(names)
    text = shown(tmp_path / "db")
    assert "off: 100 % of sessions have no text of an answer" in text
    assert "; content is off: " in text


def shown(folder: Path) -> str:
    with Store.open(folder, create=False) as store:
        known = status(store, folder, datetime(2026, 3, 20, tzinfo=UTC))
    console = Console(file=StringIO(), width=4000, color_system=None)
    show_status(console, known, every_slice=False)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def many_calls(row: dict[str, Any], rng: np.random.Generator) -> None:
    """Three searches for different things, and errors that only their results tell."""
    if rng.random() < 0.3:
        results = ["error: timeout" if rng.random() < 0.3 else "found" for _ in range(3)]
        row["tool_calls"] = [
            {"name": "search", "arguments": f'{{"page": {i}}}', "result": result} for i, result in enumerate(results)
        ]


@pytest.mark.parametrize("intent", [True, False])
def test_content_that_goes_off_is_no_change_of_behaviour(tmp_path: Path, intent: bool) -> None:
    rows = bare(5, since=0, change=many_calls, text=lambda day: day < 9)
    if not intent:
        for row in rows:
            del row["intent"]
    document = scanned(tmp_path, rows)
    assert document["incidents"] == []
    told = document["coverage"]
    assert told["content"]["off"] is True
    assert told["content"]["last_text_at"].startswith("2026-03-10")
    assert {"refusal", "output_chars"} <= told["signals_fallen_silent"].keys()
    assert "latency_ms" not in told["signals_fallen_silent"]
    assert "none has since Tue 10 Mar" in shown(tmp_path / "db")


def test_content_of_every_other_session_is_said_and_no_incident(tmp_path: Path) -> None:
    document = scanned(tmp_path, bare(6, text=lambda day: int(day * 1000) % 2 == 0))
    assert document["incidents"] == []
    assert document["coverage"]["content"]["off"] is False
    assert document["coverage"]["content"]["without_text"] == pytest.approx(0.5, abs=0.05)
    assert document["coverage"]["signals_fallen_silent"] == {}


def test_a_change_after_content_went_off_is_found(tmp_path: Path) -> None:
    rows = bare(7, days=18, since=14, change=slower, text=lambda day: day < 9)
    (incident,) = scanned(tmp_path, rows)["incidents"]
    assert incident["signal"] == "latency_ms"
    assert datetime.fromisoformat(incident["raised_at"]) > START


def test_an_incident_without_text_can_be_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (incident,) = scanned(tmp_path, bare(3, since=9, change=slower))["incidents"]
    monkeypatch.setattr(sys, "argv", ["unquiet", "incident", incident["id"], "--db", str(tmp_path / "db")])
    with pytest.raises(SystemExit):
        main()
    said = " ".join(capsys.readouterr().out.split())
    assert "no text was captured of these sessions" in said
    assert "answered: (content was not captured), " in said
    assert " ms, finish reason stop" in said


def test_content_is_told_before_anything_is_judged(tmp_path: Path) -> None:
    told = scanned(tmp_path, bare(3, days=3))["coverage"]
    assert told["content"]["off"] is True
    assert "signals_without_input_by_reason" not in told
