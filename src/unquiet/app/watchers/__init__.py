"""What users have today, as watchers of drills: their rules, panels, evals and tickets.

A watcher follows the protocol `unquiet.app.watchers.watching.Watcher`, stands in a file of its own, and has a line here.
"""

from __future__ import annotations

from unquiet.app.watchers import errors, evals, latency, rules, sigma, thresholds, tickets
from unquiet.app.watchers.watching import Watcher

__all__ = ["WATCHERS"]

WATCHERS: tuple[Watcher, ...] = (
    errors.ErrorRate(),
    latency.Latency(),
    thresholds.Thresholds(),
    sigma.ThreeSigma(),
    rules.Rules(),
    evals.Evals(),
    tickets.Tickets(),
)
"""In the order in which they are shown."""
