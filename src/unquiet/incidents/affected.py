"""Who was reached: which sessions since the onset look like the new behaviour rather than the old.

Since the onset the sessions of the slice are a mixture: a share pi behaves in a new way, the rest as before. The old
way is known (rates per stratum before the onset); the new rates and pi are fitted by expectation-maximisation (Dempster,
Laird, Rubin 1977) over the events that moved, taken as independent given old or new.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unquiet.incidents.expected import expected_rates
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
    out = np.zeros(len(recorded))
    if not after.any() or not len(events):
        return out
    rows = np.flatnonzero(inside)
    old = np.stack([expected_rates(recorded, rows, int(event), onset_us) for event in events], axis=1)
    late = after[rows]
    out[after] = _mixture(recorded.y[after][:, events], np.clip(old[late], 0.002, 0.998))
    return out


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


def showing(recorded: Recorded, events: IntArray, directions: IntArray, telling: BoolArray) -> BoolArray:
    """Which sessions (n,) show the change itself: one of the `telling` events, or else the first.

    `events` (k,) are those that moved, the incident's own first, with their `directions` (+1, -1). Where a behaviour
    appeared, the sessions that show it were reached, not all those whose style moved with it.
    """
    chosen = np.flatnonzero(telling) if telling.any() else np.array([0])
    y = recorded.y[:, events[chosen]]
    return (((y == 1) & (directions[chosen] > 0)) | ((y == 0) & (directions[chosen] < 0))).any(axis=1)
