"""Regression evals of an incident: requests that stand for it, and what the answers before it did as assertions."""

from __future__ import annotations

from unquiet.regression.answers import Answers
from unquiet.regression.building import NothingSeparates, Told, build
from unquiet.regression.formats import BUILT_IN
from unquiet.regression.formats.protocol import ExportFormat
from unquiet.regression.recorded import recorded_files
from unquiet.regression.suite import Case, Rule, Share, Suite

__all__ = [
    "BUILT_IN",
    "Answers",
    "Case",
    "ExportFormat",
    "NothingSeparates",
    "Rule",
    "Share",
    "Suite",
    "Told",
    "build",
    "recorded_files",
]
