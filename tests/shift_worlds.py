"""Made-up traffic for the open-world detector: answers are drawn from texts, texts from words, as seeds decide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unquiet.shift import Batch, Features, Rung, ShiftWatch, runs_of

DAY_US = 86_400_000_000
TICK_US = 300_000_000
STRATA, FACETS, VALUES = 6, 2, 4
WORDS, TEXTS, TEXT_WORDS = 3_000, 40, 25


@dataclass(frozen=True)
class World:
    """How sessions come: `mix` shifts the strata on day `at`, `wobble` is the daily standard deviation of a stratum's
    rarer texts, `surge` multiplies the traffic from day `at`; from then on `share` of the answers in one value of one facet
    carry `phrase` new words.
    """

    per_day: int = 150
    days: int = 30
    learn: int = 7
    at: float = 16.0
    mix: bool = False
    wobble: float = 0.0
    surge: float = 1.0
    share: float = 0.0
    phrase: int = 6
    fresh: bool = False


def sessions(world: World, seed: int) -> Batch:
    """All sessions of a world, in order of time."""
    rng = np.random.default_rng(seed)
    density = np.where(np.arange(world.days) >= world.at, world.surge, 1.0)
    count = rng.poisson(world.per_day * density)
    at = np.sort(np.concatenate([rng.uniform(day, day + 1, n) for day, n in enumerate(count)]))
    day = at.astype(int)
    n = len(at)
    usual = rng.dirichlet(np.full(STRATA, 3.0))
    later = np.roll(usual, 2) if world.mix else usual
    draw = rng.random(n)
    stratum = np.where(
        at < world.at, np.searchsorted(np.cumsum(usual), draw), np.searchsorted(np.cumsum(later), draw)
    ).clip(0, STRATA - 1)
    facets = rng.integers(0, VALUES, (n, FACETS))
    keys = _answers(world, rng, stratum, day)
    if world.share:
        new = (at >= world.at) & (facets[:, 0] == 1) & (rng.random(n) < world.share)
        keys = [
            np.append(k, 10_000_000 + np.arange(world.phrase)) if is_new else k
            for k, is_new in zip(keys, new, strict=True)
        ]
    keys = [np.unique(k).astype(np.uint32) for k in keys]
    starts = np.concatenate([[0], np.cumsum([len(k) for k in keys])])
    request = rng.integers(0, 2**63, n).astype(np.uint64)
    where = np.concatenate([np.zeros((n, 1), int), 1 + facets + np.arange(FACETS) * VALUES], axis=1)
    tick = (np.ceil(at * DAY_US / TICK_US) * TICK_US).astype(np.int64)
    features = Features(starts, np.concatenate(keys), request, np.ones(n, bool))
    slots = np.arange(n + 1) * (FACETS + 1)
    return Batch(tick, features, stratum.astype(np.int64), slots, where.reshape(-1), np.ones(n, bool))


def watch_over(world: World, seed: int, budget_per_day: float) -> list[tuple[float, Rung]]:
    """What rings in a world after its learning period: days and what rang."""
    batch = sessions(world, seed)
    size = 1 + FACETS * VALUES
    watch = ShiftWatch(np.full(size, budget_per_day / size), 0.1)
    low = int(np.searchsorted(batch.tick_us, world.learn * DAY_US))
    watch.learn(part(batch, 0, low))
    return run(watch, part(batch, low, len(batch.tick_us)))


def run(watch: ShiftWatch, batch: Batch) -> list[tuple[float, Rung]]:
    """Step through a batch."""
    rang: list[tuple[float, Rung]] = []
    for low, high in runs_of(batch.tick_us):
        rang += [(batch.tick_us[low] / DAY_US, each) for each in watch.step(batch, low, high)]
    return rang


def part(batch: Batch, low: int, high: int) -> Batch:
    """Sessions low to high."""
    first, last = batch.starts[low], batch.starts[high]
    return Batch(
        batch.tick_us[low:high],
        batch.features.part(low, high),
        batch.stratum[low:high],
        batch.starts[low : high + 1] - first,
        batch.where[first:last],
        batch.counted[low:high],
    )


def _answers(world: World, rng: np.random.Generator, stratum: np.ndarray, day: np.ndarray) -> list[np.ndarray]:
    """Each answer is one of its stratum's texts with some words of its own; with `fresh` every text comes once."""
    zipf = 1.0 / np.arange(1, WORDS + 1)
    zipf /= zipf.sum()
    texts = rng.choice(WORDS, (STRATA, TEXTS, TEXT_WORDS), p=zipf)
    weight = rng.dirichlet(np.full(TEXTS, 0.5), STRATA)
    mood = np.exp(world.wobble * rng.standard_normal((world.days + 1, STRATA, TEXTS)))
    out: list[np.ndarray] = []
    for s, d in zip(stratum, day, strict=True):
        own = rng.choice(WORDS, 8, p=zipf)
        if world.fresh:
            out.append(np.concatenate([rng.choice(WORDS, TEXT_WORDS, p=np.roll(zipf, 50 * int(s))), own]))
            continue
        p = weight[s] * mood[d, s]
        out.append(np.concatenate([texts[s, rng.choice(TEXTS, p=p / p.sum())], own]))
    return out
