"""Webhook: one CloudEvent (1.0.2, structured JSON) a notice, signed where a secret is given.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Any

import orjson

from unquiet.alerts.kinds import SinkKind
from unquiet.alerts.options import Options
from unquiet.alerts.posting import TIMEOUT_S, Poster
from unquiet.alerts.texts import headline, iso, kind_of, lines_of, link, one_line
from unquiet.model.alerts import Notice

TYPES = "dev.unquiet"
CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
SIGNATURE = "X-Unquiet-Signature-256"


@dataclass(frozen=True, slots=True)
class Webhook:
    """Posts to `url`. `source` and the notice's id name an event: a receiver that saw both before may drop it.

    With `key`, the header `X-Unquiet-Signature-256` is `sha256=` and the HMAC-SHA256 of the body in hex.
    """

    name: str
    url: str = field(repr=False)
    source: str
    poster: Poster
    key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    def send(self, notice: Notice) -> None:
        """Deliver one notice.

        Raises:
            DeliveryError: it was not delivered.
        """
        body = orjson.dumps(event(notice, self.source))
        headers = {"Content-Type": CONTENT_TYPE}
        if self.key is not None:
            headers[SIGNATURE] = signature(self.key, body)
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        self.poster.call("POST", self.url, body, headers)


def event(notice: Notice, source: str) -> dict[str, Any]:
    """The CloudEvent of a notice."""
    kind = kind_of(notice)
    data: dict[str, Any] = {
        "key": notice.key,
        "phase": notice.phase,
        "severity": notice.severity,
        "title": one_line(notice.title, 2000),
        "headline": headline(notice),
        "lines": lines_of(notice),
        "url": link(notice),
        "labels": {one_line(name, 100): one_line(value) for name, value in notice.labels.items()},
    }
    if notice.document:
        data[kind] = dict(notice.document)
    return {
        "specversion": "1.0",
        "id": notice.id,
        "source": source,
        "type": f"{TYPES}.test" if notice.phase == "test" else f"{TYPES}.{kind}.{notice.phase}",
        "subject": notice.key,
        "time": iso(notice.at_us),
        "datacontenttype": "application/json",
        "data": data,
    }


def signature(key: str, body: bytes) -> str:
    """`sha256=` and the HMAC-SHA256 of the body in hex."""
    return "sha256=" + hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def make(options: Options) -> Webhook:
    """A webhook from its options."""
    url = options.secret_url("url", literal=True, plain=True)
    source = options.text("source", "unquiet")
    if not source.isascii() or " " in source:
        options.wrong("source", "expected the name of this unquiet as a URI, such as https://unquiet.example")
    key, token = options.secret_or_none("secret"), options.secret_or_none("token")
    hidden = tuple(each for each in (key, token, _beyond_origin(url)) if each)
    poster = Poster(f"webhook {options.name}", hidden, options.number("timeout_s", TIMEOUT_S, 0.1, 60.0))
    return Webhook(options.name, url, source, poster, key, token)


def _beyond_origin(url: str) -> str:
    """The part of an address in which keys are put."""
    path = url.split("/", 3)[3:]
    return path[0] if path and len(path[0]) > 8 else ""


KIND = SinkKind("webhook", make)
