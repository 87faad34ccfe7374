"""An alert cannot be delivered: people would not hear of an incident."""

from __future__ import annotations

from unquiet.selfwatch.facts import Facts, Sink
from unquiet.selfwatch.watch import OK, Seen, Watch, duration, failing, listed, said, unknown

MOST_AGE_S = 90.0
MOST_FAILURES = 3
TRY = "Let the service send a test with `unquiet alerts test --service`, and see that it arrives."


def check(facts: Facts, now_us: int) -> Seen:
    """Every sink takes what is sent to it."""
    del now_us
    if facts.sinks is None:
        return unknown("the delivery of alerts does not report")
    told = [f"{name} {_told(sink)}" for name, sink in facts.sinks.items() if _fails(sink)]
    untried = [name for name, sink in facts.sinks.items() if not sink.tried]
    if not told:
        return unknown(f"nothing was sent to {listed(untried)} yet", TRY) if untried else OK
    return failing(
        f"alerts do not arrive: {listed(told)}",
        "They wait and are sent again by themselves, unless the receiver refused them for good. Check the sink's address and "
        "key, then send a test with `unquiet alerts test`.",
    )


def _fails(sink: Sink) -> bool:
    return sink.permanent or sink.failures >= MOST_FAILURES or (sink.pending > 0 and sink.oldest_s >= MOST_AGE_S)


def _told(sink: Sink) -> str:
    if sink.permanent:
        return f"did not take the last one{said(sink.error)}"
    waiting = f", {sink.pending} waiting for up to {duration(sink.oldest_s)}" if sink.pending else ""
    return f"failed {sink.failures} times in a row{waiting}{said(sink.error)}"


WATCH = Watch(
    "sink-failing",
    "error",
    f"a sink refused an alert for good, failed {MOST_FAILURES} times in a row, or an alert has waited for {MOST_AGE_S:.0f} s",
    "the delivery does not report, or nothing was sent to a sink since the start: neither an alert nor a test",
    check,
)
