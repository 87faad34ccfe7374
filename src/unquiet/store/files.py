"""Which files were read to their end, by what they hold, and what was said of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import orjson

from unquiet.model.rejections import Rejection
from unquiet.store.duckdb_folder import DuckDBFolder
from unquiet.store.tables import SourceRow

_COLUMNS = ("fingerprint", "path", "row_count", "turn_count", "details")


class Files:
    """The files of a folder. Every method may raise StoreError."""

    def __init__(self, database: DuckDBFolder, transaction: Callable[[], AbstractContextManager[None]]) -> None:
        self._database, self._transaction = database, transaction

    def known(self, fingerprint: str) -> SourceRow | None:
        """What is known of the file with this content, if it was read to its end before."""
        rows = self._database.select("sources", _COLUMNS, where={"fingerprint": fingerprint})
        return _source(*rows[0]) if rows else None

    def add(self, source: SourceRow) -> None:
        """Remember a file that was read; the same fingerprint again replaces it."""
        details = {
            "rejected": dict(source.rejected),
            "examples": [[example.where, example.reason] for example in source.examples],
            "notes": list(source.notes),
        }
        with self._transaction():
            row = {
                "fingerprint": source.fingerprint,
                "seq": self._database.next_seq("sources"),
                "path": source.path,
                "row_count": source.rows,
                "turn_count": source.turns,
                "details": orjson.dumps(details).decode(),
            }
            self._database.replace("sources", row)

    def forget(self, fingerprint: str) -> None:
        """Forget a file; one that is not known is no error."""
        if self.known(fingerprint) is not None:
            with self._transaction():
                self._database.delete("sources", {"fingerprint": fingerprint})

    def all(self) -> list[SourceRow]:
        """All files in the order of reading."""
        return [_source(*row) for row in self._database.select("sources", _COLUMNS, order=["seq"])]


def _source(*row: Any) -> SourceRow:
    fingerprint, path, rows, turns, text = row
    details = orjson.loads(text)
    examples = [Rejection(where, reason) for where, reason in details["examples"]]
    return SourceRow(fingerprint, path, rows, turns, details["rejected"], examples, details["notes"])
