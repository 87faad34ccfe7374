"""Freshdesk: tickets as its API lists them and as the export of an account wraps them.

https://developers.freshdesk.com/api/#tickets
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from unquiet.model.rejections import ReadReport
from unquiet.sources.glimpse import Glimpse
from unquiet.sources.json_records import Record
from unquiet.sources.protocol import ReadOptions
from unquiet.sources.voices.items import items
from unquiet.sources.voices.rows import BadVoiceError, Gathering, Said, joined_text, plain_text, text_or_none

WRAPPED = "helpdesk_ticket"
FACETS = ("status", "priority", "source", "type", "product_id", "group_id", "company_id")
OWN = ("description_text", "fr_escalated", "fr_due_by", "display_id")
"""What tickets of Freshdesk have and those of others do not."""


class Freshdesk:
    """Tickets of Freshdesk. The user is the requester."""

    name = "Freshdesk tickets"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure with the wrapped ticket of an export, or with what only its tickets have."""
        own = any(each in glimpse.keys for each in OWN) and "requester_id" in glimpse.keys
        inside = any(f"tickets.{each}" in glimpse.keys for each in OWN)
        return 0.95 if WRAPPED in glimpse.keys or own or inside else 0.0

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """One voice a ticket: its subject and description."""
        voices = Gathering("freshdesk", path, options, report)
        for page in items(path, options, report, "tickets"):
            for ticket, place in page.items:
                voices.add(place, lambda ticket=ticket: _said(ticket.get(WRAPPED, ticket), options.mapping))
        yield from voices.tables()


def _said(ticket: Record, mapping: Mapping[str, str]) -> Said:
    if ticket.get("id") is None:
        raise BadVoiceError("missing id", "the ticket has no id")
    for flag in ("spam", "deleted"):
        if ticket.get(flag) is True:
            raise BadVoiceError(f"{flag} ticket", f"the ticket is marked as {flag}")
    own = ticket.get("custom_fields") or ticket.get("custom_field") or {}
    known = {**ticket, **own}
    requester = ticket.get("requester") or {}
    user = known.get(mapping["user_id"]) if "user_id" in mapping else None
    outside = requester.get("unique_external_id")
    return Said(
        time=known.get(mapping.get("time", "created_at")),
        key=ticket["id"],
        text=joined_text(text_or_none(ticket.get("subject")), _words(ticket)),
        user=text_or_none(user) or text_or_none(outside) or text_or_none(ticket.get("requester_id")),
        session=text_or_none(known.get(mapping["session_id"])) if "session_id" in mapping else None,
        facets={**{name: ticket.get(name) for name in FACETS}, **own},
    )


def _words(ticket: Record) -> str | None:
    return text_or_none(ticket.get("description_text")) or plain_text(ticket.get("description"))
