"""Small tables of rows with a key, such as eval results and voices: in the database file, not in segments."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.store.duckdb_folder import DuckDBFolder
from unquiet.store.tables import Appended, chosen, conform

Transaction = Callable[[], AbstractContextManager[None]]


class Records:
    """Rows of one Arrow schema, whose first column is the key and which has a column `time`; the first of a key stays.

    Every method may raise StoreError.
    """

    def __init__(self, database: DuckDBFolder, transaction: Transaction, table: str, schema: pa.Schema) -> None:
        self._database, self._transaction = database, transaction
        self._table, self._schema, self._key = table, schema, schema.names[0]
        # Folders of earlier versions do not have it.
        if not database.has_table(table):
            database.make_table(table, schema)

    def append(self, rows: pa.Table) -> Appended:
        """Add rows in any order; those whose key is known, or came earlier in `rows`, are duplicates."""
        rows = conform(rows, self._schema)
        numbered = pa.table({"key": rows.column(self._key), "row": np.arange(rows.num_rows)})
        first = numbered.group_by("key", use_threads=False).aggregate([("row", "min")]).column("row_min")
        new = rows.take(first.sort())
        with self._transaction():
            keys = new.select([self._key]).rename_columns(["key"])
            query = f'SELECT "{self._key}" FROM {self._table} SEMI JOIN wanted ON "{self._key}" = wanted.key'  # noqa: S608
            known = self._database.fetch(query, {"wanted": keys}).column(0)
            new = new.filter(pc.invert(pc.is_in(new.column(self._key), known)))
            if new.num_rows:
                self._database.insert_rows(self._table, new)
        return Appended(new.num_rows, rows.num_rows - new.num_rows)

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows in order of time (equal times: of their keys), with the columns asked for; ValueError for an unknown one."""
        wanted = chosen(self._schema, columns)
        names = ", ".join(f'"{name}"' for name in wanted.names)
        query = f'SELECT {names} FROM {self._table} ORDER BY "time", "{self._key}"'  # noqa: S608
        return conform(self._database.fetch(query), wanted)

    def count(self) -> int:
        """How many rows there are."""
        return self._database.run(f"SELECT count(*) FROM {self._table}")[0][0]  # noqa: S608

    def replace(self, rows: pa.Table) -> None:
        """Put rows in the place of those with the same keys."""
        rows = conform(rows, self._schema)
        with self._transaction():
            self._database.delete_rows(self._table, rows.select([self._key]))
            self._database.insert_rows(self._table, rows)

    def retire(self, column: str, before_us: int) -> int:
        """Delete the rows of before a moment (microseconds since 1970) that have a value in a column; how many they were."""
        before = self.count()
        self._database.run(
            f'DELETE FROM {self._table} WHERE "{column}" IS NOT NULL AND epoch_us("time") < ?',  # noqa: S608
            [before_us],
        )
        return before - self.count()

    def remove(self, column: str, values: Collection[str]) -> int:
        """Delete the rows with one of the values in a text column; how many they were."""
        before = self.count()
        with self._transaction():
            self._database.delete_rows(self._table, pa.table({column: pa.array(sorted(values), pa.string())}))
        return before - self.count()

    def replace_all(self, rows: pa.Table) -> None:
        """Keep these rows, whose keys are all different, in place of all that there are."""
        with self._transaction():
            self._database.clear(self._table)
            if rows.num_rows:
                self._database.insert_rows(self._table, conform(rows, self._schema))
