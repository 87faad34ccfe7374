"""The quarantine: what is put aside is whole, its owner's alone, and bounded."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from unquiet.wal import Quarantine, WalError


def names(quarantine: Quarantine) -> list[str]:
    return sorted(path.name for path in quarantine.folder.iterdir())


def test_it_is_kept_as_it_was_and_for_its_owner(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "wal")
    assert (quarantine.count(".body"), quarantine.drop_before(10**18)) == (0, 0)
    for data in (b"a longer one", b"\x00\xff"):
        quarantine.keep("1.body", data, 5)
    path = quarantine.folder / "1.body"
    assert path.read_bytes() == b"\x00\xff"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (quarantine.count(".body"), quarantine.count(".bin"), quarantine.count(".bin", ".body")) == (1, 0, 1)


def test_the_oldest_go_where_there_are_too_many(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, files_max=3)
    for at_us in (4, 2, 5, 3):
        quarantine.keep(f"{at_us}.body", b"x", at_us)
    assert names(quarantine) == ["3.body", "4.body", "5.body"]


def test_the_oldest_go_where_they_are_too_large(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, bytes_max=100)
    for at_us in (1, 2, 3):
        quarantine.keep(f"{at_us}.body", b"x" * 40, at_us)
    assert names(quarantine) == ["2.body", "3.body"]
    quarantine.keep("4.body", b"x" * 500, 4)
    assert names(quarantine) == ["4.body"], "there is always the latest"


def test_what_arrived_before_a_moment_is_dropped(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path)
    for at_us in (1_000, 2_000, 3_000):
        quarantine.keep(f"{at_us}.body", b"x", at_us)
    assert quarantine.drop_before(2_000) == 1
    assert names(quarantine) == ["2000.body", "3000.body"]


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "quarantine").write_text("a file")
    quarantine = Quarantine(tmp_path)
    with pytest.raises(WalError, match="putting aside"):
        quarantine.keep("1.body", b"x", 1)
    with pytest.raises(WalError, match="looking"):
        quarantine.count(".body")
