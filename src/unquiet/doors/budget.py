"""How much memory all requests may hold together."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager

import numpy as np

SMALL_BYTES = 256 << 10
"""Bodies up to here are not looked into: even the worst of them is small."""

PROTO_ITEM_BYTES, JSON_ITEM_BYTES, JSON_VALUE_BYTES = 80, 200, 50
"""Measured with protobuf 7 (upb) and orjson 3: an empty span in 2 bytes becomes 164, an empty object in 3 becomes 72."""


class OverBudgetError(Exception):
    """There is no room for so many bytes now; `never`: there cannot be, even when nothing else is going on."""

    def __init__(self, size: int, bytes_max: int) -> None:
        super().__init__(f"{size:,} bytes of memory are needed; {bytes_max:,} are for all requests together")
        self.never = size > 2 * bytes_max


class ByteBudget:
    """Bytes taken and given back, from any thread. A request may be larger than the budget when it is alone."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self._lock = threading.Lock()
        self._used = 0

    @property
    def used_bytes(self) -> int:
        """What is taken now."""
        return self._used

    @contextmanager
    def reserved(self) -> Generator[Reservation]:
        """A reservation that grows inside the block and is given back at its end."""
        reservation = Reservation(self)
        try:
            yield reservation
        finally:
            self.take(-reservation.size, 0)

    def take(self, size: int, own: int) -> None:
        """Take bytes; `own` of those taken already are of the same request.

        Raises:
            OverBudgetError: there is no room.
        """
        with self._lock:
            others = self._used - own
            whole = own + size
            if size > 0 and whole > (self.bytes_max - others if others else 2 * self.bytes_max):
                raise OverBudgetError(whole, self.bytes_max)
            self._used += size


class Reservation:
    """What one request has taken."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self.size = 0

    def grow(self, size: int) -> None:
        """Take more bytes.

        Raises:
            OverBudgetError: there is no room.
        """
        self._budget.take(size, self.size)
        self.size += size


def proto_weight(raw: bytes) -> int:
    """An estimate, rather too high, of the bytes that a protobuf message takes once it is parsed.

    Messages of a few bytes cost most; each has a length, which is a small number.
    """
    if len(raw) <= SMALL_BYTES:
        return 2 * len(raw)
    small = int(np.count_nonzero(np.frombuffer(raw, dtype=np.uint8) < 16))
    return 2 * len(raw) + PROTO_ITEM_BYTES * small


def json_weight(raw: bytes) -> int:
    """An estimate of the bytes that a JSON document takes once it is parsed."""
    if len(raw) <= SMALL_BYTES:
        return 2 * len(raw)
    containers = raw.count(b"{") + raw.count(b"[")
    return len(raw) + JSON_ITEM_BYTES * containers + JSON_VALUE_BYTES * raw.count(b",")
