"""Detection delay against the limit: e-detector, oracle CUSUM, river's ADWIN, two-proportion z-test.

The oracle knows the rate before and after and is exactly minimax (Moustakides 1986); its threshold is set
so that its false-alarm rate is the one that the e-detector showed in the same run. The e-detector's
threshold is the theoretical one: a promise of at most one false alarm per 100,000 sessions. Delays are in
sessions, from a change after a long quiet time. Run: `python benchmarks/detection.py [--replicas N] [--seed
S] [--delta D ...]`; river is needed for ADWIN (dependency group `bench`).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from river.drift import ADWIN

from unquiet.stats.detectable import kl_bernoulli
from unquiet.stats.edetector import BET_COUNT, BET_WEIGHTS, BetTables, learned_rate, null_range

FloatArray = npt.NDArray[np.float64]

PROMISE = 1e-5
RATES = (0.005, 0.02, 0.1)
RATIOS = (1.25, 1.5, 2.0, 4.0, 10.0)
HIGHEST_RATE = 0.95
TABLES = BetTables.build()
TICK = 20
Z_WINDOW, Z_LIMIT, HISTORY = 1_000, 3.0, 20_000


@dataclass
class Streams:
    """The e-detector on many replicas of one stream, session by session; `restarts` (J, replicas)."""

    rate: float
    delta: float
    restarts: FloatArray
    hits: FloatArray
    seen: FloatArray
    learns: bool

    @classmethod
    def start(cls, rate: float, delta: float, replicas: int, rng: np.random.Generator, history: int = 0) -> Streams:
        """Fresh replicas; with `history` the rate is learned from that many sessions and what follows."""
        hits = rng.binomial(history, rate, replicas).astype(float)
        return cls(rate, delta, np.zeros((BET_COUNT, replicas)), hits, np.full(replicas, float(history)), history > 0)

    def factors(self) -> tuple[FloatArray, FloatArray]:
        """L of a session without and with an event, shape (J, replicas) or (J, 1)."""
        base = learned_rate(self.hits, self.seen, 0.0, 0.0) if self.learns else np.array([self.rate])
        low, high = null_range(base, self.delta)
        levels = TABLES.up_level(high), TABLES.down_level(low), np.zeros(len(base), np.int64)
        one = np.ones(len(base))
        pair = [np.exp(TABLES.log_evidence(*levels, one, one * y).astype(np.float64)).T for y in (0.0, 1.0)]
        return pair[0], pair[1]

    def run(
        self, truth: float, sessions: int, rng: np.random.Generator, *, stop: bool
    ) -> tuple[FloatArray, FloatArray]:
        """(first alarm of each replica, alarms in each tenth of the sessions); an alarm restarts."""
        replicas = self.restarts.shape[1]
        first, tenths = np.full(replicas, np.inf), np.zeros(10)
        for t in range(sessions):
            if t % TICK == 0:
                if stop and np.isfinite(first).all():
                    break
                without, withs = self.factors()
                ratio = withs / without
            y = np.flatnonzero(rng.random(replicas) < truth)
            self.restarts += PROMISE
            self.restarts *= without
            self.restarts[:, y] *= ratio[:, y] if self.learns else ratio
            check = np.arange(replicas) if t % TICK == 0 else y
            rang = check[BET_WEIGHTS @ self.restarts[:, check] >= 1.0]
            if len(rang):
                self.restarts[:, rang] = 0.0
                first[rang] = np.minimum(first[rang], t + 1.0)
                tenths[t * 10 // sessions] += len(rang)
            if self.learns:
                self.hits[y] += 1.0
                self.seen += 1.0
        return first, tenths


def cusum_run_length(truth: float, steps: tuple[float, float], threshold: float) -> float:
    """Mean run length of a CUSUM from zero, by the Markov chain of Brook and Evans (1972)."""
    size = min(1_200, int(np.ceil(threshold / abs(steps[0]) * 4)))
    unit = threshold / size
    at = np.arange(size) * unit
    moves = np.zeros((size, size))
    for step, chance in ((steps[0], 1.0 - truth), (steps[1], truth)):
        to = np.maximum(at + step, 0.0) / unit
        below = np.floor(to).astype(int)
        share = to - below
        for cell, weight in ((below, 1.0 - share), (below + 1, share)):
            stays = cell < size
            moves[np.flatnonzero(stays), cell[stays]] += chance * weight[stays]
    return float(np.linalg.solve(np.eye(size) - moves, np.ones(size))[0])


def oracle_delay(p0: float, p1: float, rate_of_false: float, replicas: int, rng: np.random.Generator) -> float:
    """Mean delay of the CUSUM told p0 and p1, with `rate_of_false` false alarms a session."""
    steps = float(np.log((1 - p1) / (1 - p0))), float(np.log(p1 / p0))
    low, high = 0.2, 14.0
    for _ in range(18):
        middle = (low + high) / 2
        low, high = (low, middle) if cusum_run_length(p0, steps, middle) >= 1 / rate_of_false else (middle, high)
    state, delay = np.zeros(replicas), np.full(replicas, np.inf)
    for t in range(-3_000, 10**7):
        state = np.maximum(state, 0.0) + steps[0]
        state[rng.random(replicas) < (p0 if t < 0 else p1)] += steps[1] - steps[0]
        crossed = state >= high
        if t < 0:
            state[crossed] = 0.0
        else:
            delay[crossed] = np.minimum(delay[crossed], t + 1.0)
            if t % 50 == 0 and np.isfinite(delay).all():
                break
    return float(delay.mean())


@dataclass
class Measured:
    """One row of the table."""

    p0: float
    ratio: float
    false_per_100k: float
    delay: float
    oracle: float


def measure(
    p0: float, ratios: tuple[float, ...], delta: float, history: int, replicas: int, rng: np.random.Generator
) -> list[Measured]:
    """False alarms in 100,000 quiet sessions, then the mean delay for each change, and the oracle's."""
    quiet = Streams.start(p0, delta, replicas, rng, history)
    sessions = 100_000
    _, tenths = quiet.run(p0, sessions, rng, stop=False)
    late = tenths[5:].sum() / replicas / (sessions / 2)
    hazard = (tenths / replicas / (sessions / 10) * 1e5).reshape(5, 2).mean(axis=1)
    print(f"  p0 {p0}: false alarms per 100k sessions by age {np.round(hazard, 2)}", flush=True)
    rows: list[Measured] = []
    for ratio in ratios:
        p1 = min(p0 * ratio, HIGHEST_RATE)
        _, edge = null_range(np.array([p0]), delta)
        longest = int(100 / kl_bernoulli(np.array([p1]), edge)[0])
        after = Streams(p0, delta, quiet.restarts.copy(), quiet.hits.copy(), quiet.seen.copy(), quiet.learns)
        if history:
            again = rng.binomial(history, p0, replicas).astype(float)
            after.hits, after.seen = again, np.full(replicas, float(history))
        delay, _ = after.run(p1, min(longest, 400_000), rng, stop=True)
        oracle = oracle_delay(p0, p1, max(late, 1e-8), 2 * replicas, rng)
        found = np.isfinite(delay)
        mean = float(delay[found].mean()) if found.mean() > 0.99 else float("nan")
        rows.append(Measured(p0, ratio, late * 1e5, mean, oracle))
    return rows


def adwin_delay(p0: float, p1: float, replicas: int, rng: np.random.Generator) -> tuple[float, float, float]:
    """(false alarms per 100k sessions, mean delay, share found in 50,000) of river's ADWIN, as it comes."""
    false, delays = 0, []
    for _ in range(replicas):
        detector = ADWIN()
        for y in (rng.random(HISTORY * 3) < p0).astype(float).tolist():
            detector.update(y)
            false += detector.drift_detected
        for t, y in enumerate((rng.random(50_000) < p1).astype(float).tolist()):
            detector.update(y)
            if detector.drift_detected:
                delays.append(t + 1)
                break
    return false / replicas / (HISTORY * 3) * 1e5, float(np.mean(delays or [np.nan])), len(delays) / replicas


def z_test_delay(p0: float, p1: float, replicas: int, rng: np.random.Generator) -> tuple[float, float, float]:
    """The same for a z-test, |z| > 3, of every 1,000 sessions against 20,000 sessions of history."""
    base = rng.binomial(HISTORY, p0, (replicas, 1)) / HISTORY

    def alarms(rate: float, windows: int) -> npt.NDArray[np.bool_]:
        now = rng.binomial(Z_WINDOW, rate, (replicas, windows)) / Z_WINDOW
        pooled = (base * HISTORY + now * Z_WINDOW) / (HISTORY + Z_WINDOW)
        error = np.sqrt(pooled * (1 - pooled) * (1 / HISTORY + 1 / Z_WINDOW))
        return np.abs(now - base) > Z_LIMIT * error

    false = alarms(p0, 100).mean() / Z_WINDOW * 1e5
    rang = alarms(p1, 50)
    found = rang.any(axis=1)
    delay = (rang.argmax(axis=1)[found] + 1) * Z_WINDOW
    return float(false), float(delay.mean()) if found.any() else float("nan"), float(found.mean())


def report(title: str, rows: list[Measured]) -> None:
    print(f"\n{title}\n  {'p0':>6} {'change':>7} {'false/100k':>11} {'delay':>9} {'oracle':>9} {'ratio':>6}")
    for r in rows:
        share = f"{r.delay / r.oracle:6.2f}"
        print(f"  {r.p0:6.3f} {r.ratio:6.2f}x {r.false_per_100k:11.2f} {r.delay:9.1f} {r.oracle:9.1f} {share}")
    print(f"  worst ratio {max(r.delay / r.oracle for r in rows):.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, default=800, help="replicas of each stream (default 800)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--delta", type=float, nargs="+", default=[0.0, 0.10], help="tolerances of the null to measure")
    options = parser.parse_args()
    rng, began = np.random.default_rng(options.seed), time.perf_counter()
    for delta in options.delta:
        # below the tolerance, or a little above it, no alarm is wanted
        ratios = tuple(r for r in RATIOS if r >= 1.3 or delta == 0.0)
        print(f"known base rate, delta {delta}", flush=True)
        rows = [row for p0 in RATES for row in measure(p0, ratios, delta, 0, options.replicas, rng)]
        report(f"e-detector, base rate known, theoretical threshold, delta {delta}", rows)
        print(f"\nbase rate learned from {HISTORY} sessions, delta {delta}", flush=True)
        rows = [row for p0 in RATES for row in measure(p0, (2.0,), delta, HISTORY, options.replicas // 2, rng)]
        report(f"e-detector, base rate learned from {HISTORY} sessions, delta {delta}", rows)
    print("\nothers, 2x, 20,000 sessions of history\n  detector      p0   false/100k     delay   found in 50k")
    for p0 in RATES:
        for name, method, size in (
            ("ADWIN", adwin_delay, options.replicas // 20),
            ("z-test", z_test_delay, 4_000),
        ):
            false, delay, found = method(p0, 2 * p0, max(size, 5), rng)
            print(f"  {name:8} {p0:9.3f} {false:10.2f} {delay:11.1f} {found:10.2f}", flush=True)
    print(f"\nseed {options.seed}, {options.replicas} replicas, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
