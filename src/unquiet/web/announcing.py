"""Announcements of other tools as changes of ours."""

from __future__ import annotations

from collections.abc import Sequence

from unquiet.model.changes import Change
from unquiet.sources.changes import NoChange, event_change, moment, pagerduty_change
from unquiet.web.asking import Announced, CloudEvent, PagerDutyChange

Body = Announced | CloudEvent | PagerDutyChange | list[CloudEvent]


class BadAnnouncement(ValueError):
    """A body that is well-formed and says nothing that can be kept, such as a time before 1970; the text says what."""


def changes_of(body: Body, now_us: int, who: str) -> list[Change]:
    """The changes that a body announces; what has no time of its own happened now. `who` is the source where none is said.

    Events that change nothing that runs announce nothing.

    Raises:
        BadAnnouncement: a time before 1970 or after 9999, or a scope of another form.
    """
    try:
        if isinstance(body, Announced):
            at, scope = moment(body.at, now_us), tuple(sorted((body.scope or {}).items()))
            return [Change(at, body.kind, body.before, body.after, body.source or who, scope, body.id)]
        if isinstance(body, PagerDutyChange):
            return [pagerduty_change(body.model_dump(), now_us)]
        return _of_events(body if isinstance(body, list) else [body], now_us)
    except ValueError as error:
        raise BadAnnouncement(str(error)) from error


def _of_events(events: Sequence[CloudEvent], now_us: int) -> list[Change]:
    found: list[Change] = []
    for event in events:
        try:
            found.append(event_change(event.model_dump(), now_us))
        except NoChange:
            continue
    return found
