"""What the usual dashboard shows: errors, latency, tokens, tools, volume and evals over time, under the usual rule.

The rule is the common one: a value fires that lies more than three standard deviations from the mean of the seven days before
it. It is applied to the panels as they are, over all traffic, because that is what is looked at when somebody asks whether
all is well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.evals import ERROR, FAILED, PASSED
from unquiet.stats.trailing import control_limits

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
TRAILING_US = 7 * DAY_US
SIGMAS = 3.0
LEAST = 5
"""Known values that the trailing window must hold before there is a limit."""

COLUMNS = ("time", "error", "latency_ms", "input_tokens", "output_tokens", "tool_calls")
"""The columns of TURNS that panels are drawn from."""


@dataclass(frozen=True, slots=True)
class PanelKind:
    """A panel: its name, what it shows, the unit of its values and the direction (+1, -1, 0 both) in which it can fire."""

    name: str
    title: str
    unit: str
    harm: int


TURN_PANELS = (
    PanelKind("error_rate", "error rate", "share", 1),
    PanelKind("p95_latency", "p95 latency", "ms", 1),
    PanelKind("tokens_per_turn", "tokens per turn", "tokens", 0),
    PanelKind("tool_error_rate", "tool error rate", "share", 1),
    PanelKind("volume", "turns", "turns", 0),
)
EVALS = PanelKind("eval_pass_rate", "eval pass rate", "share", -1)


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: n points in order of time with their values (NaN: unknown) and the limits of the rule (NaN: none yet).

    `width_us` is how much time a point covers, 0 for a run of evals, which is a moment.
    """

    kind: PanelKind
    width_us: int
    at_us: IntArray
    value: FloatArray
    low: FloatArray
    high: FloatArray

    @property
    def fired(self) -> BoolArray:
        """Which points (n,) lie outside of the limits, on the side on which the panel fires."""
        # A series that never moves has limits that equal it but for rounding.
        slack = 1e-9 * np.maximum(1.0, np.abs(self.value))
        above, below = self.value > self.high + slack, self.value < self.low - slack
        return (above & (self.kind.harm >= 0)) | (below & (self.kind.harm <= 0))

    @property
    def judged(self) -> BoolArray:
        """Which points (n,) are known and have a limit."""
        return np.isfinite(self.value) & np.isfinite(self.high)


def bucketed(turns: pa.Table, width_us: int) -> pa.Table:
    """The values of TURN_PANELS for each stretch of time that has turns: `at_us`, and a column a panel, null where unknown.

    `turns` has the columns COLUMNS of TURNS and holds all turns of its stretches.
    """
    at = turns.column("time").cast(pa.int64()).to_numpy() // width_us * width_us
    starts, place = np.unique(at, return_inverse=True)
    size = len(starts)
    latency = turns.column("latency_ms").to_numpy()
    return pa.table(
        {
            "at_us": starts,
            "error_rate": _share(place, turns.column("error").is_valid().to_numpy(), size),
            "p95_latency": _p95(place, latency, size),
            "tokens_per_turn": _tokens(turns, place, size),
            "tool_error_rate": _tool_errors(turns, place, size),
            "volume": np.bincount(place, minlength=size).astype(np.float64),
        }
    )


def turn_panels(buckets: pa.Table, width_us: int) -> list[Panel]:
    """The panels of buckets that are in order of time and without repetition.

    Stretches without any turn have a volume of 0 and nothing else. The first and the last stretch are those that recording
    began and ended in, so their volume is not the traffic's: it is unknown.
    """
    if not buckets.num_rows:
        none = np.zeros(0)
        return [Panel(kind, width_us, np.zeros(0, np.int64), none, none, none) for kind in TURN_PANELS]
    seen = buckets.column("at_us").to_numpy()
    at = np.arange(seen[0], seen[-1] + 1, width_us, dtype=np.int64)
    place = (seen - seen[0]) // width_us
    panels: list[Panel] = []
    for kind in TURN_PANELS:
        value = np.full(len(at), 0.0 if kind.name == "volume" else np.nan)
        value[place] = buckets.column(kind.name).to_numpy()
        if kind.name == "volume":
            value[[0, -1]] = np.nan
        low, high = control_limits(at, value, TRAILING_US, sigmas=SIGMAS, least=LEAST)
        panels.append(Panel(kind, width_us, at, value, low, high))
    return panels


def eval_panel(results: pa.Table) -> Panel:
    """The share of the cases of each run that passed, of those that ran; `results` is a table of EVAL_RESULTS.

    Runs are few, so with fewer than LEAST before it a run fires where it passes less than each of them did.
    """
    known = results.filter(pc.is_in(results.column("status"), pa.array([PASSED, FAILED, ERROR])))
    passed = pc.equal(known.column("status"), PASSED).cast(pa.float64())
    rows = pa.table({"run": known.column("run"), "time": known.column("time").cast(pa.int64()), "passed": passed})
    runs = rows.group_by("run", use_threads=False).aggregate([("time", "min"), ("passed", "mean")])
    runs = runs.sort_by([("time_min", "ascending"), ("run", "ascending")])
    at = runs.column("time_min").to_numpy().astype(np.int64)
    value = runs.column("passed_mean").to_numpy().astype(np.float64)
    low, high = control_limits(at, value, TRAILING_US, sigmas=SIGMAS, least=LEAST)
    lowest = np.concatenate([[np.nan], np.minimum.accumulate(value)[:-1]]) if len(value) else value
    few = np.isnan(low) & np.isfinite(lowest)
    return Panel(EVALS, 0, at, value, np.where(few, lowest, low), np.where(few, 1.0, high))


def daily_panel(name: str, at_us: Sequence[int], rates: Sequence[float | None], harm: int) -> Panel:
    """A panel of a rate that is known by day, None on days without it, days ascending."""
    at, value = np.array(at_us, np.int64), np.array([np.nan if rate is None else rate for rate in rates])
    low, high = control_limits(at, value, TRAILING_US, sigmas=SIGMAS, least=LEAST)
    return Panel(PanelKind(name, name, "share", harm), DAY_US, at, value, low, high)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a panel did between two moments: `flat`, `fired` or `unknown`, then `why` says why nothing can be said.

    `before` and `since` are the means of its values before the first moment and from it on, None where there are none.
    Of `judged` points since `fired` fired, `first_fired_us` is when; of `judged_before` points before `fired_before` did: a
    rule that fires now and then by chance went on doing so.
    """

    status: str
    why: str
    before: float | None
    since: float | None
    fired: int
    judged: int
    fired_before: int
    judged_before: int
    first_fired_us: int | None


def verdict(panel: Panel, since_us: int, until_us: int) -> Verdict:
    """Whether a panel fired from the point that holds `since_us` to the one before `until_us`."""
    inside = (panel.at_us + panel.width_us > since_us) & (panel.at_us < until_us)
    if not panel.width_us:
        inside = (panel.at_us >= since_us) & (panel.at_us < until_us)
    early = panel.at_us + panel.width_us <= since_us
    judged, fired, known = panel.judged, panel.fired & panel.judged, np.isfinite(panel.value)
    status, why = _status(known & inside, judged & inside, fired & inside)
    rung = panel.at_us[fired & inside]
    return Verdict(
        status,
        why,
        _mean(panel.value[known & early]),
        _mean(panel.value[known & inside]),
        len(rung),
        int((judged & inside).sum()),
        int((fired & early).sum()),
        int((judged & early).sum()),
        int(rung[0]) if len(rung) else None,
    )


def slow_limits(panels: Sequence[Panel]) -> dict[int, float]:
    """For the days on which the latency rule fired, the limit in ms that it fired at: of the p95 panel by day."""
    for panel in panels:
        if panel.kind.name == "p95_latency" and panel.width_us == DAY_US:
            rang = panel.fired & panel.judged
            return dict(zip(panel.at_us[rang].tolist(), panel.high[rang].tolist(), strict=True))
    return {}


def _status(known: BoolArray, judged: BoolArray, fired: BoolArray) -> tuple[str, str]:
    if fired.any():
        return "fired", ""
    if judged.any():
        return "flat", ""
    if known.any():
        return "unknown", "too little was known before it to draw a limit"
    return "unknown", "the traffic has no value for it in that time"


def _mean(values: FloatArray) -> float | None:
    return float(values.mean()) if len(values) else None


def _share(place: IntArray, hit: BoolArray, size: int) -> FloatArray:
    n = np.bincount(place, minlength=size)
    x = np.bincount(place[hit], minlength=size)
    return np.where(n > 0, x / np.maximum(n, 1), np.nan)


def _p95(place: IntArray, value: FloatArray, size: int) -> FloatArray:
    """The 95th percentile of each stretch, between the two nearest values in proportion, as `numpy.percentile` has it."""
    known = np.isfinite(value)
    place, value = place[known], value[known]
    order = np.lexsort((value, place))
    value = value[order]
    n = np.bincount(place, minlength=size)
    if not len(value):
        return np.full(size, np.nan)
    start = np.cumsum(n) - n
    spot = 0.95 * np.maximum(n - 1, 0)
    low = np.floor(spot).astype(np.int64)
    last = len(value) - 1
    left = value[np.minimum(start + low, last)]
    right = value[np.minimum(start + np.minimum(low + 1, np.maximum(n - 1, 0)), last)]
    return np.where(n > 0, left + (spot - low) * (right - left), np.nan)


def _tokens(turns: pa.Table, place: IntArray, size: int) -> FloatArray:
    parts = [turns.column(name) for name in ("input_tokens", "output_tokens")]
    known = pc.or_(*(part.is_valid() for part in parts)).to_numpy()
    total = pc.add(*(part.fill_null(0) for part in parts)).to_numpy().astype(np.float64)
    n = np.bincount(place[known], minlength=size)
    tokens = np.bincount(place[known], weights=total[known], minlength=size)
    return np.where(n > 0, tokens / np.maximum(n, 1), np.nan)


def _tool_errors(turns: pa.Table, place: IntArray, size: int) -> FloatArray:
    calls = turns.column("tool_calls").combine_chunks()
    owner = pc.list_parent_indices(calls).to_numpy()
    failed = pc.struct_field(pc.list_flatten(calls), "error").is_valid().to_numpy(zero_copy_only=False)
    return _share(place[owner], failed, size)
