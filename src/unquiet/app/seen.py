"""How many turns a scan has seen: numbers that must follow when turns are removed, or the next scan would miss them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import orjson

from unquiet.app.replaying import REACHED
from unquiet.store import Store

SCANNED = "scanned_turns"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was known before turns are removed: all turns, and up to where the saved judgement has judged all there are."""

    turn_count: int
    last: str | None

    @classmethod
    def of(cls, store: Store) -> Seen:
        """What is known of a folder now."""
        state, last = store.load_state(REACHED), None
        if state is not None:
            known = orjson.loads(state)
            moment = datetime.fromisoformat(known["last"])
            # Turns that came late make the judgement begin anew, and must go on to do so.
            last = known["last"] if store.turn_count_until(moment) == known["turns"] else None
        return cls(store.turn_extent().count, last)

    def keep(self, store: Store) -> None:
        """Set the numbers to the turns that are left."""
        if self.last is not None and store.load_state(REACHED) is not None:
            count = store.turn_count_until(datetime.fromisoformat(self.last))
            store.save_state(REACHED, orjson.dumps({"turns": count, "last": self.last}))
        scanned = store.get_setting(SCANNED)
        if isinstance(scanned, int):
            unseen = max(0, self.turn_count - scanned)
            store.put_setting(SCANNED, max(0, store.turn_extent().count - unseen))
