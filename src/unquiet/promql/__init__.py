"""Prometheus alert rules over the metrics that recorded or replayed turns would have produced.

`rules` reads their files, `exposing` makes the series that they ask for, `evaluating` is PromQL, `alerting` their `for`.
"""

from __future__ import annotations

from unquiet.promql.alerting import microseconds
from unquiet.promql.exposing import Exposition
from unquiet.promql.rules import Rule, read_rules

__all__ = ["Exposition", "Rule", "microseconds", "read_rules"]
