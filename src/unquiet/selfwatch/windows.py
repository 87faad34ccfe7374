"""Small memories of what came lately: by number, by time, by source. All bounded, whatever names traffic brings."""

from __future__ import annotations

from collections import Counter, deque
from statistics import median

from unquiet.selfwatch.facts import Share

MOST_KEYS = 200
OTHERS = "(others)"
MINUTE_US = 60_000_000


class Latest:
    """Hits among the latest items of each key, `size` items or the one chunk that holds more."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._chunks: dict[str, deque[Share]] = {}
        self._held: Counter[str] = Counter()

    def add(self, key: str, hits: int, of: int) -> None:
        """A chunk of `of` items, `hits` of them with the property; nothing happens where `of` is 0."""
        if of <= 0:
            return
        key = key if key in self._chunks or len(self._chunks) < MOST_KEYS else OTHERS
        chunks = self._chunks.setdefault(key, deque())
        chunks.append(Share(min(hits, of), of))
        self._held[key] += of
        while self._held[key] - chunks[0].of >= self._size:
            self._held[key] -= chunks.popleft().of

    def share(self, key: str) -> Share:
        """Of one key; 0 of 0 where it is not known."""
        chunks = self._chunks.get(key, ())
        return Share(sum(chunk.hits for chunk in chunks), sum(chunk.of for chunk in chunks))

    def shares(self) -> dict[str, Share]:
        """Of every key."""
        return {key: self.share(key) for key in self._chunks}


class Recent:
    """Counts by key over the last `minutes` minutes, the running one included."""

    def __init__(self, minutes: int = 10) -> None:
        self._minutes = minutes
        self._counts: deque[tuple[int, Counter[str]]] = deque()

    def add(self, at_us: int, key: str, count: int = 1) -> None:
        """Count `count` at a moment (microseconds since 1970) that does not lie before the last one by a minute or more."""
        minute = at_us // MINUTE_US
        if not self._counts or self._counts[-1][0] < minute:
            self._counts.append((minute, Counter()))
            self._forget(at_us)
        counts = self._counts[-1][1]
        counts[key if key in counts or len(counts) < MOST_KEYS else OTHERS] += count

    def sums(self, now_us: int) -> dict[str, int]:
        """The count of every key that has one."""
        self._forget(now_us)
        total: Counter[str] = Counter()
        for _, counts in self._counts:
            total.update(counts)
        return dict(total)

    def _forget(self, now_us: int) -> None:
        while self._counts and self._counts[0][0] <= now_us // MINUTE_US - self._minutes:
            self._counts.popleft()


class Skew:
    """How far each source's clock is from ours: the median over its latest bodies, whenever they came."""

    BODIES = 9

    def __init__(self) -> None:
        self._seconds: dict[str, deque[float]] = {}

    def add(self, source: str, seconds: float) -> None:
        """A body: the seconds from the end of its latest span to its arrival, negative where that end lies in the future."""
        source = source if source in self._seconds or len(self._seconds) < MOST_KEYS else OTHERS
        self._seconds.setdefault(source, deque(maxlen=self.BODIES)).append(seconds)

    def medians(self) -> dict[str, float]:
        """Seconds, by source."""
        return {source: float(median(seconds)) for source, seconds in self._seconds.items()}
