"""Adding eval reports and voices to a folder that holds traffic."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from unquiet.model.rejections import DUPLICATE, ReadReport
from unquiet.sources import FileRead
from unquiet.store import Store
from unquiet.store.records import Records


@dataclass(slots=True)
class Added:
    """How many rows were new, and the report of each file."""

    new: int = 0
    reports: list[tuple[str, ReadReport]] = field(default_factory=list[tuple[str, ReadReport]])


def add_records(store: Store, records: Records, reads: Iterable[FileRead]) -> Added:
    """Add what files hold to `store.evals` or `store.voices`, each file in one transaction; known rows are duplicates.

    Raises:
        UnreadableSource, StoreError: nothing could be read, or kept.
    """
    added = Added()
    for read in reads:
        with store.transaction():
            for table in read.tables:
                done = records.append(table)
                added.new += done.new
                if done.duplicates:
                    read.report.rejected[DUPLICATE] = read.report.rejected.get(DUPLICATE, 0) + done.duplicates
        added.reports.append((str(read.path), read.report))
    return added
