"""Work in copies of this process, which begin with all that it knows and change nothing of it."""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from unquiet.model.errors import UnquietError

T = TypeVar("T")
R = TypeVar("R")


def in_copies(work: Callable[[T], R], items: Sequence[T], workers: int) -> Iterator[tuple[T, R]]:
    """What `work` gives for each item, in their order; at most `workers` copies at a time.

    Results must be picklable. A copy sees the memory of this process as it is when its turn comes.

    Raises:
        UnquietError: a copy ended without a result (its own error is on standard error), or the system cannot make one.
    """
    if not hasattr(os, "fork"):
        raise UnquietError("rehearsals need a system that can copy a process (Linux, macOS). Run them there.")
    running: list[tuple[T, int, int]] = []
    for item in items:
        if len(running) >= max(workers, 1):
            yield _ended(*running.pop(0))
        running.append((item, *_started(work, item)))
    while running:
        yield _ended(*running.pop(0))


def _started(work: Callable[[T], object], item: T) -> tuple[int, int]:
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    status = 1
    try:
        os.close(reader)
        with os.fdopen(writer, "wb") as file:
            pickle.dump(work(item), file)
        status = 0
    except BaseException:  # noqa: BLE001 - the copy must not go on with what its parent does
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _ended(item: T, pid: int, reader: int) -> tuple[T, Any]:
    with os.fdopen(reader, "rb") as file:
        data = file.read()
    _, status = os.waitpid(pid, 0)
    if status or not data:
        raise UnquietError(f"a rehearsal ended early (status {status}); what it said is above. Please report it.")
    return item, pickle.loads(data)  # noqa: S301 - written by a copy of this very process
