"""Text does not come any more where it used to: most behaviour signals are blind."""

from __future__ import annotations

from unquiet.selfwatch.facts import Facts
from unquiet.selfwatch.watch import OK, Seen, Watch, failing, listed, unknown


def check(facts: Facts, now_us: int) -> Seen:
    """Every source sends text for the usual share of its turns."""
    del now_us
    if facts.content is None:
        return unknown("the share of turns with text is not reported")
    off = {name: content for name, content in facts.content.items() if content.off}
    if off:
        told = [
            f"{name or 'the source without a name'} ({each.with_text} of the last {each.turns} turns, "
            f"usually {(each.usual or 0.0) * 100:.0f} %)"
            for name, each in off.items()
        ]
        return failing(
            f"text is missing in the traffic of {listed(told)}",
            "Signals that read text see nothing there. Check the exporter's content-capture setting and the last release of the "
            "agent. If it was switched off on purpose, this counts as usual after a week.",
        )
    if any(content.usual is not None for content in facts.content.values()):
        return OK
    return unknown("the usual share of turns with text is not learned yet", "Wait: a few hundred turns are needed.")


WATCH = Watch(
    "content-capture-off",
    "error",
    "the latest turns of a source have text in less than half of the share that is usual for it, with a probability below "
    "1e-6 by chance",
    "no source has sent enough turns to learn from",
    check,
)
