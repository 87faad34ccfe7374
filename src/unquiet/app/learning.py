"""Why nothing was judged: what the learning period still needs."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from unquiet.model.wording import counted
from unquiet.pipeline.judging import Judge
from unquiet.store import Store

SHARE = 0.6
"""Part of a short record that is suggested for learning: the rest is left to be judged."""

SHORTEST_DAYS = 0.5


def still_learning(judge: Judge) -> str:
    """What a service says while it learns: how far it is, until when at the earliest, and what can be done."""
    settings, first_us = judge.settings, judge.first_us
    learn, least = settings.learn / timedelta(days=1), settings.least_sessions
    if first_us is None:
        said = f"learning needs {counted(learn, 'day')} from the first turn on and {counted(least, 'finished session')}"
    else:
        until = datetime.fromtimestamp(first_us / 1e6, UTC) + settings.learn
        said = (
            f"learning lasts until {until:%a %d %b %H:%M} UTC at the earliest, and until {counted(least, 'session')} are "
            f"finished ({judge.session_count} are)"
        )
    return (
        f"nothing is judged yet: {said}. To learn from history instead, stop the service and `unquiet scan` older traffic into "
        "its folder."
    )


def not_judged(judge: Judge, store: Store) -> str:
    """What the files hold, what learning needs, and what to do."""
    extent, settings = store.turn_extent(), judge.settings
    learn = settings.learn / timedelta(days=1)
    days = (extent.last - extent.first) / timedelta(days=1) if extent.first and extent.last else 0.0
    shown = math.floor(10 * days) / 10 if days < learn <= round(days, 1) else round(days, 1)
    shorter = max(SHORTEST_DAYS, math.floor(SHARE * round(days, 1)))
    enough = judge.session_count >= settings.least_sessions and shorter < min(days, learn)
    todo = f", or shorten it with --learn-days {shorter:g}" if enough else ""
    return (
        f"nothing was judged: the files cover {counted(shown, 'day')} and {counted(judge.session_count, 'finished session')}; "
        f"learning needs {counted(learn, 'day')} and {counted(settings.least_sessions, 'session')}. Add older files{todo}."
    )
