"""One process owns a store folder: an advisory lock, which the system releases when the process ends."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import IO

from unquiet.model.errors import StoreError

if sys.platform == "win32":
    import msvcrt

    def _take(handle: IO[str]) -> None:
        # Beyond the text, so that others can still read who holds the lock.
        handle.seek(1 << 20)
        msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(handle: IO[str]) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


TRIES, PAUSE_S = 5, 0.02
"""Who only asks for the owner holds the lock for a moment."""


def may_write(folder: Path) -> bool:
    """Whether this user may take the lock of the folder and write beside it."""
    lock = folder / FolderLock.NAME
    return os.access(folder, os.W_OK) and (not lock.exists() or os.access(lock, os.W_OK))


def owner(folder: Path) -> int | None:
    """The process that owns the folder now; None where none does, or it cannot be told."""
    try:
        with (folder / FolderLock.NAME).open(encoding="utf-8") as handle:
            try:
                _take(handle)
            except OSError:
                handle.seek(0)
                return int(handle.read(40))
    except (OSError, ValueError):
        return None
    return None


class FolderLock:
    """Held from construction to `release()`.

    Raises StoreError when another holder has it, in this process or another; OSError when the file cannot
    be made.
    """

    NAME = "lock"

    def __init__(self, folder: Path) -> None:
        path = folder / self.NAME
        self._handle = path.open("a+", encoding="utf-8")
        try:
            self._insist()
        except OSError as error:
            self._handle.seek(0)
            holder = self._handle.read(40).strip() or "unknown"
            self._handle.close()
            raise StoreError(
                f"{folder} is in use by another unquiet (process {holder}). One process owns a folder: wait "
                "until it ends, stop it, or choose another folder with --db."
            ) from error
        self._handle.seek(0)
        self._handle.truncate()
        self._handle.write(f"{os.getpid()}\n")
        self._handle.flush()

    def _insist(self) -> None:
        for _ in range(TRIES - 1):
            try:
                return _take(self._handle)
            except OSError:
                time.sleep(PAUSE_S)
        return _take(self._handle)

    def release(self) -> None:
        """Give the folder free. The file stays: without it two later holders could lock different files."""
        self._handle.close()
