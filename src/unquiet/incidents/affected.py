"""Who was reached: which sessions since the onset look like the new behaviour rather than the old.

Since the onset the sessions of the slice are a mixture: a share pi behaves in a new way, the rest as before. The old
way is known (rates per stratum before the onset); the new rates and pi are fitted by expectation-maximisation (Dempster,
Laird, Rubin 1977) over the events that moved, taken as independent given old or new.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unquiet.model.history import Recorded

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

ROUNDS = 60
SMOOTH = 2.0


def new_behaviour(recorded: Recorded, inside: BoolArray, onset_us: int, events: IntArray) -> FloatArray:
    """The probability (n,) that a session is of the new behaviour; 0 before the onset and outside of the slice.

    `inside` (n,) marks the slice's sessions, `events` indexes the events that moved, the clearest first.
    """
    after = inside & (recorded.started_us >= onset_us)
    before = inside & ~after
    out = np.zeros(len(recorded))
    if not after.any() or not len(events):
        return out
    y = recorded.y[:, events]
    old = _old_rates(y, recorded.stratum, before, after)
    out[after] = _mixture(y[after], old)
    return out


def _old_rates(y: npt.NDArray[np.int8], stratum: IntArray, before: BoolArray, after: BoolArray) -> FloatArray:
    """Rates before, for each session after: those of its stratum, shrunk toward those of the slice."""
    known, hit = (y >= 0) & before[:, None], (y == 1) & before[:, None]
    overall = (hit.sum(axis=0) + 0.5) / (known.sum(axis=0) + 1.0)
    size = int(stratum.max(initial=0)) + 1
    n, x = np.zeros((size, y.shape[1])), np.zeros((size, y.shape[1]))
    np.add.at(n, stratum[before], known[before])
    np.add.at(x, stratum[before], hit[before])
    rate = (x + 8.0 * overall) / (n + 8.0)
    return np.clip(rate[stratum[after]], 0.002, 0.998)


def _mixture(y: npt.NDArray[np.int8], old: FloatArray) -> FloatArray:
    """Posterior of "new" for each row of y (m, events), given the old rates (m, events)."""
    known = y >= 0
    hit = y == 1
    log_old = np.where(hit, np.log(old), np.where(known, np.log1p(-old), 0.0)).sum(axis=1)
    seen = np.maximum(known.sum(axis=0), 1)
    observed = hit.sum(axis=0) / seen
    expected = np.where(known, old, 0.0).sum(axis=0) / seen
    # start from the smallest new share that the event with the largest shift allows
    shift = observed - expected
    room = np.where(shift > 0, 1.0 - expected, expected)
    share = float(np.clip(np.max(np.abs(shift) / np.maximum(room, 0.05)), 0.05, 0.95))
    rate = np.clip(expected + shift / share, 0.02, 0.98)
    posterior = np.full(len(y), share)
    for _ in range(ROUNDS):
        log_new = np.where(hit, np.log(rate), np.where(known, np.log1p(-rate), 0.0)).sum(axis=1)
        posterior = 1.0 / (1.0 + np.exp(np.clip(log_old - log_new, -500, 500)) * (1.0 - share) / share)
        share = float(np.clip(posterior.mean(), 0.01, 0.99))
        weight = posterior[:, None]
        n, x = (weight * known).sum(axis=0), (weight * hit).sum(axis=0)
        rate = np.clip((x + SMOOTH * expected) / (n + SMOOTH), 0.005, 0.995)
    return posterior
