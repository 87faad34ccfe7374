"""Failures of the disk under the log, told so that the reader knows what to do next."""

from __future__ import annotations

import errno
from pathlib import Path

from unquiet.model.errors import WalError, WalFull

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)


def explained(folder: Path, action: str, error: OSError) -> WalError:
    """The error for a failure of `action` in the log folder; WalFull where the disk is full."""
    text = error.strerror or str(error)
    if error.errno in FULL:
        return WalFull(
            f"No space left while {action} in {folder} ({text}). What was acknowledged before is kept. Free some space; "
            "the same may be sent again then.",
            "disk",
        )
    if error.errno in NOT_WRITABLE:
        return WalError(
            f"{folder} cannot be used: {action} was refused ({text}). It must be a folder that this user may read and "
            "write: change its permissions."
        )
    return WalError(
        f"{folder} failed while {action}: {text}. What was acknowledged before is kept. Check the disk; the same may be "
        "sent again then."
    )
