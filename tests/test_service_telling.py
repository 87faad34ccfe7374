"""What a service says when it begins and when it ends."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from unquiet.service.checks import warnings
from unquiet.service.config import Config, load
from unquiet.service.telling import Parting, farewell, greeting

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
EMPTY: dict[str, Any] = {"turns": 0, "first": None, "judged": None, "open_incidents": []}
PORTS = {"http": 4318, "grpc": 4317}
TOKEN = "a-token-of-sixteen-characters"  # noqa: S105 - opens nothing


def said(config: Config | None = None, known: dict[str, Any] = EMPTY, **ports: int | None) -> list[str]:
    return list(greeting(config or load(None, {}), known, PORTS | ports, "http://127.0.0.1:8321", NOW))


def test_an_empty_folder_learns_first() -> None:
    assert said() == [
        "unquiet 0.1.0 keeps everything in unquiet-data: 0 turns, no open incident",
        "learns first, 7 days and 200 finished sessions at least; nothing is judged before. The days begin with the first turn",
        "takes OTLP over HTTP at 127.0.0.1:4318 and over gRPC at 127.0.0.1:4317; asks for no token",
        "API, metrics and health at http://127.0.0.1:8321; asks for no token",
        "redacts email, phone, card, iban, key before anything is written; user ids are hashed; texts are taken",
        f"note: {next(warnings(load(None, {})))}",
    ]


def test_learning_and_judging() -> None:
    learning = EMPTY | {"turns": 12, "first": "2026-03-08T10:00:00+00:00", "judged": False}
    assert said(known=learning)[1] == (
        "learns until Sun 15 Mar 10:00 UTC at the earliest (7 days and 200 finished sessions); nothing is judged before"
    )
    few = learning | {"first": "2026-02-01T10:00:00+00:00"}
    assert said(known=few)[1].startswith("learns until the turns of the folder cover 7 days and 200 finished sessions")
    judged = learning | {"judged": True, "open_incidents": ["20260310-04bef7"]}
    assert said(known=judged)[:2] == [
        "unquiet 0.1.0 keeps everything in unquiet-data: 12 turns, open incidents: 20260310-04bef7",
        "judges every five minutes; alarm budget 1 false incident per 30 days",
    ]


def test_what_is_set_is_said_and_secrets_are_not(tmp_path: Path) -> None:
    path = tmp_path / "unquiet.toml"
    path.write_text(
        '[service]\npublic_url = "https://u.example.com"\n[doors]\ngrpc = false\n[doors.tokens.support]\nenv = "T"\n'
        '[privacy]\nhash_users = false\nredact = ["card"]\n[privacy.content_of]\nsupport = false\n'
        "[privacy.patterns]\norder = 'ORD-[0-9]{8}'\n"
        '[alerts.team]\nkind = "slack"\nurl = { env = "HOOK" }\nmin_severity = "error"\n'
    )
    config = load(path, {"T": TOKEN, "HOOK": "https://hooks.example.com/s3cret", "UNQUIET_READ_TOKEN": TOKEN[::-1]})
    lines = said(config, grpc=None)
    assert lines[2:] == [
        "takes OTLP over HTTP at 127.0.0.1:4318; asks for a token (1 known)",
        "API, metrics and health at http://127.0.0.1:8321; asks for a token (1 known)",
        "alerts go to team (slack, error and worse)",
        "redacts card, order before anything is written; user ids are kept as they come; texts are taken, but not of support",
    ]
    assert not any(secret in line for line in lines for secret in (TOKEN, "s3cret", TOKEN[::-1]))


def test_texts_of_some_sources_only(tmp_path: Path) -> None:
    path = tmp_path / "unquiet.toml"
    path.write_text(
        '[doors.tokens.support]\nenv = "T"\n[privacy]\ncontent = false\nredact = []\n[privacy.content_of]\nsupport = true\n'
    )
    (line,) = [line for line in said(load(path, {"T": TOKEN})) if line.startswith("redacts")]
    assert line == (
        "redacts nothing before anything is written; user ids are hashed; texts are not taken, but for support"
    )


def test_what_was_saved() -> None:
    config, at_us = load(None, {}), 1_773_144_000_000_000
    kept = "stopped; everything that was acknowledged is in unquiet-data"
    assert list(farewell(config, Parting(True, at_us, 12, 3 << 20), "")) == [
        kept,
        "judged up to Tue 10 Mar 12:00 UTC, and saved",
        "the next start goes on with 12 turns that came after and 3.0 MiB of the log",
    ]
    assert list(farewell(config, Parting(False, at_us, 0, 0), ""))[1:] == [
        "learned from what came up to Tue 10 Mar 12:00 UTC, and saved"
    ]
    assert list(farewell(config, Parting(False, 0, 0, None), ""))[1:] == [
        "the next start goes on with an unknown part of the log"
    ]
    assert list(farewell(config, None, "")) == [kept]
    assert "could not be saved: the disk is full." in list(farewell(config, None, "the disk is full."))[1]
