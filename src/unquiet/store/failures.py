"""Failures of disk and database, told so that the reader knows what to do next."""

from __future__ import annotations

import errno
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from unquiet.model.errors import StoreError

FULL = (errno.ENOSPC, errno.EDQUOT)
NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)
READ_ONLY = "attached in read-only mode"
NOT_A_FOLDER = (errno.ENOTDIR, errno.EEXIST)


def explained(folder: Path, action: str, error: Exception) -> StoreError:
    """The StoreError for a failure of `action` in `folder`."""
    number = error.errno if isinstance(error, OSError) else None
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    if READ_ONLY in text:
        text = "this user may only read it"
    if number in FULL or "No space left" in text or "not enough space" in text:
        return StoreError(
            f"No space left while {action} in {folder}. What was stored before is intact and nothing is "
            "half written: free some space or choose another disk with --db, then run the same command again."
        )
    if (
        number in NOT_WRITABLE
        or "Permission denied" in text
        or "Read-only file system" in text
        or "may only read" in text
    ):
        return StoreError(
            f"{folder} cannot be used: {action} was refused ({text}). It must be a folder that this user may "
            "read and write: change its permissions or choose another folder with --db."
        )
    if number in NOT_A_FOLDER:
        return StoreError(
            f"{folder} cannot be used: a file is where a folder is needed ({text}). Choose another with --db."
        )
    if "Corrupt" in text or "checksum" in text or "Could not read enough bytes" in text:
        return StoreError(
            f"{folder} is damaged, found while {action}: {text}. Restore it from a backup, or move the folder away and "
            "scan your files again into a new one."
        )
    return StoreError(
        f"{folder} failed while {action}: {text}. What was stored before is kept. Check the disk, then run "
        "the same command again; if it fails again, move the folder away and scan into a new one."
    )


@contextmanager
def explaining(folder: Path, action: str) -> Generator[None]:
    """Turns OSError and duckdb.Error inside the block into a StoreError that says what to do.

    Ctrl-C in a running query arrives as a RuntimeError of the database; it becomes KeyboardInterrupt again.
    """
    try:
        yield
    except (OSError, duckdb.Error) as error:
        raise explained(folder, action, error) from error
    except RuntimeError as error:
        if "interrupted" in str(error):
            raise KeyboardInterrupt from error
        raise
