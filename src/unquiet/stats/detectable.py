"""The smallest change that can be seen: said per slice, so that silence is not mistaken for health.

With n0 baseline sessions at rate p0 and m sessions after a change to p1, no test that compares the two can
gather more than `n0 KL(p0 || pbar) + m KL(p1 || pbar)` nats, pbar the pooled rate (the two-sample
information). The detector has to reach `log(KL(p1 || p0) k / beta)` nats, k sessions a day and beta false
alarms a day: the clock adds beta / k of mass a session, and what was added over the last 1 / KL sessions
takes part.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unquiet.stats.edetector import null_range

FloatArray = npt.NDArray[np.float64]

LEAST_NATS = 1.0
_BISECTIONS = 40


def kl_bernoulli(p: FloatArray, q: FloatArray) -> FloatArray:
    """Kullback-Leibler divergence of Bernoulli(p) from Bernoulli(q) in nats; any shape, 0 < q < 1."""
    inside_p, inside_1 = np.maximum(p, 1e-300), np.maximum(1.0 - p, 1e-300)
    return p * np.log(inside_p / q) + (1.0 - p) * np.log(inside_1 / (1.0 - q))


def smallest_detectable(
    baseline_sessions: FloatArray,
    base_rate: FloatArray,
    sessions_per_day: FloatArray,
    days: float,
    share_per_day: FloatArray,
    delta: FloatArray | float = 0.10,
) -> FloatArray:
    """Smallest rate above `base_rate` that is seen within `days` about every second time; NaN where none is.

    All arrays have the same shape (S,): sessions of the baseline, its rate, sessions a day, and the
    stream's share of the alarm budget in false alarms a day. `delta` is the tolerance of the null, one for all or
    of shape (S,): information counts against the upper end of `null_range`.
    """
    p0 = np.clip(null_range(base_rate, delta)[1], 1e-9, 1.0 - 1e-9)
    after = sessions_per_day * days

    def reached(p1: FloatArray) -> npt.NDArray[np.bool_]:
        pooled = (baseline_sessions * p0 + after * p1) / np.maximum(baseline_sessions + after, 1e-12)
        pooled = np.clip(pooled, 1e-12, 1.0 - 1e-12)
        have = baseline_sessions * kl_bernoulli(p0, pooled) + after * kl_bernoulli(p1, pooled)
        need = np.log(np.maximum(kl_bernoulli(p1, p0) * sessions_per_day / share_per_day, 1e-300))
        return have >= np.maximum(need, LEAST_NATS)

    low, high = p0.copy(), np.full_like(p0, 1.0 - 1e-9)
    possible = reached(high)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        seen = reached(middle)
        low, high = np.where(seen, low, middle), np.where(seen, middle, high)
    return np.where(possible, high, np.nan)


def turns_to_detect(
    rate: float, factor: float, sensitivity: float, specificity: float, per_day: float, share_per_day: float
) -> float | None:
    """Turns after a change of `rate` to `factor * rate` until a count of flags shows it; None where it never does.

    The flags have the given sensitivity and specificity (1 and 1: perfect labels). `per_day` turns a day, a
    share of the alarm budget of `share_per_day` false alarms a day, a baseline that is known: the nats needed over those
    that a turn yields, as in `smallest_detectable`.
    """
    if not 0.0 < rate < 1.0 or not rate < factor * rate < 1.0 or sensitivity + specificity <= 1.0:
        return None

    def flags(share: float) -> FloatArray:
        return np.clip(np.array(sensitivity * share + (1.0 - specificity) * (1.0 - share)), 1e-12, 1.0 - 1e-12)

    nats = float(kl_bernoulli(flags(factor * rate), flags(rate)))
    need = max(float(np.log(nats * per_day / share_per_day)), LEAST_NATS)
    return need / nats
