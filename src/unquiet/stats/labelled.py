"""What labels say of a signal: sensitivity, specificity and the corrected rate, from a stratified sample.

The turns are cut into strata by what the signal says; in each, the labels are a random sample. Everything asked for rises
or falls with the share of true turns in each stratum, so its interval is melded from the exact ones of Clopper and Pearson
(Fay, Proschan and Brittain 2015, "Combining one-sample confidence procedures for inference in the two-sample case"): its
low end is a quantile over draws of shares from the low ends' distributions where it rises with them and from the high
ends' where it falls. A normal interval, or Wilson's for an effective sample size over all strata, is deceived by a large
stratum in whose few labels no error was found; this one is not.

Where labels of one stratum were chosen with unequal chances, they are weighted by the inverse of those, and count as
many as Kish's effective sample size says (Kish 1965, "Survey Sampling": (sum w)^2 / sum w^2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

DRAWS = 20_000
TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Sample:
    """Labels of a signal by stratum, every array of shape (H,).

    `turns` are the sizes of the strata, `flagged` says where the signal says yes, `labelled` is the (effective) number of
    labels and `yes` that of the true ones among them.
    """

    turns: FloatArray
    flagged: BoolArray
    labelled: FloatArray
    yes: FloatArray

    @property
    def shares(self) -> FloatArray:
        """The share of true turns in each stratum (H,); 0 where there is no label."""
        return self.yes / np.maximum(self.labelled, 1e-12)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What the labels say of a signal. `raw_rate` is the share of turns that it flags, `rate` the corrected one."""

    sensitivity: Estimate
    specificity: Estimate
    raw_rate: float
    rate: Estimate


def sample(turns: FloatArray, flagged: BoolArray, stratum: IntArray, yes: BoolArray, inclusion: FloatArray) -> Sample:
    """The labels (n,) by stratum: `stratum` in [0, H), `yes` the answers, `inclusion` in (0, 1] their chances."""
    size = len(turns)
    weight = 1.0 / inclusion
    total = np.bincount(stratum, weight, size)
    squares = np.bincount(stratum, weight**2, size)
    labelled = total**2 / np.maximum(squares, 1e-300)
    share = np.bincount(stratum, weight * yes, size) / np.maximum(total, 1e-300)
    return Sample(turns, flagged, labelled, share * labelled)


def accuracy(labels: Sample, seed: int, level: float = 0.95) -> Accuracy:
    """Sensitivity, specificity and corrected rate, with intervals of the given coverage."""
    melded = _melded(labels, seed)
    return Accuracy(
        _estimate(_sensitivity, labels, melded, labels.flagged, level),
        _estimate(_specificity, labels, melded, labels.flagged, level),
        raw_rate(labels),
        ppi_rate(labels, seed, level),
    )


def raw_rate(labels: Sample) -> float:
    """The share of turns that the signal flags."""
    return float(labels.turns[labels.flagged].sum() / labels.turns.sum())


def ppi_rate(labels: Sample, seed: int, level: float = 0.95) -> Estimate:
    """The rate of true turns: the signal's, corrected by its errors among the labels.

    Prediction-powered inference (Angelopoulos et al. 2023, "Prediction-powered inference", Science 382:669): the mean of
    the predictions on all turns plus the mean of label minus prediction on the labelled ones, here by stratum (Fisch et
    al. 2024, "Stratified prediction-powered inference"). The paper's interval is normal, and has no width where no label
    shows an error; this one is melded like the others.
    """
    return _estimate(_rate, labels, _melded(labels, seed), np.ones(len(labels.turns), bool), level)


def cohen_kappa(first: BoolArray, second: BoolArray) -> float:
    """Agreement of two who answered the same questions (n,) beyond chance (Cohen 1960); NaN where chance explains all."""
    if not len(first):
        return float("nan")
    same = float((first == second).mean())
    yes = float(first.mean()), float(second.mean())
    chance = yes[0] * yes[1] + (1.0 - yes[0]) * (1.0 - yes[1])
    return float("nan") if chance >= 1.0 else (same - chance) / (1.0 - chance)


def _melded(labels: Sample, seed: int) -> tuple[FloatArray, FloatArray]:
    """Draws (DRAWS, H) of the shares of true turns, from the distributions of their low and of their high ends."""
    rng = np.random.default_rng(seed)
    no = np.maximum(labels.labelled - labels.yes, 0.0)
    none, every = labels.yes < TINY, no < TINY
    size = (DRAWS, len(labels.turns))
    low = rng.beta(np.where(none, 1.0, labels.yes), no + 1.0, size)
    high = rng.beta(labels.yes + 1.0, np.where(every, 1.0, no), size)
    return np.where(none, 0.0, low), np.where(every, 1.0, high)


def _estimate(
    of: Callable[[FloatArray, Sample], FloatArray],
    labels: Sample,
    melded: tuple[FloatArray, FloatArray],
    rises: BoolArray,
    level: float,
) -> Estimate:
    """A function of the shares that rises with those of the strata in `rises` (H,) and falls with the others."""
    value = float(of(labels.shares[None, :], labels)[0])
    if np.isnan(value):
        return Estimate(value, 0.0, 1.0)
    low, high = (of(np.where(rises, *ends), labels) for ends in (melded, melded[::-1]))
    tail = (1.0 - level) / 2.0
    return Estimate(value, float(np.nanquantile(low, tail)), float(np.nanquantile(high, 1.0 - tail)))


def _sensitivity(shares: FloatArray, labels: Sample) -> FloatArray:
    true = shares * labels.turns
    with np.errstate(invalid="ignore"):
        return true[:, labels.flagged].sum(axis=1) / true.sum(axis=1)


def _specificity(shares: FloatArray, labels: Sample) -> FloatArray:
    false = (1.0 - shares) * labels.turns
    with np.errstate(invalid="ignore"):
        return false[:, ~labels.flagged].sum(axis=1) / false.sum(axis=1)


def _rate(shares: FloatArray, labels: Sample) -> FloatArray:
    """The mean of the predictions plus that of the errors."""
    weight = labels.turns / labels.turns.sum()
    predicted = labels.flagged.astype(np.float64)
    return (weight * predicted).sum() + (weight * (shares - predicted)).sum(axis=1)
