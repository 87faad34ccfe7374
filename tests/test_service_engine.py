"""One step: nothing that left the log is dropped, and what ended half way is neither gone on with nor saved."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

import live_worlds as worlds
from live_worlds import DAY, EVER, HOUR, LONGEST_S, SECOND, START_US, Item, Service
from unquiet.app.handling import handle
from unquiet.app.replaying import LIVE, replay
from unquiet.model.bodies import Body, BodyKind
from unquiet.model.errors import StoreError
from unquiet.model.handling import Action, NotPossible, UnknownIncident
from unquiet.pipeline.saving import dump
from unquiet.wal import Entry, Position

ACCEPT = Action("accept", who="somebody")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    made: list[Service] = []

    def over(*bodies: Body) -> Service:
        made.append(Service(tmp_path / "db", worlds.entries_of(bodies)))
        return made[-1]

    yield over
    for each in made:
        each.close()


def span_body(at_s: float, *spans: Any) -> Body:
    at_us = START_US + round(at_s * SECOND)
    return worlds.body_of([Item(at_us, each, 0) for each in spans], at_us)


def turns_body(at_s: float, *names: str) -> Body:
    rows = [{"time": "2026-01-05T00:00:00Z", "session_id": each, "input": "hello", "output": "yes"} for each in names]
    payload = b"".join(orjson.dumps(row) + b"\n" for row in rows)
    return Body(BodyKind.TURNS_JSONL, "", START_US + round(at_s * SECOND), len(rows), payload)


def orphan() -> Any:
    """A span whose parent is still to come."""
    return worlds.span(1, 2, 1, START_US, START_US + SECOND, dict(worlds.CHAT))


def sessions(service: Service) -> list[str]:
    return sorted(service.store.turns_between(*EVER).column("session_id").to_pylist())


def later(seconds: float) -> int:
    return START_US + round(seconds * SECOND)


def test_turns_are_kept_while_an_older_trace_is_open(serve: Callable[..., Service]) -> None:
    """The log must be kept for the trace, so its position stands still; the turns are stored all the same."""
    service = serve(span_body(0, orphan()), turns_body(1, "a"), turns_body(20, "b"))
    service.step(later(1))
    assert sessions(service) == ["a"]
    service.step(later(20))
    assert sessions(service) == ["a", "b"]
    assert service.log.released == Position(0, 0)
    service.step(later(LONGEST_S + 1))
    assert service.log.released == service.entries[-1].end


def test_what_is_read_again_is_stored_once(serve: Callable[..., Service]) -> None:
    service = serve(span_body(0, orphan()), turns_body(1, "a"), turns_body(1, "a"))
    for _ in range(3):
        service.step(later(2))
        service.crash()
    assert sessions(service) == ["a"]
    assert service.engine.counts == {"turns": 1, "duplicate turns": 1}
    for seconds in (2, LONGEST_S + 1):
        service.step(later(seconds))
    assert service.engine.counts == {"turns": 2, "duplicate turns": 1, "spans": 1}


def test_a_step_that_ended_half_way_is_not_gone_on_with(serve: Callable[..., Service]) -> None:
    service = serve(turns_body(0, "a"), turns_body(1, "b"))
    service.step(later(0))
    service.arm(3, after=False)
    with pytest.raises(StoreError, match="no disk"):
        service.step(later(1))
    with pytest.raises(StoreError, match="opened anew"):
        service.step(later(2))
    with pytest.raises(StoreError, match="opened anew"):
        service.engine.accept("x", lambda: None)
    service.engine.close()
    service.reopen()
    service.step(later(3))
    assert sessions(service) == ["a", "b"]


def test_any_error_counts_as_half_way(serve: Callable[..., Service]) -> None:
    service = serve(turns_body(0, "a"))
    with pytest.raises(KeyError), service.engine.changing():
        raise KeyError("a turn is not there")
    with pytest.raises(StoreError, match="opened anew"):
        service.step(later(0))


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an open incident."""
    entries = worlds.entries_of(worlds.bodies(worlds.world(1)))
    service = Service(tmp_path_factory.mktemp("changed") / "db", entries)
    worlds.run_to_end(service)
    service.close()
    return service.folder


def opened(changed: Path, folder: Path) -> Service:
    shutil.copytree(changed, folder)
    return Service(folder, list[Entry]())


def accept(service: Service, name: str) -> dict[str, Any]:
    return service.engine.accept(name, lambda: handle(service.store, name, ACCEPT, later(0)))


def test_an_incident_is_accepted_whole_or_not_at_all(changed: Path, tmp_path: Path) -> None:
    service = opened(changed, tmp_path / "db")
    (incident,) = service.store.incidents()
    before = dump(service.engine.follower.judge)
    statement = 0
    while True:
        statement += 7
        service.arm(statement, after=statement % 2 == 0)
        try:
            accept(service, incident["id"])
        except StoreError:
            service.crash()
            assert dump(service.engine.follower.judge) == before
            assert service.store.get_setting("handling") is None
            continue
        break
    assert statement > 14
    service.crash()
    (accepted,) = service.engine.follower.judge.incidents
    assert accepted.status == "accepted"
    assert service.store.get_setting("handling")[incident["id"]]["handling"] == "accepted"
    (told,) = service.engine.documents()
    assert told == incident | {"status": "accepted", "resolved_at": None, "told_at": told["told_at"]}
    service.close()


def test_what_cannot_be_accepted_changes_nothing(changed: Path, tmp_path: Path) -> None:
    service = opened(changed, tmp_path / "db")
    (incident,) = service.store.incidents()
    with pytest.raises(UnknownIncident):
        accept(service, "20260101-000000")
    service.step(later(10**6))
    accept(service, incident["id"])
    with pytest.raises(NotPossible):
        accept(service, incident["id"])
    service.step(later(10**6 + 1))
    service.close()


def test_what_was_accepted_stays_so_where_all_is_judged_anew(tmp_path: Path) -> None:
    """After an upgrade or with other settings, and by a scan: at the same moment of the turns."""
    entries = worlds.entries_of(worlds.bodies(worlds.world(1, days=5.0)))
    service = Service(tmp_path / "db", entries)
    service.step(START_US + 4 * DAY)
    service.step(START_US + 4 * DAY + HOUR)
    (incident,) = service.store.incidents()
    accept(service, incident["id"])
    worlds.run_to_end(service)
    assert [each.status for each in service.engine.follower.judge.incidents] == ["accepted"]
    expected, told = dump(service.engine.follower.judge), service.engine.documents()
    with service.store.transaction():
        service.store.put_setting(LIVE, None)
    service.reopen()
    assert dump(service.engine.follower.judge) == expected
    service.engine.step(worlds.finish_us(entries) + 2 * HOUR)
    assert [each["id"] for each in service.store.incidents()] == [incident["id"]]
    assert [each | {"told_at": 0} for each in service.engine.documents()] == [each | {"told_at": 0} for each in told]
    with service.store.transaction():
        scanned = replay(service.store, service.settings.judgement, lambda *_: None)
    assert dump(scanned) == expected
    service.close()
