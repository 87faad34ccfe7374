"""Commands and the service that owns the folder: they ask it, with and without tokens, and say why it refused."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
import uvicorn
from click.testing import CliRunner

from unquiet.cli import unquiet
from unquiet.model.errors import UnquietError
from unquiet.service.asking import ADDRESS, NotAnswered, Served, served
from unquiet.store.lock import FolderLock
from unquiet.web.access import Access
from web_backends import ID, FakeBackend, app_of

READER, ACTOR = "a-reading-token-16", "an-acting-token-16"


@contextmanager
def running(backend: FakeBackend, access: Access | None = None) -> Iterator[str]:
    """The API over a backend at a free port of this machine; its address."""
    server = uvicorn.Server(uvicorn.Config(app_of(backend, access), log_level="error", lifespan="off"))
    server.install_signal_handlers = lambda: None  # type: ignore[method-assign]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=lambda: server.run(sockets=[listening]), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """The folder is this process's, as the service's is its own."""
    lock = FolderLock(folder)
    try:
        yield
    finally:
        lock.release()


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def folder(backend: FakeBackend, tmp_path: Path) -> Iterator[Path]:
    """A folder that a service without tokens owns."""
    with running(backend) as url, owned(tmp_path):
        (tmp_path / ADDRESS).write_bytes(orjson.dumps({"url": url, "pid": os.getpid()}))
        yield tmp_path


def run(folder: Path, *arguments: str) -> str:
    result = CliRunner().invoke(unquiet, [*arguments, "--db", str(folder)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


DEEDS: Sequence[tuple[str, ...]] = (
    ("acknowledge", ID, "--note", "mine"),
    ("unacknowledge", ID),
    ("accept", ID),
    ("mute", ID, "--for", "4h", "--reason", "a campaign"),
    ("unmute", ID),
)


@pytest.mark.parametrize("words", DEEDS, ids=lambda words: words[0])
def test_deeds_reach_a_service_without_tokens(words: tuple[str, ...], folder: Path, backend: FakeBackend) -> None:
    assert run(folder, *words).startswith(f"{ID}: ")
    ((incident_id, action),) = backend.actions
    assert (incident_id, action.verb) == (ID, words[0])
    assert action.note == ("mine" if words[0] == "acknowledge" else None)
    assert (action.until_us is not None) == (words[0] == "mute")


def test_marks_reach_it(folder: Path, backend: FakeBackend) -> None:
    said = run(folder, "mark", "v12", "--kind", "prompt", "--from", "v11", "--at", "2026-03-10T14:00:00Z")
    assert said == "marked prompt v11 -> v12 at 2026-03-10 14:00 UTC\n"
    (change,) = backend.marked
    assert (change.kind, change.before, change.after) == ("prompt", "v11", "v12")


def test_it_forgets_one_after_the_other_and_asks_before(folder: Path, backend: FakeBackend) -> None:
    words = ["forget", "--user", "ann", "--session", "s1", "--session", "s2", "--db", str(folder)]
    refused = CliRunner().invoke(unquiet, words, input="n\n")
    assert "Everything of 1 user and 2 sessions will be removed from http" in refused.output
    assert backend.forgotten == []
    assert "removed 9 turns, 3 closed sessions, 0 labels" in run(folder, *words[:-2], "--yes")
    assert backend.forgotten == [("ann", None), (None, "s1"), (None, "s2")]


def test_tokens_come_from_the_environment(backend: FakeBackend, tmp_path: Path) -> None:
    with running(backend, Access({"ann": READER}, {"bob": ACTOR})) as url, owned(tmp_path):
        (tmp_path / ADDRESS).write_bytes(orjson.dumps({"url": url, "pid": os.getpid()}))

        def asked(**environ: str) -> Served:
            service = served(tmp_path, environ)
            assert service is not None
            return service

        with pytest.raises(NotAnswered, match="set UNQUIET_ACT_TOKEN or UNQUIET_READ_TOKEN"):
            asked().incidents()
        reading = asked(UNQUIET_READ_TOKEN=READER)
        assert next(each["id"] for each in reading.incidents()) == ID
        with pytest.raises(NotAnswered, match=r"may only read.*UNQUIET_ACT_TOKEN"):
            reading.act(ID, "accept", {})
        asked(UNQUIET_READ_TOKEN=READER, UNQUIET_ACT_TOKEN=ACTOR + "\n").act(ID, "accept", {})
        assert [action.who for _, action in backend.actions] == ["bob"]


def test_what_it_says_is_passed_on(folder: Path) -> None:
    with pytest.raises(NotAnswered, match="does not exist"):
        run(folder, "acknowledge", "nope")
    with pytest.raises(NotAnswered, match="only open ones are handled"):
        run(folder, "accept", "20260312-aa0001")


def test_nobody_answers(tmp_path: Path) -> None:
    assert served(tmp_path, {}) is None
    (tmp_path / ADDRESS).write_text("{")
    assert served(tmp_path, {}) is None
    (tmp_path / ADDRESS).write_bytes(orjson.dumps({"url": "http://127.0.0.1:1", "pid": os.getpid()}))
    assert served(tmp_path, {}) is None


def test_one_that_hangs_is_no_free_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes connections and answers nothing: the deed is not done, and it is said."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        service = Served(f"http://127.0.0.1:{silent.getsockname()[1]}", None)
        began = time.monotonic()
        monkeypatch.setattr("unquiet.service.asking.WAIT_S", 0.2)
        with pytest.raises(NotAnswered, match="did not answer"):
            service.status()
        assert time.monotonic() - began < 5


def test_wrong_words_never_reach_it(folder: Path, backend: FakeBackend) -> None:
    for words, said in (
        (("mute", ID, "--for", "soon", "--reason", "x"), "--for soon: expected a time from 1m to 365d"),
        (("mark", "v12", "--at", "yesterday"), "--at yesterday: expected a time like"),
    ):
        with pytest.raises(UnquietError, match=said):
            run(folder, *words)
    assert backend.actions == []
    assert backend.marked == []


def test_accepting_needs_a_service(tmp_path: Path) -> None:
    with pytest.raises(UnquietError, match=f"Start it with `unquiet serve --db {tmp_path}`, then accept"):
        run(tmp_path, "accept", ID)


def test_reports_of_evals_are_sent_to_the_service(folder: Path, backend: FakeBackend, tmp_path: Path) -> None:
    report = tmp_path / ".latest_run_full.json"
    report.write_bytes(b"{}")
    said = CliRunner().invoke(unquiet, ["evals", str(report), "--db", str(folder)])
    assert (said.exit_code, said.output) == (0, "60 eval results added\n")
    assert backend.reports == [(".latest_run_full.json", b"{}")]
    listed = CliRunner().invoke(unquiet, ["evals", "--db", str(folder)])
    assert "58 passed, 1 failed, 1 not run; every request known; model m-1" in listed.output


def test_voices_go_through_it_in_bodies_that_it_takes(folder: Path, backend: FakeBackend, tmp_path: Path) -> None:
    path = tmp_path / "tickets.jsonl"
    rows = [{"id": number, "time": "2026-03-10T10:00:00Z", "text": "x" * 900, "user_id": "u1"} for number in range(120)]
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    assert "120 voices added" in run(folder, "voices", str(path))
    sent = [row for voices, _ in backend.said for row in voices]
    assert [row["voice_id"] for row in sent] == [f"table:{number}" for number in range(120)]
    assert {row["time"] for row in sent} == {1_773_136_800_000_000}
    assert [more for _, more in backend.said] == [True] * (len(backend.said) - 1) + [False]
    assert len(backend.said) > 2
    assert "no voices yet" in run(folder, "voices")
