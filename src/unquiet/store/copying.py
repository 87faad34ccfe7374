"""A copy of a folder that another process owns: its database of one moment, and its segments, which never change.

The owner's lock keeps others from opening the database, not from reading its file. What is read while the owner commits is not one
moment: it is seen by the files of the database being others before than after, and read again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

from unquiet.model.errors import StoreError
from unquiet.store.duckdb_folder import DATABASE, FRESH
from unquiet.store.failures import explaining
from unquiet.store.lock import may_write, owner
from unquiet.store.segments import KINDS

PLACE = "copies"
"""Below the folder itself, so that segments are further names of the same files and take no space."""

TRIES, PAUSE_S = 100, 0.1
LEFT_S = 600.0
"""A copy that nobody has locked was left if it last changed so long ago: one that is being made is locked by nobody yet."""

QUIET_NS = 20_000_000
"""A database changed within this time may change again under the same moment: file systems tell moments in steps."""

Files = dict[str, tuple[int, int, int]]


@contextlib.contextmanager
def copied(folder: Path) -> Generator[Path]:
    """A folder that holds what `folder` holds now, for as long as the block lasts. What is written there is gone after it.

    Raises:
        StoreError: it cannot be read, or its owner never stopped writing for long enough.
    """
    # Of another user's folder it would leave files that its owner may not remove.
    place = folder / PLACE if may_write(folder) and folder.stat().st_uid == os.geteuid() else None
    with contextlib.ExitStack() as stack:
        with explaining(folder, "copying what it holds"):
            if place is not None:
                place.mkdir(exist_ok=True)
            copy = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=place, prefix="unquiet-")))
            _copy(folder, copy)
        yield copy


def remove_copies(folder: Path, *, all_of_them: bool = False) -> None:
    """Remove the copies that readers left when they were killed; `all_of_them` also those in use, whose readers then fail.

    Raises:
        OSError: with `all_of_them`, one could not be removed. Otherwise it stays until the next time.
    """
    place = folder / PLACE
    if not place.is_dir():
        return
    for copy in place.iterdir():
        if all_of_them:
            shutil.rmtree(copy)
            continue
        with contextlib.suppress(OSError):
            if owner(copy) is None and time.time() - copy.stat().st_mtime > LEFT_S:
                shutil.rmtree(copy)


def _copy(folder: Path, copy: Path) -> None:
    for _ in range(TRIES):
        before = _database_files(folder)
        if before and max(changed for _, _, changed in before.values()) < time.time_ns() - QUIET_NS:
            with contextlib.suppress(FileNotFoundError):
                for old in copy.glob(f"{DATABASE}*"):
                    old.unlink()
                for name in before:
                    shutil.copyfile(folder / name, copy / name)
                _name_segments(folder, copy)
                if _database_files(folder) == before:
                    return
        time.sleep(PAUSE_S)
    raise StoreError(
        f"{folder} is being written without a pause by the process that owns it, so that no copy of one moment could be made in "
        f"{TRIES * PAUSE_S:g} s. Run the same command again later."
    )


def _database_files(folder: Path) -> Files:
    """The files of the database: what each is, how long, and changed when (nanoseconds since 1970)."""
    found = {path.name: path.stat() for path in folder.glob(f"{DATABASE}*") if not path.name.startswith(FRESH)}
    return {name: (each.st_ino, each.st_size, each.st_mtime_ns) for name, each in found.items()}


def _name_segments(folder: Path, copy: Path) -> None:
    for kind in KINDS:
        (copy / kind).mkdir(exist_ok=True)
        if not (folder / kind).is_dir():
            continue
        for path in (folder / kind).iterdir():
            name = copy / kind / path.name
            if path.suffix == ".part" or name.exists():
                continue
            try:
                os.link(path, name)
            except FileNotFoundError:
                raise
            except OSError:
                # Another file system, or a file of another user.
                name.symlink_to(path.resolve())
