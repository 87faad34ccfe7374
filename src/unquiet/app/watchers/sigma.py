"""The daily 3-sigma rule of dashboards."""

from __future__ import annotations

from unquiet.app.watchers.watching import Heard, Record, Replay, Watch, ends
from unquiet.gap.dashboards import SIGMAS

UNJUDGED = "too little was known to draw a limit"


class ThreeSigma:
    """Rings where a day's value of a panel is far from those of the week before."""

    name = "3 sigma"
    says = f"rings after a day on which a panel of the dashboard is more than {SIGMAS:g} sigma from the mean of the 7 days before"

    def over(self, record: Record) -> Watch | str:  # noqa: ARG002
        """Nothing is learned beforehand: the limits move with the days."""
        return self

    def heard(self, replay: Replay) -> Heard:
        """A rule a panel."""
        return {
            panel.kind.title: ends(panel, panel.fired & panel.judged) if panel.judged.any() else UNJUDGED
            for panel in replay.days.values()
        }
