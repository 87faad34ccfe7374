"""The texts of sessions that are over: from what was just read, else from the folder."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.turns import TURNS
from unquiet.store import Store


class StoredTexts:
    """Gives whole turns for their keys; `recent` holds the turns that are at hand anyway."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.recent = TURNS.empty_table()

    def forget_recent(self) -> None:
        """Hold no turns any more; a part of a table, even an empty one, would hold all of it."""
        self.recent = TURNS.empty_table()

    def __call__(self, keys: pa.Table) -> pa.Table:
        """The turns of `keys` (columns turn_id and time), in their order."""
        ids = keys.column("turn_id").combine_chunks()
        rows = pc.index_in(ids, value_set=self.recent.column("turn_id").combine_chunks())
        if not rows.null_count:
            return self.recent.take(rows)
        missing = keys.filter(pc.is_null(rows))
        known = pa.concat_tables([self.recent, self._store.live.turns_of(missing)])
        return known.take(pc.index_in(ids, value_set=known.column("turn_id").combine_chunks()))
