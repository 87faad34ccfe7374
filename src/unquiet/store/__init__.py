"""The store: the only place with SQL. `Store` is its whole interface; the rest of the package serves it."""

from __future__ import annotations

from unquiet.store.copying import copied
from unquiet.store.duckdb_folder import DATABASE
from unquiet.store.folder import Store
from unquiet.store.live import ARRIVALS
from unquiet.store.lock import owner
from unquiet.store.outbox import Delivery, LogEntry, Outbox, Told
from unquiet.store.removal import Found, Removed
from unquiet.store.retirement import Due, Gone
from unquiet.store.tables import COUNTS, SESSIONS, Appended, SourceRow, TurnExtent

__all__ = [
    "ARRIVALS",
    "COUNTS",
    "DATABASE",
    "SESSIONS",
    "Appended",
    "Delivery",
    "Due",
    "Found",
    "Gone",
    "LogEntry",
    "Outbox",
    "Removed",
    "SourceRow",
    "Store",
    "Told",
    "TurnExtent",
    "copied",
    "owner",
]
