"""Lines of versions: what a change replaced, where only what came is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from unquiet.model.changes import Change


def chained(changes: Sequence[Change], line_of: Callable[[Change], str]) -> list[Change]:
    """The changes in order of time, each with what the last one of its line brought as `before`."""
    last: dict[str, str | None] = {}
    done: list[Change] = []
    for change in sorted(changes, key=lambda change: change.at):
        line = line_of(change)
        done.append(replace(change, before=last.get(line)))
        last[line] = change.after
    return done
