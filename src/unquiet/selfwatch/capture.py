"""Which share of each source's turns brings text, lately and usually."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from unquiet.selfwatch.facts import Content
from unquiet.selfwatch.windows import MOST_KEYS, OTHERS, Latest

DAY_US = 86_400_000_000
HALF_LIFE_US = 3 * DAY_US
ACCEPTED_US = 7 * DAY_US
LEAST_TURNS = 200
LATEST_TURNS = 50


@dataclass(slots=True)
class _Usual:
    """Turns and those with text, older ones counting less; `at_us` is the moment of the last ones.

    `off_since_us` is there while the latest turns lack text.
    """

    turns: float
    with_text: float
    at_us: int
    off_since_us: int | None = None

    def add(self, at_us: int, turns: int, with_text: int) -> None:
        weight = 0.5 ** (max(0, at_us - self.at_us) / HALF_LIFE_US)
        self.turns = self.turns * weight + turns
        self.with_text = self.with_text * weight + with_text
        self.at_us = max(self.at_us, at_us)

    @property
    def share(self) -> float:
        return self.with_text / self.turns if self.turns else 0.0


class Capture:
    """Learns the usual share of turns with text of every source, and compares the latest LATEST_TURNS turns with it.

    While they lack text nothing is learned, for otherwise the loss would soon be usual; after a week it is.
    """

    def __init__(self) -> None:
        self._latest = Latest(LATEST_TURNS)
        self._usual: dict[str, _Usual] = {}
        self._learned: set[str] = set()

    def add(self, source: str, at_us: int, turns: int, with_text: int) -> None:
        """Turns of a source that came at a moment (microseconds since 1970), and how many of them brought text."""
        if turns <= 0:
            return
        source = source if source in self._usual or len(self._usual) < MOST_KEYS else OTHERS
        self._latest.add(source, with_text, turns)
        usual = self._usual.setdefault(source, _Usual(0.0, 0.0, at_us))
        if not self._content(source, usual).off:
            usual.off_since_us = None
            usual.add(at_us, turns, with_text)
        elif usual.off_since_us is None:
            usual.off_since_us = at_us
        elif at_us - usual.off_since_us >= ACCEPTED_US:
            share = self._latest.share(source)
            self._usual[source] = _Usual(max(share.of, LEAST_TURNS), share.value * max(share.of, LEAST_TURNS), at_us)
        if usual.turns >= LEAST_TURNS:
            self._learned.add(source)

    def contents(self) -> dict[str, Content]:
        """By source."""
        return {source: self._content(source, usual) for source, usual in self._usual.items()}

    def _content(self, source: str, usual: _Usual) -> Content:
        latest = self._latest.share(source)
        known = source in self._learned
        return Content(latest.of, latest.hits, usual.share if known else None)

    def state(self) -> dict[str, Any]:
        """What was learned, as JSON; `restored` makes it whole again."""
        return {
            "usual": {source: asdict(usual) for source, usual in self._usual.items()},
            "learned": sorted(self._learned),
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Capture:
        """From `state()`; the latest turns begin anew."""
        made = cls()
        made._usual = {str(source): _Usual(**fields) for source, fields in state["usual"].items()}
        made._learned = set(state["learned"])
        return made
