"""The write-ahead log: what was acknowledged is read back, whatever happened in between."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from unquiet.model.bodies import Body, BodyKind
from unquiet.wal import START, Entry, Position, WalError, WalFull, WalReader, WalWriter
from unquiet.wal.layout import RECORD_HEAD_BYTES, SEGMENT_HEAD_BYTES, segment_path, segment_sizes

ROOM = {"undrained_bytes_max": 1 << 30, "free_bytes_min": 0}
PAYLOAD = b"a payload of some bytes"


def body(payload: bytes = PAYLOAD, source: str = "shop", number: int = 7) -> Body:
    return Body(BodyKind.TRACES_PROTO, source, 1_700_000_000_000_000 + number, number, payload)


def written(folder: Path, bodies: list[Body], after: Position = START) -> Path:
    writer = WalWriter.open(folder, after=after, **ROOM)
    for one in bodies:
        writer.append(one)
    writer.close()
    return segment_path(folder, max(segment_sizes(folder)))


def sealed(folder: Path) -> None:
    """Begin a new segment, as every start of a writer does."""
    written(folder, [])


def read(folder: Path, start: Position = START) -> list[Entry]:
    return WalReader(folder, start).read(1 << 30)


def bodies_of(entries: list[Entry]) -> list[Body]:
    assert [entry.damage for entry in entries if entry.damage] == []
    return [entry.body for entry in entries if entry.body]


def test_bodies_come_back_in_order_and_from_any_position(tmp_path: Path) -> None:
    bodies = [Body(kind, f"söurce {n}", n, n, bytes([n]) * (n * 40_000)) for n, kind in enumerate(BodyKind)]
    written(tmp_path, bodies)
    entries = read(tmp_path)
    assert bodies_of(entries) == bodies
    for n, entry in enumerate(entries):
        assert bodies_of(read(tmp_path, entry.end)) == bodies[n + 1 :]


def test_reading_is_bounded_but_never_stuck(tmp_path: Path) -> None:
    written(tmp_path, [body(b"x" * 100), body(b"y" * 5000), body(b"z" * 100), body(b"w" * 100)])
    reader = WalReader(tmp_path, START)
    sizes = []
    while entries := reader.read(200):
        sizes.append([len(one.payload) for one in bodies_of(entries)])
    assert sizes == [[100], [5000], [100, 100]]


def test_a_new_writer_begins_above_everything_known(tmp_path: Path) -> None:
    first = written(tmp_path, [body()])
    assert written(tmp_path, [body()], after=Position(41, 900)).name == "000000000042.wal"
    assert written(tmp_path, [body()], after=Position(3, 0)).name == "000000000043.wal"
    assert first.name == "000000000001.wal"
    assert len(read(tmp_path)) == 3


def test_an_empty_or_missing_folder_has_nothing(tmp_path: Path) -> None:
    reader = WalReader(tmp_path / "wal", START)
    assert (reader.read(100), reader.undrained_bytes) == ([], 0)
    written(tmp_path / "wal", [body()])
    assert bodies_of(reader.read(100)) == [body()]


def test_many_threads_share_syncs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs = []
    slow = threading.Event()
    real = os.fdatasync

    def counted(file: int) -> None:
        syncs.append(file)
        slow.wait(0.01)
        real(file)

    monkeypatch.setattr(os, "fdatasync", counted)
    writer = WalWriter.open(tmp_path, after=START, segment_bytes=20_000, **ROOM)

    def work(thread: int) -> None:
        for n in range(20):
            writer.append(body(f"{thread}/{n}".encode() * 50, number=n))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    found = [one.payload[: one.payload.index(b"/") + 3] for one in bodies_of(read(tmp_path))]
    assert len(found) == 160
    assert len(segment_sizes(tmp_path)) > 1
    assert len(syncs) < 120


def test_asking_for_room_does_not_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = WalWriter.open(tmp_path, after=START, **ROOM)
    entered, go_on = threading.Event(), threading.Event()
    real = os.write

    def held(file: int, data: bytes) -> int:
        entered.set()
        assert go_on.wait(10)
        return real(file, data)

    monkeypatch.setattr(os, "write", held)
    thread = threading.Thread(target=writer.append, args=(body(),))
    thread.start()
    assert entered.wait(10)
    assert writer.room() is None
    go_on.set()
    thread.join()
    writer.close()


def test_an_append_returns_only_when_it_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = WalWriter.open(tmp_path, after=START, **ROOM)
    entered, go_on, returned = threading.Event(), threading.Event(), threading.Event()

    def held(file: int) -> None:
        entered.set()
        assert go_on.wait(10)

    monkeypatch.setattr(os, "fdatasync", held)
    thread = threading.Thread(target=lambda: (writer.append(body()), returned.set()))
    thread.start()
    assert entered.wait(10)
    assert not returned.wait(0.05)
    go_on.set()
    assert returned.wait(10)
    thread.join()
    writer.close()


def test_a_torn_end_is_skipped_at_every_byte(tmp_path: Path) -> None:
    path = written(tmp_path, [body(), body(b"the last one")])
    whole = path.read_bytes()
    last = len(whole) - len(b"the last one") - RECORD_HEAD_BYTES - len("shop")
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        expected = [] if cut < last else [body()]
        assert bodies_of(read(tmp_path)) == expected, "while it is the newest"
        newer = written(tmp_path, [body(b"later")])
        assert bodies_of(read(tmp_path)) == [*expected, body(b"later")]
        newer.unlink()


def test_a_flipped_bit_costs_one_record_and_is_told(tmp_path: Path) -> None:
    bodies = [body(bytes([65 + n]) * 30, number=n) for n in range(3)]
    path = written(tmp_path, bodies)
    sealed(tmp_path)
    whole = path.read_bytes()
    size = RECORD_HEAD_BYTES + len("shop") + 30
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        entries = read(tmp_path)
        hit = (place - SEGMENT_HEAD_BYTES) // size
        bad = [entry for entry in entries if entry.damage]
        assert [entry.body for entry in entries if entry.body] == [one for n, one in enumerate(bodies) if n != hit]
        assert [entry.bytes_lost for entry in bad] == [size if hit >= 0 else SEGMENT_HEAD_BYTES]
        start = SEGMENT_HEAD_BYTES + size * hit if hit >= 0 else 0
        kept = tmp_path / "quarantine" / f"000000000001-{start}.bin"
        assert kept.read_bytes() == bytes(damaged[start : start + bad[0].bytes_lost])
        assert kept.name in (bad[0].damage or "")


def test_when_the_oldest_unread_body_arrived(tmp_path: Path) -> None:
    reader = WalReader(tmp_path / "none", START)
    assert reader.next_arrival_us is None
    bodies = [body(number=n) for n in range(4)]
    first = written(tmp_path, bodies[:2])
    second = written(tmp_path, bodies[2:])
    reader = WalReader(tmp_path, START)
    for each in bodies:
        assert reader.next_arrival_us == each.arrived_us
        assert len(reader.read(1)) == 1
    assert reader.next_arrival_us is None
    first.write_bytes(b"?" * SEGMENT_HEAD_BYTES + first.read_bytes()[SEGMENT_HEAD_BYTES:])
    assert WalReader(tmp_path, START).next_arrival_us == bodies[0].arrived_us
    first.write_bytes(b"?" * 40 + first.read_bytes()[40:])
    assert WalReader(tmp_path, START).next_arrival_us == bodies[1].arrived_us
    second.write_bytes(second.read_bytes()[:-1])
    last = WalReader(tmp_path, Position(2, SEGMENT_HEAD_BYTES))
    assert last.next_arrival_us == bodies[2].arrived_us
    last.read(1)
    assert last.next_arrival_us is None, "a record that is cut off was not acknowledged"


def test_damage_at_the_end_of_the_newest_segment_waits_for_what_follows(tmp_path: Path) -> None:
    """Another process may be in the middle of writing it."""
    path = written(tmp_path, [body(), body()])
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    reader = WalReader(tmp_path, START)
    assert bodies_of(reader.read(1000)) == [body()]
    assert reader.read(1000) == []
    sealed(tmp_path)
    assert [bool(entry.damage) for entry in reader.read(1000)] == [True]


def test_zeros_after_the_last_record_are_no_damage(tmp_path: Path) -> None:
    """After a power loss a file can be longer than what reached the disk."""
    path = written(tmp_path, [body()])
    with path.open("ab") as file:
        file.write(bytes(3_000_000))
    sealed(tmp_path)
    assert bodies_of(read(tmp_path)) == [body()]


def test_records_of_another_segment_do_not_count(tmp_path: Path) -> None:
    """A payload that looks like a record, or a block of an old file, is never taken for one."""
    first = written(tmp_path, [body(b"old")])
    inner = first.read_bytes()[SEGMENT_HEAD_BYTES:]
    path = written(tmp_path, [body(inner)])
    damaged = bytearray(path.read_bytes())
    damaged[SEGMENT_HEAD_BYTES + 4] ^= 1
    path.write_bytes(damaged)
    sealed(tmp_path)
    assert [entry.body for entry in read(tmp_path, Position(2, 0))] == [None]


def test_a_segment_of_a_newer_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("unquiet.wal.layout.FORMAT_VERSION", 2)
        written(tmp_path, [body()])
    with pytest.raises(WalError, match="format version 2; this unquiet reads version 1"):
        read(tmp_path)


class FailingDisk:
    """Makes one call of the system fail where `fails` says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, number: int = errno.ENOSPC) -> None:
        self.fails = False
        self.half = False
        real: Callable[..., object] = getattr(os, name)

        def call(file: int, *rest: bytes) -> object:
            if not self.fails:
                return real(file, *rest)
            if self.half and len(rest[0]) > 1:
                self.half = False
                return real(file, rest[0][: len(rest[0]) // 2])
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, name, call)


@pytest.mark.parametrize("payload", [PAYLOAD, b"large" * 50_000])
@pytest.mark.parametrize("half", [False, True])
def test_a_full_disk_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, payload: bytes, half: bool
) -> None:
    writer = WalWriter.open(tmp_path, after=START, **ROOM)
    writer.append(body(b"before"))
    disk = FailingDisk(monkeypatch, "write")
    disk.fails, disk.half = True, half
    with pytest.raises(WalFull, match="No space left while writing"):
        writer.append(body(payload))
    assert bodies_of(read(tmp_path)) == [body(b"before")]
    disk.fails = False
    writer.append(body(b"after"))
    writer.close()
    assert bodies_of(read(tmp_path)) == [body(b"before"), body(b"after")]


def test_half_a_record_that_cannot_be_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = WalWriter.open(tmp_path, after=START, **ROOM)
    writer.append(body(b"before"))
    disk, cutting = FailingDisk(monkeypatch, "write"), FailingDisk(monkeypatch, "ftruncate")
    disk.fails, disk.half, cutting.fails = True, True, True
    with pytest.raises(WalFull):
        writer.append(body())
    disk.fails = False
    writer.append(body(b"after"))
    writer.close()
    assert len(segment_sizes(tmp_path)) == 2
    assert bodies_of(read(tmp_path)) == [body(b"before"), body(b"after")]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_failed_sync_acknowledges_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    writer = WalWriter.open(tmp_path, after=START, **ROOM)
    writer.append(body(b"before"))
    disk = FailingDisk(monkeypatch, "fdatasync", number)
    disk.fails = True
    with pytest.raises(WalError, match="while syncing the log"):
        writer.append(body(b"not acknowledged"))
    with pytest.raises(WalError, match="while beginning a segment"):
        writer.append(body(b"no segment can begin"))
    disk.fails = False
    writer.append(body(b"after"))
    writer.close()
    found = [one.payload for one in bodies_of(read(tmp_path))]
    assert [payload for payload in found if payload != b"not acknowledged"] == [b"before", b"after"]


def test_bounds_refuse_and_recover(tmp_path: Path) -> None:
    now = [0.0]
    writer = WalWriter.open(
        tmp_path, after=START, segment_bytes=1000, undrained_bytes_max=4000, free_bytes_min=0, clock=lambda: now[0]
    )
    taken = 0

    def fill() -> None:
        nonlocal taken
        for _ in range(20):
            writer.append(body(b"x" * 500))
            taken += 1

    with pytest.raises(WalFull, match="wait to be counted"):
        fill()
    with pytest.raises(WalFull, match="wait to be counted"):
        writer.append(body(b"x" * 1000))
    assert (4000 - 1000) // 600 <= taken <= 4000 // 500
    reader = WalReader(tmp_path, START)
    entries = reader.read(1 << 20)
    assert len(entries) == taken
    reader.release(entries[-1].end)
    now[0] += 1
    assert writer.room() is None
    writer.append(body())
    writer.close()


def test_one_record_above_the_bound_does_not_block_for_ever(tmp_path: Path) -> None:
    """The only segment is too large; it can be drained away because the next one is begun."""
    now = [0.0]
    writer = WalWriter.open(tmp_path, after=START, undrained_bytes_max=1000, free_bytes_min=0, clock=lambda: now[0])
    writer.append(body(b"x" * 50_000))
    assert writer.room() is not None
    reader = WalReader(tmp_path, START)
    (entry,) = reader.read(1000)
    reader.release(entry.end)
    assert reader.read(1000) == []
    now[0] += 1
    assert writer.room() is None
    writer.close()


def test_a_disk_that_fills_up_is_refused_before_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, real, free, looks = [0.0], os.statvfs, [1 << 30], [0]

    class Disk:
        f_frsize = 1

        @property
        def f_bavail(self) -> int:
            looks[0] += 1
            return free[0]

    monkeypatch.setattr(os, "statvfs", lambda path: Disk() if real(path) else None)
    writer = WalWriter.open(
        tmp_path, after=START, undrained_bytes_max=1 << 30, free_bytes_min=1 << 20, clock=lambda: now[0]
    )
    for n in range(100):
        now[0] = n * 0.01
        writer.append(body())
    assert looks[0] <= 3
    free[0] = (1 << 20) - 1
    now[0] += 1
    full = writer.room()
    assert full is not None
    assert (full.bound, "bytes free" in str(full)) == ("disk", True)
    with pytest.raises(WalFull):
        writer.append(body())
    free[0] += 1 << 20
    now[0] += 1
    assert writer.room() is None
    writer.close()


def test_release_removes_only_what_was_committed(tmp_path: Path) -> None:
    for n in range(4):
        written(tmp_path, [body(number=n), body(number=n)])
    reader = WalReader(tmp_path, START)
    entries = reader.read(1 << 20)
    assert len(entries) == 8
    whole = reader.undrained_bytes
    reader.release(entries[2].end)
    assert list(segment_sizes(tmp_path)) == [2, 3, 4]
    assert reader.undrained_bytes == whole * 5 // 8
    reader.release(entries[3].end)
    assert list(segment_sizes(tmp_path)) == [3, 4]
    reader.release(entries[-1].end)
    assert list(segment_sizes(tmp_path)) == [4]
    assert (reader.undrained_bytes, reader.read(100)) == (0, [])


def test_a_restart_removes_what_was_drained_before(tmp_path: Path) -> None:
    for _ in range(3):
        written(tmp_path, [body()])
    committed = read(tmp_path)[1].end
    reader = WalReader(tmp_path, committed)
    assert len(reader.read(100)) == 1
    assert list(segment_sizes(tmp_path)) == [3]


def test_a_closed_log_takes_nothing(tmp_path: Path) -> None:
    writer = WalWriter.open(tmp_path, after=START, **ROOM)
    writer.close()
    writer.close()
    with pytest.raises(WalError, match="closed"):
        writer.append(body())


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WalError, match="opening the log"):
        WalWriter.open(tmp_path / "file" / "wal", after=START, **ROOM)


CHILD = """
import os, sys, threading
from pathlib import Path
from unquiet.model.bodies import Body, BodyKind
from unquiet.wal import START, WalWriter

writer = WalWriter.open(Path(sys.argv[1]), after=START, segment_bytes=200_000,
                        undrained_bytes_max=1 << 30, free_bytes_min=0)

def work(thread):
    n = 0
    while True:
        payload = f"{thread} {n} ".encode() * (n % 400 + 1)
        writer.append(Body(BodyKind.LOGS_JSON, "child", n, n, payload))
        os.write(1, f"{thread} {n}\\n".encode())
        n += 1

for thread in range(4):
    threading.Thread(target=work, args=(thread,)).start()
"""


def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    rng = random.Random(5)
    acknowledged: set[tuple[int, str]] = set()
    reader = WalReader(tmp_path, START)
    seen: set[tuple[int, str]] = set()
    for life in range(4):
        with subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            for _ in range(rng.randrange(50, 400)):
                acknowledged.add((life, child.stdout.readline().decode().strip()))
            child.kill()
            # A pipe keeps what was written before the end; its last line may be cut.
            acknowledged |= {(life, line.decode()) for line in child.stdout.read().split(b"\n")[:-1]}
        for one in bodies_of(reader.read(1 << 30)):
            seen.add((life, b" ".join(one.payload.split(b" ")[:2]).decode()))
        reader.release(reader.position)
    assert len(acknowledged) > 200
    assert acknowledged <= seen
    assert len(segment_sizes(tmp_path)) <= 2


def test_a_second_writer_waits_until_the_first_has_ended(tmp_path: Path) -> None:
    """A reader passes a segment that is followed by another: what the first still acknowledged would never be read."""
    first = WalWriter.open(tmp_path, after=START, **ROOM)
    with pytest.raises(WalError, match="Another process has been writing"):
        WalWriter.open(tmp_path, after=START, wait_s=0.1, **ROOM)
    opened: list[WalWriter] = []
    waiting = threading.Thread(target=lambda: opened.append(WalWriter.open(tmp_path, after=START, **ROOM)))
    waiting.start()
    first.append(body(number=1))
    assert not opened
    first.close()
    waiting.join(10)
    opened[0].append(body(number=2))
    assert [entry.body for entry in WalReader(tmp_path, START).read(1 << 20)] == [body(number=1), body(number=2)]
    opened[0].close()
