"""PagerDuty by its Events API v2.

https://developer.pagerduty.com/docs/events-api-v2-overview
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from unquiet.alerts.kinds import SinkKind
from unquiet.alerts.options import Options
from unquiet.alerts.posting import TIMEOUT_S, Poster
from unquiet.alerts.texts import about, headline, iso, kind_of, lines_of, link, one_line
from unquiet.model.alerts import DeliveryError, Notice

URL = "https://events.pagerduty.com/v2/enqueue"
SUMMARY, DEDUP_KEY, EVENT_BYTES = 1024, 255, 512_000
"""Characters of a summary and of a dedup key, bytes of a whole event: PagerDuty's limits."""


@dataclass(frozen=True, slots=True)
class PagerDuty:
    """Triggers and resolves by the dedup key, so that a notice that comes again changes nothing."""

    name: str
    url: str
    routing_key: str = field(repr=False)
    source: str
    component: str
    poster: Poster

    def send(self, notice: Notice) -> None:
        """Deliver one notice; a test triggers and resolves.

        Raises:
            DeliveryError: it was not delivered.
        """
        self._enqueue(event(notice, self.routing_key, self.source, self.component))
        if notice.phase == "test":
            self._enqueue(_resolution(notice, self.routing_key))

    def _enqueue(self, payload: Mapping[str, Any]) -> None:
        reply = self.poster.call("POST", self.url, payload)
        found = reply.json()
        if not isinstance(found, dict) or found.get("status") != "success":
            said = self.poster.scrubbed(reply.body[:200].decode("utf-8", "replace"))
            # The dedup key makes it safe to try again.
            raise DeliveryError(f'{self.poster.who} answered "{said}", expected a status of success. Check its url.')


def event(notice: Notice, routing_key: str, source: str, component: str = "") -> dict[str, Any]:
    """The event of a notice: `resolve` for a resolution, else `trigger`; at most EVENT_BYTES as JSON."""
    if notice.phase == "resolved":
        return _resolution(notice, routing_key)
    payload: dict[str, Any] = {
        "summary": headline(notice, SUMMARY) if notice.phase == "test" else one_line(notice.title, SUMMARY),
        "source": source,
        "severity": notice.severity,
        "timestamp": iso(notice.at_us),
        "class": one_line(notice.labels.get("signal") or kind_of(notice), 255),
        "custom_details": {"about": about(notice), "evidence": lines_of(notice), kind_of(notice): notice.document},
    }
    if component:
        payload["component"] = component
    if group := notice.labels.get("slice"):
        payload["group"] = one_line(group, 255)
    found: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": dedup_key(notice),
        "payload": payload,
        "client": "unquiet",
    }
    if page := link(notice):
        found |= {"client_url": page, "links": [{"href": page, "text": f"Open {about(notice)}"}]}
    if len(orjson.dumps(found)) > EVENT_BYTES:
        payload["custom_details"] = {"about": about(notice), "evidence": lines_of(notice)}
    return found


def dedup_key(notice: Notice) -> str:
    """The key of the notice, or its digest where PagerDuty would not take it."""
    key = notice.key
    return (
        key
        if len(key) <= DEDUP_KEY and key.isprintable()
        else hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
    )


def _resolution(notice: Notice, routing_key: str) -> dict[str, Any]:
    return {"routing_key": routing_key, "event_action": "resolve", "dedup_key": dedup_key(notice)}


def make(options: Options) -> PagerDuty:
    """A PagerDuty integration from its options."""
    key = options.secret("routing_key")
    return PagerDuty(
        options.name,
        options.url("url", URL),
        key,
        options.text("source", "unquiet"),
        options.text("component", ""),
        Poster(f"PagerDuty ({options.name})", (key,), options.number("timeout_s", TIMEOUT_S, 0.1, 60.0)),
    )


KIND = SinkKind("pagerduty", make)
