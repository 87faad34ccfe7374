"""The open-world detector: what the population of answers began and stopped to say, without any list of phrases."""

from unquiet.shift import kinds
from unquiet.shift.contrast import Moved, moved_features
from unquiet.shift.features import Features, extract, named
from unquiet.shift.log import Day as LoggedDay
from unquiet.shift.log import Log
from unquiet.shift.watch import Batch, Rung, ShiftWatch, runs_of

__all__ = [
    "Batch",
    "Features",
    "Log",
    "LoggedDay",
    "Moved",
    "Rung",
    "ShiftWatch",
    "extract",
    "kinds",
    "moved_features",
    "named",
    "runs_of",
]
