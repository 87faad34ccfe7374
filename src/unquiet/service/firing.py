"""A drill of the alerts: what a test incident says. It is sent as any test is, and kept nowhere."""

from __future__ import annotations

from collections.abc import Callable

from unquiet.model.alerts import Notice
from unquiet.model.drills import Preset

MARK = "DRILL, nothing is wrong"
SEVERITY = "error"
"""That of an incident: a drill takes the way that an incident takes."""


def drill_notice(preset: Preset, says: str, signal: str) -> Callable[[str, int], Notice]:
    """Makes the notice of a drill from the name of a sink and the present (microseconds since 1970).

    `says` is what the agent would do, as a clause, and `signal` what would show it. Its label `drill` is for routes.
    """

    def made(sink: str, now_us: int) -> Notice:
        key = f"drill/{preset.name}/{now_us}"
        return Notice(
            id=f"{key}/{sink}",
            key=key,
            phase="test",
            severity=SEVERITY,
            at_us=now_us,
            title=f"{MARK}: the agent {says}",
            lines=(
                "This is a drill of unquiet: a test incident that somebody sent by hand. Nothing has to be done.",
                f"drilled: {preset.name}, {preset.title}",
                "It is no incident of unquiet and is not counted as one; a real one would come the same way.",
            ),
            labels={"signal": signal, "drill": preset.name},
            document={"drill": True, "preset": preset.name, "title": preset.title, "failure": preset.failure},
        )

    return made
