"""How many sessions a user already had in the trailing day: sessions of one user are not independent evidence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

DAY_US = 86_400_000_000
MOST_RANK = 16
"""Further sessions of a user within a day have this rank too: none of them counts any more."""


class RecentSessions:
    """Counts the sessions of each user within the trailing day.

    `times` maps users to the times of their last sessions; users that have been away for a day are swept out now and then.
    """

    def __init__(self, times: dict[str, list[int]] | None = None) -> None:
        self.times: dict[str, list[int]] = times or {}
        self.swept_us = 0

    def ranks(self, users: Sequence[str | None], closed_us: IntArray) -> IntArray:
        """The rank K >= 1 of each session among its user's sessions of the trailing day; unknown users always get 1.

        Sessions must come in order of time.
        """
        out = np.ones(len(users), np.int64)
        for i, (user, at) in enumerate(zip(users, closed_us.tolist(), strict=True)):
            if user is None:
                continue
            recent = self.times.setdefault(user, [])
            while recent and recent[0] <= at - DAY_US:
                recent.pop(0)
            recent.append(at)
            del recent[:-MOST_RANK]
            out[i] = len(recent)
        if len(closed_us):
            self._sweep(int(closed_us[-1]))
        return out

    def recent(self) -> dict[str, list[int]]:
        """The times of the users of the trailing day, by user: all that later ranks depend on."""
        last = max((times[-1] for times in self.times.values()), default=0)
        return {user: times for user, times in sorted(self.times.items()) if times[-1] > last - DAY_US}

    def _sweep(self, now_us: int) -> None:
        if now_us - self.swept_us < DAY_US:
            return
        self.swept_us = now_us
        self.times = {user: recent for user, recent in self.times.items() if recent[-1] > now_us - DAY_US}
