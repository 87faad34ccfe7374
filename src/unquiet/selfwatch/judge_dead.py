"""The model asked for labels does not answer. It raises no alarm, so detection goes on without it."""

from __future__ import annotations

from unquiet.selfwatch.facts import Facts
from unquiet.selfwatch.watch import OK, Seen, Watch, failing, said, unknown

MOST_FAILURES = 3


def check(facts: Facts, now_us: int) -> Seen:
    """The judge answers, or none is configured."""
    del now_us
    judge = facts.judge
    if judge is None:
        return unknown("the judge does not report")
    if not judge.configured or not (judge.stopped or judge.failures >= MOST_FAILURES):
        return OK
    what = "is not asked any more" if judge.stopped else f"failed {judge.failures} times in a row"
    return failing(
        f"the judge {what}{said(judge.error)}",
        "Labels by the judge are missing meanwhile; signals and incidents do not need them. Check its address, key and cost cap.",
    )


WATCH = Watch(
    "judge-dead",
    "warning",
    f"a judge is configured and failed {MOST_FAILURES} times in a row, or was given up (key refused, cost cap)",
    "a judge's state is not reported",
    check,
)
