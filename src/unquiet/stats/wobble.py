"""How much a rate wobbles from day to day beyond chance, and the tolerance that this asks for.

A day is a cluster: all its sessions share the day's rate. With N sessions a day at base rate q, a day whose
odds are off by tau (in logs) moves the log evidence by about `N q (1 - q) tau^2`: nothing where traffic is
thin, everything where it is thick. So the wobble is measured where it can be seen, and what is measured
widens the null of the next day (it must be known before the day's sessions are bet on).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

MARGIN_PER_WOBBLE = 3.5
"""Standard deviations of the day's rate that the tolerance covers."""

LEAST_DAYS = 4

COMMON_DEVIATIONS, HARMLESS_NATS, MOST_MARGIN = 4.0, 8.0, 1.5
"""Of a wobble that slices have in common: see `common_margin`; 500 of them see one of four deviations every month."""


def day_wobble(sessions: FloatArray, events: FloatArray, errors: float = 1.0) -> FloatArray:
    """Standard deviation of the log odds of the daily rate beyond binomial chance; counts (D, S), result (S,).

    From the differences of successive days, `z^2 = (r' - r)^2 / (q (1 - q) (1/n + 1/n'))`, whose mean is
    `1 + I tau^2` with I the mean information of a day (the statistic of von Neumann, 1941): a lasting step
    enters one difference only, and the largest one is left out, so that a real change does not excuse itself.
    `errors` standard errors are taken off, so that chance is not called wobble (the variance of z^2 is 2, and more where
    a day has few of the rarer outcome). Days without sessions do not count;
    0 where fewer than LEAST_DAYS differences remain.
    """
    before, after = sessions[:-1], sessions[1:]
    seen = (before > 0) & (after > 0)
    total = sessions.sum(axis=0)
    rate = np.divide(events.sum(axis=0), total, out=np.zeros_like(total), where=total > 0)
    noise = 1.0 / np.maximum(before, 1.0) + 1.0 / np.maximum(after, 1.0)
    step = events[1:] / np.maximum(after, 1.0) - events[:-1] / np.maximum(before, 1.0)
    spread = np.maximum(rate * (1.0 - rate), 1e-12)
    square = np.where(seen, step**2 / (spread * noise), 0.0)
    count = seen.sum(axis=0) - 1.0
    excess = (square.sum(axis=0) - square.max(axis=0, initial=0.0)) / np.maximum(count, 1.0) - 1.0
    rarer = np.minimum(events.sum(axis=0), total - events.sum(axis=0)) / np.maximum(count, 1.0)
    excess -= errors * np.sqrt((2.0 + 1.0 / np.maximum(rarer, 0.05)) / np.maximum(count, 1.0))
    mean_noise = np.where(seen, noise, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1.0) / 2.0
    variance = np.where(count >= LEAST_DAYS, np.maximum(excess, 0.0), 0.0) * spread * mean_noise
    return np.sqrt(variance) / spread


def common_wobble(sessions: FloatArray, events: FloatArray, errors: float) -> FloatArray:
    """The same of S slices together, which may each wobble on days of their own; counts (D, S, E), result (E,).

    One slice with a week of days says little of its wobble, and of 500 of them one is always unlucky: together they know
    it well. The sum of `z^2 - 1` over slices and days has the mean `tau^2 sum(I)`; the day with most of it is left out.
    Slice 0 is all traffic and tells how often the others count a session: their noise is that much more alike.
    """
    if len(sessions) <= LEAST_DAYS + 1 or sessions.shape[1] < 2:
        return np.zeros(sessions.shape[2])
    n, x = sessions[:, 1:], events[:, 1:]
    seen = (n[:-1] > 0) & (n[1:] > 0)
    total, happened = n.sum(axis=0), x.sum(axis=0)
    rate = np.divide(happened, total, out=np.zeros_like(total), where=total > 0)
    spread = np.maximum(rate * (1.0 - rate), 1e-12)
    noise = 1.0 / np.maximum(n[:-1], 1.0) + 1.0 / np.maximum(n[1:], 1.0)
    step = x[1:] / np.maximum(n[1:], 1.0) - x[:-1] / np.maximum(n[:-1], 1.0)
    excess = np.where(seen, step**2 / (spread * noise) - 1.0, 0.0).sum(axis=1)
    information = np.where(seen, 2.0 * spread / noise, 0.0).sum(axis=1)
    kept = np.arange(len(excess))[:, None] != excess.argmax(axis=0)
    cells = np.maximum(seen.sum(axis=(0, 1)), 1.0)
    overlap = np.maximum(total.sum(axis=0) / np.maximum(sessions[:, 0].sum(axis=0), 1.0), 1.0)
    rarer = np.minimum(happened, total - happened).sum(axis=0) / cells
    over = (excess * kept).sum(axis=0)
    sure = over > errors * np.sqrt((2.0 + 1.0 / np.maximum(rarer, 0.05)) * cells * overlap)
    return np.sqrt(np.where(sure, over / np.maximum((information * kept).sum(axis=0), 1e-12), 0.0))


def common_margin(wobble: FloatArray, information: FloatArray) -> FloatArray:
    """Tolerance that a wobble tau asks for where a day brings the information I = N q (1 - q); any shape.

    A day's rate is seen with the variance `tau^2 + 1 / I`, and what it is above the tolerance m brings
    `I (log odds - m)^2 / 2` nats: a day of COMMON_DEVIATIONS standard deviations brings no more than HARMLESS_NATS.
    So thin slices, whose days prove nothing, nearly keep their tolerance.
    """
    noise = 1.0 / np.maximum(information, 1e-12)
    margin = COMMON_DEVIATIONS * np.sqrt(wobble**2 + noise) - np.sqrt(2.0 * HARMLESS_NATS * noise)
    return np.where(wobble > 0, np.expm1(np.clip(margin, 0.0, MOST_MARGIN)), 0.0)


def guarded_delta(delta: FloatArray | float, wobble: FloatArray) -> FloatArray:
    """The tolerance that keeps the promise: `delta + MARGIN_PER_WOBBLE * wobble`, any shape."""
    return delta + MARGIN_PER_WOBBLE * wobble
