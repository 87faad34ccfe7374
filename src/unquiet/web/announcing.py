"""Announcements of other tools as changes of ours."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from unquiet.conventions.times import MAX_US, to_us
from unquiet.model.changes import Change
from unquiet.web.asking import Announced, CloudEvent, PagerDutyChange

LONGEST = 200
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Body = Announced | CloudEvent | PagerDutyChange | list[CloudEvent]


class BadMoment(ValueError):
    """A moment that no calendar of ours holds; the text says which."""


def changes_of(body: Body, now_us: int, who: str) -> list[Change]:
    """The changes that a body announces; what has no time of its own happened now. `who` is the source where none is said.

    Raises:
        BadMoment: a time before 1970 or after 9999.
    """
    if isinstance(body, list):
        return [_of_event(event, now_us) for event in body]
    if isinstance(body, CloudEvent):
        return [_of_event(body, now_us)]
    if isinstance(body, PagerDutyChange):
        return [_of_pagerduty(body, now_us)]
    return [Change(_at(body.at, now_us), body.kind, body.before, body.after, body.source or who)]


def _of_event(event: CloudEvent, now_us: int) -> Change:
    said = _texts(event.data)
    after = said.get("to") or said.get("version") or event.subject
    kind = said.get("kind") or event.type
    return Change(_at(event.time, now_us), kind, said.get("from"), after, event.source)


def _of_pagerduty(event: PagerDutyChange, now_us: int) -> Change:
    payload = event.payload
    said = _texts(payload.custom_details)
    after = said.get("to") or said.get("version") or payload.summary[:LONGEST]
    source = payload.source or "PagerDuty change event"
    return Change(_at(payload.timestamp, now_us), said.get("kind") or "release", said.get("from"), after, source)


def _texts(data: object) -> Mapping[str, str]:
    """The fields of an object that are texts, shortened."""
    fields: dict[Any, Any] = data if isinstance(data, dict) else {}
    return {str(key): value[:LONGEST] for key, value in fields.items() if isinstance(value, str) and value}


def _at(moment: datetime | None, now_us: int) -> datetime:
    micros = now_us if moment is None else to_us(moment)[0]
    if not 0 <= micros <= MAX_US:
        raise BadMoment("the time lies before 1970 or after 9999")
    return EPOCH + timedelta(microseconds=micros)
