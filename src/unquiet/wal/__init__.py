"""The write-ahead log: request bodies, durable before they are acknowledged, read once they are drained."""

from __future__ import annotations

from unquiet.model.errors import WalError, WalFull
from unquiet.wal.layout import DAMAGED, START, Entry, Position
from unquiet.wal.quarantine import Quarantine
from unquiet.wal.reader import WalReader
from unquiet.wal.writer import WalWriter

__all__ = ["DAMAGED", "START", "Entry", "Position", "Quarantine", "WalError", "WalFull", "WalReader", "WalWriter"]
