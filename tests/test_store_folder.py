"""The folder: one owner, known versions, and sentences that help when something is wrong with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from lacking import FULL, lacking, needs_full_device
from store_samples import FOREVER, numbered, turn, turns
from unquiet.model.errors import StoreError
from unquiet.store import Store
from unquiet.store.duckdb_folder import DATABASE, SCHEMA_VERSION


def fails(folder: Path, *words: str, create: bool = True) -> None:
    """Opening must fail with a text that has the folder, every word and what to do."""
    with pytest.raises(StoreError) as caught:
        Store.open(folder, create=create)
    text = str(caught.value)
    for word in (str(folder), *words):
        assert word in text, text
    assert "--db" in text or "into a new one" in text


def test_the_folder_is_made_only_when_asked(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b [1]*"
    fails(folder, "unquiet scan", create=False)
    assert not folder.exists()
    with Store.open(folder) as store:
        store.append_turns(numbered(0, 3))
    with Store.open(folder, create=False) as store:
        assert store.turns_between(*FOREVER).equals(numbered(0, 3))


def test_one_owner_in_this_process(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        fails(tmp_path, "in use", f"process {os.getpid()}")
        store.append_turns(numbered(0, 1))
    with Store.open(tmp_path) as store:
        assert store.turn_extent().count == 1


def test_one_owner_among_processes(tmp_path: Path) -> None:
    hold = (
        "import sys, pathlib; from unquiet.store import Store\n"
        "with Store.open(pathlib.Path(sys.argv[1])): print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        fails(tmp_path, "in use", f"process {holder.pid}")
        holder.send_signal(signal.SIGKILL)
    Store.open(tmp_path).close()


def test_a_failed_opening_lets_go_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_bytes(b"not a database" * 1000)
    fails(tmp_path, "damaged")
    (tmp_path / DATABASE).unlink()
    Store.open(tmp_path).close()


@pytest.mark.parametrize("damage", ["garbage", "truncated", "other"])
def test_a_damaged_or_foreign_database(tmp_path: Path, damage: str) -> None:
    path = tmp_path / DATABASE
    if damage == "other":
        with duckdb.connect(str(path)) as other:
            other.execute("CREATE TABLE sales (n INTEGER)")
        fails(tmp_path, "not one of unquiet", "sales")
        return
    with Store.open(tmp_path) as store:
        store.append_turns(numbered(0, 50))
    content = path.read_bytes()
    path.write_bytes(content[:6000] if damage == "truncated" else b"\x00\x01" * 20_000)
    fails(tmp_path)


def test_an_empty_database_file_is_a_new_store(tmp_path: Path) -> None:
    (tmp_path / DATABASE).touch()
    with Store.open(tmp_path) as store:
        assert store.turn_extent().count == 0


def test_segments_without_a_database_are_not_taken_over(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.append_turns(numbered(0, 50))
    (tmp_path / DATABASE).unlink()
    before = sorted(tmp_path.rglob("*"))
    fails(tmp_path, DATABASE, "missing or empty", "'turns'")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"PAR1")])
@pytest.mark.parametrize("kind", ["turns", "keys"])
def test_a_lost_or_cut_segment_is_named(tmp_path: Path, kind: str, harm: Callable[[Path], object]) -> None:
    with Store.open(tmp_path) as store:
        store.append_turns(numbered(0, 50))
    (segment,) = (tmp_path / kind).iterdir()
    harm(segment)
    fails(tmp_path, str(segment), "Restore")


def test_an_unknown_schema_version_is_refused(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    with duckdb.connect(str(tmp_path / DATABASE)) as database:
        database.execute("UPDATE unquiet_schema SET version = ?", [SCHEMA_VERSION + 1])
    fails(tmp_path, f"schema version {SCHEMA_VERSION + 1}", "Upgrade unquiet")


def test_a_folder_of_an_earlier_version_keeps_final_incidents(tmp_path: Path) -> None:
    with Store.open(tmp_path):
        pass
    with duckdb.connect(str(tmp_path / DATABASE)) as connection:
        connection.execute("ALTER TABLE incidents DROP COLUMN final")
    with Store.open(tmp_path, create=False) as store:
        store.upsert_incident("i", {"id": "i"}, raised_at=datetime(2026, 1, 5, tzinfo=UTC), status="open", final=True)
        assert list(store.final_incidents()) == ["i"]


def test_orphans_are_swept_and_nothing_else(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.append_turns(numbered(0, 50))
    orphans = [
        tmp_path / "turns" / "turns-000000000077.parquet",
        tmp_path / "counts" / "counts-000000000078.parquet.part",
        tmp_path / "keys" / "keys-000000000079.npy",
    ]
    foreign = [tmp_path / name for name in ("turns/mine.parquet", "sessions/notes.txt", "deploys.jsonl")]
    for path in (*orphans, *foreign):
        path.write_bytes(b"x")
    with Store.open(tmp_path) as store:
        assert store.turns_between(*FOREVER).num_rows == 50
    assert not any(path.exists() for path in orphans)
    assert all(path.exists() for path in foreign)


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    fails(tmp_path / "file", "a file is where a folder is needed")
    fails(tmp_path / "file" / "below", "a file is where a folder is needed")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "counts").write_text("x")
    with pytest.raises(StoreError, match="a file is where a folder is needed"):
        Store.open(tmp_path / "store")


def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    """As another user where this one may write everywhere."""
    if sys.platform == "win32":
        lacking("permissions are not those of POSIX")
    try_it = (
        "import os, sys, pathlib\n"
        "from unquiet.model.errors import StoreError\n"
        "from unquiet.store import Store\n"
        "if os.geteuid() == 0: os.seteuid(65534)\n"
        "try: Store.open(pathlib.Path(sys.argv[1]))\n"
        "except StoreError as error: print(error)"
    )
    locked = tmp_path / "locked"
    locked.mkdir()
    # The folders that pytest makes are closed to other users; this one must be reached and not written.
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    locked.chmod(0o555)
    said = subprocess.run([sys.executable, "-c", try_it, str(locked)], capture_output=True, text=True, check=True)
    assert "Permission denied" in said.stdout
    assert "change its permissions or choose another folder with --db" in said.stdout


def test_a_full_disk_loses_nothing_and_can_be_tried_again(tmp_path: Path) -> None:
    needs_full_device()
    with Store.open(tmp_path) as store:
        store.append_turns(numbered(0, 10))
        store.append_turns(numbered(10, 20))
        # The name that the next segment is written under leads to a device without space.
        last = max(int(path.name[6:18]) for path in (tmp_path / "turns").iterdir())
        trap = tmp_path / "turns" / f"turns-{last + 2:012d}.parquet.part"
        trap.symlink_to(FULL)

        def write() -> None:
            with store.transaction():
                store.save_state("detector", b"1")
                store.append_turns(numbered(15, 30))

        with pytest.raises(StoreError, match="No space left while writing turns") as caught:
            write()
        assert "free some space" in str(caught.value)
        trap.unlink()
        assert store.load_state("detector") is None
        assert store.append_turns(numbered(15, 30)).new == 10
        assert store.turns_between(*FOREVER).equals(numbered(0, 30))


def test_a_long_text_survives(tmp_path: Path) -> None:
    long = "é" * 20_000_000
    with Store.open(tmp_path) as store:
        store.append_turns(turns([turn(0, input=long), turn(1)]))
        found = store.turns_between(*FOREVER)
    assert found.column("input")[0].as_py() == long
    assert found.num_rows == 2
