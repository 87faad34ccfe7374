"""The open-world detector: what the population of answers began and stopped to say, without any list of phrases."""

from unquiet.shift.features import Features, extract, named
from unquiet.shift.watch import Batch, Rung, ShiftWatch, runs_of

__all__ = ["Batch", "Features", "Rung", "ShiftWatch", "extract", "named", "runs_of"]
