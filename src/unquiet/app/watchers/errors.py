"""The error-rate rule."""

from __future__ import annotations

import numpy as np

from unquiet.app.watchers.watching import LEAST_TURNS, Heard, Record, Replay, Watch, ends

LIMIT = 0.05


class ErrorRate:
    """Rings where errors are a large share of an hour's turns."""

    name = "error rate"
    says = f"rings after an hour with at least {LEAST_TURNS} turns of which more than {LIMIT:.0%} ended in an error"

    def over(self, record: Record) -> Watch | str:  # noqa: ARG002
        """Nothing is learned."""
        return self

    def heard(self, replay: Replay) -> Heard:
        """One rule."""
        rate, volume = replay.hours["error_rate"], replay.hours["volume"].value
        enough = np.nan_to_num(volume) >= LEAST_TURNS
        return {self.name: ends(rate, enough & (np.nan_to_num(rate.value) > LIMIT))}
