"""Intercom: conversations as its API lists and its export writes them.

https://developers.intercom.com/docs/references/rest-api/api.intercom.io/conversations
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
from unquiet.sources.voices.items import items
from unquiet.sources.voices.rows import BadVoiceError, Gathering, Said, joined_text, plain_text, text_or_none

PEOPLE = frozenset({"user", "lead", "contact"})
"""Types of authors that are users; the others are the team and its bots."""

STARS = (1.0, 5.0)


class Intercom:
    """Conversations of Intercom. The user is the first contact: by its external id where it has one."""

    name = "Intercom conversations"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure with what only its conversations have."""
        own = ("conversation_rating", "conversation_parts", "source.author", "source.author.type", "contacts.contacts")
        listed = ("conversations.source", "conversations.source.author", "conversations.source.body")
        return 0.9 if any(each in glimpse.keys for each in (*own, *listed, "conversations")) else 0.0

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """One voice a conversation: what its user wrote first."""
        voices = Gathering("intercom", path, options, report, scale=STARS)
        for page in items(path, options, report, "conversations"):
            for conversation, place in page.items:
                voices.add(place, lambda conversation=conversation: _said(conversation, options.mapping))
        yield from voices.tables()


def _said(conversation: Record, mapping: Mapping[str, str]) -> Said:
    if conversation.get("id") is None:
        raise BadVoiceError("missing id", "the conversation has no id")
    own = conversation.get("custom_attributes") or {}
    known = {**conversation, **own}
    rating = conversation.get("conversation_rating") or {}
    words = _words(conversation)
    if words is None and not rating.get("rating"):
        raise BadVoiceError("nothing said", "no user wrote in the conversation, and nobody rated it")
    return Said(
        time=known.get(mapping.get("time", "created_at")),
        key=conversation["id"],
        text=joined_text(words, text_or_none(rating.get("remark"))),
        user=text_or_none(known.get(mapping["user_id"])) if "user_id" in mapping else _user(conversation),
        session=text_or_none(known.get(mapping["session_id"])) if "session_id" in mapping else None,
        rating=rating.get("rating"),
        facets={**own, "state": conversation.get("state"), "priority": conversation.get("priority")},
    )


def _words(conversation: Record) -> str | None:
    """Subject and body of the user who began it; else the first part that a user wrote."""
    source = conversation.get("source") or {}
    if _is_user(source) and source.get("body"):
        return joined_text(plain_text(source.get("subject")), plain_text(source["body"]))
    parts = (conversation.get("conversation_parts") or {}).get("conversation_parts") or ()
    return next((text for part in parts if _is_user(part) and (text := plain_text(part.get("body")))), None)


def _is_user(part: Mapping[str, Any]) -> bool:
    return (part.get("author") or {}).get("type", "user") in PEOPLE


def _user(conversation: Record) -> str | None:
    contacts = (conversation.get("contacts") or {}).get("contacts") or ()
    author = (conversation.get("source") or {}).get("author") or {}
    theirs = [*contacts, *([author] if author.get("type") in PEOPLE else [])]
    outside = next((each["external_id"] for each in theirs if each.get("external_id")), None)
    return text_or_none(outside) or next((text_or_none(each.get("id")) for each in theirs), None)
