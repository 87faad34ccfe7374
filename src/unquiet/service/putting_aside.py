"""What was acknowledged and cannot be made into turns: counted, put aside as it is, and told by where it failed."""

from __future__ import annotations

import json
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unquiet.conventions.drafts import TurnDraft
from unquiet.conventions.live_traces import Complete
from unquiet.model.bodies import Body
from unquiet.model.errors import StoreError, WalError
from unquiet.service.span_keys import span_keys
from unquiet.wal import Position

BODIES, TRACES, TURNS = "unreadable bodies", "unreadable traces", "unreadable turns"
"""Names of counts."""

ENDINGS = (".body", ".trace", ".turn")
"""How the names of files end that are put aside here."""

NOT_ITS_FAULT = (StoreError, WalError, MemoryError)
"""What may happen while something is read and says nothing about it: the folder, the log or the machine failed."""

PACKAGE = Path(__file__).parent.parent

Keep = Callable[[str, bytes, int], None]
"""Keeps bytes under a name, with the moment of their arrival (microseconds since 1970). Raises WalError."""


@dataclass(slots=True)
class PuttingAside:
    """Names depend on what is put aside alone: what is read again after a restart takes the place of what it was.

    `said` is the kind and the place of the last error. Its text is left out: it may quote traffic.
    """

    keep: Keep | None = None
    said: str = ""

    def body(self, body: Body, end: Position, error: Exception, counts: Counter[str]) -> None:
        """A body that ends at a place of the log, as it was taken in."""
        name = f"{end.segment:012d}-{end.offset}-{body.kind.name.lower()}"
        self._put(BODIES, name + ENDINGS[0], body.payload, body.arrived_us, error, counts)

    def trace(self, complete: Complete, error: Exception, at_us: int, counts: Counter[str]) -> None:
        """The spans and log records of a trace, as JSON."""
        document = {
            "spans": [asdict(span) for span in complete.spans],
            "events": [{"span_id": span_id, **asdict(event)} for span_id, event, _ in complete.events],
        }
        key = int(span_keys([complete.trace_id], complete.span_ids[:1])[0])
        self._put(TRACES, f"{key:016x}{ENDINGS[1]}", _json(document), at_us, error, counts)

    def draft(self, draft: TurnDraft, error: Exception, at_us: int, counts: Counter[str]) -> None:
        """A turn that cannot be a row of the turn table, as JSON."""
        trace_id, _, span_id = draft.turn_id.partition(":")
        key = int(span_keys([trace_id], [span_id])[0])
        self._put(TURNS, f"{key:016x}{ENDINGS[2]}", _json(asdict(draft)), at_us, error, counts)

    def _put(self, what: str, name: str, data: bytes, at_us: int, error: Exception, counts: Counter[str]) -> None:
        self.said = place_of(error)
        if self.keep is not None:
            self.keep(name, data, at_us)
        counts[what] += 1


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, default=repr).encode("utf-8", "surrogatepass")


def place_of(error: Exception) -> str:
    """The kind of an error and the line of unquiet in which it arose, such as `KeyError in conventions/otlp.py:33`."""
    frames = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    own = [(path.relative_to(PACKAGE), line) for path, line in frames if path.is_relative_to(PACKAGE)]
    return f"{type(error).__name__} in {own[-1][0].as_posix()}:{own[-1][1]}" if own else type(error).__name__
