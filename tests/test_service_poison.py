"""What breaks the reading of one body, trace or turn is put aside and counted; all others are read, before and after a crash."""

from __future__ import annotations

import json
import stat
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import live_worlds as worlds
from live_worlds import HOUR, LATENESS_S, LONGEST_S, START_US, Facts, Service
from unquiet.conventions import live_traces
from unquiet.conventions.bodies import BodyReader
from unquiet.conventions.drafts import TurnDraft, table_of
from unquiet.conventions.span_turns import turns_of
from unquiet.model.bodies import Body, BodyKind
from unquiet.model.errors import WalError
from unquiet.model.spans import Span
from unquiet.service import draining
from unquiet.service.putting_aside import PuttingAside
from unquiet.wal import Quarantine

Patch = pytest.MonkeyPatch
BAD_TRACE = 40


def break_body(patch: Patch) -> str:
    """A body that cannot be decoded: one whole trace."""
    plain, bad = BodyReader.read, bodies()[BAD_TRACE].payload

    def read(self: BodyReader, body: bytes) -> Any:
        if body == bad:
            raise KeyError("kept in the dark: a word of the traffic")
        return plain(self, body)

    patch.setattr(BodyReader, "read", read)
    return "unreadable bodies"


def break_trace(patch: Patch) -> str:
    def make(spans: Sequence[Span], seen: Any) -> Any:
        if int(spans[0].trace_id, 16) == BAD_TRACE:
            raise RecursionError
        return turns_of(spans, seen)

    patch.setattr(live_traces, "turns_of", make)
    return "unreadable traces"


def break_turn(patch: Patch) -> str:
    def table(drafts: Sequence[TurnDraft]) -> Any:
        if any(int(draft.turn_id.partition(":")[0], 16) == BAD_TRACE for draft in drafts):
            raise OverflowError
        return table_of(drafts)

    patch.setattr(draining, "table_of", table)
    return "unreadable turns"


POISONS = [break_body, break_trace, break_turn]


def bodies() -> list[Body]:
    """One body for each trace."""
    made: dict[int, list[worlds.Item]] = {}
    for item in worlds.world(1, days=1.0):
        if isinstance(item.message, worlds.Span):
            made.setdefault(item.trace, []).append(item)
    return [worlds.body_of(items, items[-1].at_us) for items in sorted(made.values(), key=lambda each: each[-1].at_us)]


def ended(service: Service) -> Facts:
    worlds.run_to_end(service)
    found = worlds.facts(service.store)
    service.close()
    return found


def kept(service: Service) -> list[Path]:
    return sorted((service.folder / "wal" / "quarantine").iterdir())


def without_poison(folder: Path) -> Facts:
    return ended(Service(folder, worlds.entries_of(bodies())))


@pytest.mark.parametrize("poison", POISONS)
def test_all_others_are_read(tmp_path: Path, monkeypatch: Patch, poison: Callable[[Patch], str]) -> None:
    usual = without_poison(tmp_path / "usual")
    name = poison(monkeypatch)
    service = Service(tmp_path / "db", worlds.entries_of(bodies()))
    found = ended(service)
    assert found.counters[name] == 1
    assert found.turns.num_rows == usual.turns.num_rows - 1
    assert set(found.turns.column("turn_id").to_pylist()) < set(usual.turns.column("turn_id").to_pylist())
    assert service.engine.drain.position == service.entries[-1].end
    (path,) = kept(service)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    if poison is break_body:
        assert path.read_bytes() == bodies()[BAD_TRACE].payload
    else:
        assert f"{BAD_TRACE:032x}" in json.dumps(json.loads(path.read_bytes()))


@pytest.mark.parametrize("poison", POISONS)
def test_a_crash_changes_nothing(tmp_path: Path, monkeypatch: Patch, poison: Callable[[Patch], str]) -> None:
    """Also one between reading it and keeping what came of it."""
    poison(monkeypatch)
    calm = ended(Service(tmp_path / "calm" / "db", worlds.entries_of(bodies())))
    service = Service(tmp_path / "db", worlds.entries_of(bodies()))
    bad_us = bodies()[BAD_TRACE].arrived_us
    for now_us in (bad_us - HOUR, bad_us, bad_us + 5, bad_us + LONGEST_S * worlds.SECOND):
        service.log.now_us = now_us
        service.engine.drain.add(service.log.read(1 << 20))
        service.engine.drain.take(now_us)
        service.crash()
        service.step(now_us)
        service.crash()
    found = ended(service)
    assert found.turns.equals(calm.turns)
    assert found.sessions.equals(calm.sessions)
    assert found.counters == calm.counters
    assert len(kept(service)) == 1


def test_lines_that_are_none_are_put_aside(tmp_path: Path) -> None:
    rows = b'{"time": "2026-01-05T00:00:00Z", "session_id": "s", "input": "a", "output": "b"}\n'
    made = [Body(BodyKind.TURNS_JSONL, "", START_US + n, 1, lines) for n, lines in enumerate((b"{no json\n", rows))]
    service = Service(tmp_path / "db", worlds.entries_of(made))
    found = ended(service)
    assert (found.turns.num_rows, found.counters["unreadable bodies"]) == (1, 1)


def test_where_it_failed_is_told_and_what_is_in_it_is_not(tmp_path: Path, monkeypatch: Patch) -> None:
    break_body(monkeypatch)
    service = Service(tmp_path / "db", worlds.entries_of(bodies()))
    service.step(worlds.finish_us(service.entries))
    assert service.engine.drain.aside.said.startswith("KeyError in service/draining.py:")
    assert "traffic" not in service.engine.drain.aside.said
    service.close()


def test_what_cannot_be_put_aside_stays_in_the_log(tmp_path: Path, monkeypatch: Patch) -> None:
    break_body(monkeypatch)
    service = Service(tmp_path / "db", worlds.entries_of(bodies()))
    (service.folder / "wal").mkdir()
    (service.folder / "wal" / "quarantine").write_text("a file")
    with pytest.raises(WalError):
        service.step(worlds.finish_us(service.entries) + LATENESS_S)
    assert service.log.released == worlds.START
    (service.folder / "wal" / "quarantine").unlink()
    service.reopen()
    assert ended(service).counters["unreadable bodies"] == 1


def test_a_failure_of_the_machine_is_not_the_fault_of_a_body(tmp_path: Path, monkeypatch: Patch) -> None:
    def read(self: BodyReader, body: bytes) -> Any:
        raise MemoryError

    monkeypatch.setattr(BodyReader, "read", read)
    service = Service(tmp_path / "db", worlds.entries_of(bodies()))
    with pytest.raises(MemoryError):
        service.step(worlds.finish_us(service.entries))
    assert service.engine.counts["unreadable bodies"] == 0
    service.close()


def test_any_text_can_be_put_aside(tmp_path: Path) -> None:
    aside, counts = PuttingAside(Quarantine(tmp_path).keep), Counter[str]()
    draft = TurnDraft("01:02", "s", 3, "half of a pair: \ud83d", "ü", facets={"n": b"bytes"})  # type: ignore[dict-item]
    aside.draft(draft, ValueError("x"), 5, counts)
    (path,) = (tmp_path / "quarantine").iterdir()
    assert "ü".encode() in path.read_bytes()
    assert counts == {"unreadable turns": 1}
