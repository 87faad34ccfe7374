"""A door that takes nothing in any more: its thread died, or it hangs."""

from __future__ import annotations

from unquiet.selfwatch.facts import Facts
from unquiet.selfwatch.watch import OK, Seen, Watch, duration, failing, listed, unknown

MOST_AGE_S = 30.0


def check(facts: Facts, now_us: int) -> Seen:
    """Every door gave a sign of life."""
    del now_us
    if not facts.door_age_s:
        return unknown("no door reports")
    ages = {name: age for name, age in facts.door_age_s.items() if age is not None}
    dead = {name: age for name, age in ages.items() if age >= MOST_AGE_S}
    if dead:
        return failing(
            f"no sign of life from {listed(dead)} for {duration(max(dead.values()))}",
            "Traffic sent there is not taken in. Look into the log for the door's error, then restart the service; "
            "exporters send again what was not acknowledged.",
        )
    silent = facts.door_age_s.keys() - ages.keys()
    return unknown(f"{listed(silent)}: no sign of life yet") if silent else OK


WATCH = Watch(
    "door-dead",
    "critical",
    f"a door has given no sign of life for {MOST_AGE_S:.0f} s",
    "a door has not reported since the start",
    check,
)
