"""Zendesk: the incremental export of tickets, its pages as they are, or one ticket a line.

https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from unquiet.model.rejections import ReadReport
from unquiet.sources.glimpse import Glimpse
from unquiet.sources.json_records import Record
from unquiet.sources.protocol import ReadOptions
from unquiet.sources.voices.items import Items, items
from unquiet.sources.voices.rows import BadVoiceError, Gathering, Said, joined_text, text_or_none

FACETS = ("status", "priority", "type", "brand_id", "group_id", "organization_id")


class Zendesk:
    """Tickets of Zendesk. The user is the requester: the external id where users are exported with them."""

    name = "Zendesk tickets"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure with the list of tickets and the end of a stream, or with what only its tickets have."""
        paged = "tickets" in glimpse.keys and any(
            each in glimpse.keys for each in ("end_of_stream", "end_time", "next_page")
        )
        one = glimpse.has("requester_id", "created_at") and any(
            each in glimpse.keys for each in ("via", "via.channel", "satisfaction_rating", "generated_timestamp")
        )
        return 0.9 if paged or one or glimpse.has("tickets.requester_id") else 0.0

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """One voice a ticket: its subject and what its requester wrote first."""
        voices = Gathering("zendesk", path, options, report, scale=(0.0, 1.0))
        for page in items(path, options, report, "tickets"):
            people = _people(page)
            if page.whole.get("end_of_stream") is False and not page.whole.get("next_page"):
                report.notes.append(f"{path}: the export ends before the stream did (end_of_stream is false)")
            for ticket, place in page.items:
                voices.add(place, lambda ticket=ticket, people=people: _said(ticket, people, options.mapping))
        yield from voices.tables()


def _people(page: Items) -> dict[Any, str]:
    """What users are called outside of Zendesk, for those that the page tells of."""
    users = page.whole.get("users")
    told = [user for user in users if isinstance(user, dict)] if isinstance(users, list) else []
    return {user.get("id"): str(user["external_id"]) for user in told if user.get("external_id")}


def _said(ticket: Record, people: Mapping[Any, str], mapping: Mapping[str, str]) -> Said:
    if ticket.get("status") == "deleted":
        raise BadVoiceError("deleted ticket", "the ticket was deleted: its text is gone")
    if ticket.get("id") is None:
        raise BadVoiceError("missing id", "the ticket has no id")
    fields = {f"custom_field_{each['id']}": each.get("value") for each in ticket.get("custom_fields") or ()}
    known = {**ticket, **fields}
    requester = ticket.get("requester_id")
    rating = ticket.get("satisfaction_rating")
    score = rating.get("score") if isinstance(rating, dict) else rating
    via = ticket.get("via")
    facets = {name: ticket.get(name) for name in FACETS} | fields
    facets["channel"] = via.get("channel") if isinstance(via, dict) else None
    tags = ticket.get("tags")
    facets["tags"] = ",".join(map(str, tags)) if isinstance(tags, list) else None
    return Said(
        time=known.get(mapping.get("time", "created_at")),
        key=ticket["id"],
        text=joined_text(text_or_none(ticket.get("subject")), _words(ticket, requester)),
        user=text_or_none(known.get(mapping["user_id"])) if "user_id" in mapping else _user(people, requester),
        session=text_or_none(known.get(mapping["session_id"])) if "session_id" in mapping else None,
        rating=score,
        facets=facets,
    )


def _user(people: Mapping[Any, str], requester: Any) -> str | None:
    return people.get(requester) or text_or_none(requester)


def _words(ticket: Record, requester: Any) -> str | None:
    """The description; where it is missing, the first comment of the requester."""
    if ticket.get("description"):
        return str(ticket["description"])
    theirs = [each for each in ticket.get("comments") or () if each.get("author_id") in (None, requester)]
    first = next((each for each in theirs if each.get("body") or each.get("plain_body")), None)
    return None if first is None else str(first.get("plain_body") or first["body"])
