"""What was observed of the running service, as values. A fact that is None is not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.special import bdtr

UNUSUAL = 1e-6
"""What happens by chance less often than this is taken for a change."""


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `of`: both counts, 0 <= hits <= of."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """0 to 1; 0 of nothing."""
        return self.hits / self.of if self.of else 0.0


@dataclass(frozen=True, slots=True)
class Content:
    """The latest turns of a source: how many, in how many of them text was captured, and the share that is usual (0 to 1).

    `usual` is None until it was learned.
    """

    turns: int
    with_text: int
    usual: float | None

    LEAST_TURNS = 20
    LEAST_USUAL = 0.05

    @property
    def off(self) -> bool:
        """Whether text came for less than half of the usual share, and chance does not explain it."""
        if self.usual is None or self.turns < self.LEAST_TURNS or self.usual < self.LEAST_USUAL:
            return False
        fewer = self.with_text / self.turns < self.usual / 2
        return fewer and float(bdtr(self.with_text, self.turns, self.usual)) < UNUSUAL


@dataclass(frozen=True, slots=True)
class Silence:
    """Arrivals since `since_us` (microseconds since 1970) against what the learned week lets expect.

    `probability` is that of so few arrivals, 0 to 1.
    """

    count: int
    expected: float
    since_us: int
    probability: float

    STOPPED = 0.05

    @property
    def unusual(self) -> bool:
        """Whether traffic has stopped: less than STOPPED of what is usual, and chance does not explain it."""
        return self.count < self.STOPPED * self.expected and self.probability < UNUSUAL


@dataclass(frozen=True, slots=True)
class Sink:
    """Deliveries to a sink: those that wait, the age of the oldest (seconds, 0 where none waits), failures in a row.

    `tried`: something was sent to it since the start, a test or an alert. `permanent`: the last failure will not go away by
    trying again. `error` is its text, without any secret. `sent`: notices delivered since the start, `failed`: attempts
    that failed.
    """

    tried: bool = False
    pending: int = 0
    oldest_s: float = 0.0
    failures: int = 0
    permanent: bool = False
    error: str = ""
    sent: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Judge:
    """The model asked for labels: whether one is configured, failed calls in a row, the text of the last failure.

    `stopped`: it is not asked any more (its cost cap is reached, its key was refused).
    """

    configured: bool
    failures: int = 0
    stopped: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class Nights:
    """Nightly drills: whether they are `expected`, when the last was rehearsed (microseconds since 1970, None: none was).

    `lost` names the drills that are not found any more; `error` is why the last attempt came to nothing.
    """

    expected: bool
    last_us: int | None = None
    lost: Sequence[str] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the conditions are made from; None where it is not known.

    Ages are seconds. `door_age_s`: since each door's last heartbeat. `undrained_s`: since the oldest body that is
    not drained arrived, 0 where none waits. `drain_age_s`: since the drain made progress or had nothing to do;
    `drain_failures` in a row.
    `last_arrival_us`: microseconds since 1970, None where nothing ever arrived; `silence` is None until a week is known.
    `content`, `skew_s` (median of arrival minus end of span, seconds; negative: spans end in the future) go by source,
    `signals` (measurements that failed, of the latest turns) by signal. `rejected` (by reason) and `offered` count spans
    of the last ten minutes, `late` those that came after their session had closed, of those accepted. `damaged_records`
    of the log could not be read back in the last ten minutes, `damaged_kept` are the pieces of
    it that are kept. `unreadable` counts bodies, traces and turns that could not be read in the
    last ten minutes, `put_aside` those that are kept. `tick_age_s`: since the last tick was judged, `tick_every_s` apart.
    `disk_limit_bytes`: what must be free for doors to take something. `store_failed`: whether the last commit failed.
    """

    door_age_s: Mapping[str, float | None] | None = None
    undrained_bytes: int | None = None
    undrained_s: float | None = None
    drain_age_s: float | None = None
    drain_failures: int | None = None
    drain_error: str = ""
    last_arrival_us: int | None = None
    silence: Silence | None = None
    judge: Judge | None = None
    sinks: Mapping[str, Sink] | None = None
    content: Mapping[str, Content] | None = None
    signals: Mapping[str, Share] | None = None
    skew_s: Mapping[str, float] | None = None
    disk_free_bytes: int | None = None
    disk_total_bytes: int | None = None
    disk_limit_bytes: int = 0
    damaged_records: int | None = None
    damaged_kept: int | None = None
    unreadable: int | None = None
    put_aside: int | None = None
    unreadable_error: str = ""
    rejected: Mapping[str, int] | None = None
    offered: int | None = None
    late: Share | None = None
    tick_age_s: float | None = None
    tick_every_s: float = 300.0
    tick_error: str = ""
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    nights: Nights | None = None
    store_failed: bool | None = None
    store_error: str = ""
