"""Prometheus Alertmanager: `POST /api/v2/alerts`. What fires is sent again before Alertmanager takes it for resolved.

https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from unquiet.alerts.kinds import SinkKind
from unquiet.alerts.options import Options
from unquiet.alerts.posting import TIMEOUT_S, Poster
from unquiet.alerts.texts import about, iso, kind_of, lines_of, link, one_line
from unquiet.model.alerts import Notice

PATH = "/api/v2/alerts"
REPEAT_S = 60.0
TEST_S = 120
"""A test alert ends by itself after this: longer than Alertmanager's usual group_wait of 30 s, so that it is told."""

NAMES = {"incident": "UnquietIncident", "condition": "UnquietCondition"}
_BAD = re.compile(r"[^a-zA-Z0-9_]")


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """Posts alerts to one Alertmanager.

    `repeat_s` is how often what fires is sent again; it has to be well below Alertmanager's `resolve_timeout`.
    """

    name: str
    url: str
    poster: Poster
    repeat_s: float = REPEAT_S
    authorization: str | None = field(default=None, repr=False)

    def send(self, notice: Notice) -> None:
        """Deliver one notice; the same again changes nothing at the receiver.

        Raises:
            DeliveryError: it was not delivered.
        """
        headers = {"Authorization": self.authorization} if self.authorization else {}
        self.poster.call("POST", self.url, [alert(notice)], headers)


def alert(notice: Notice) -> dict[str, Any]:
    """The alert of a notice. Its labels are the same in every phase: they are what Alertmanager knows it by."""
    labels = {
        **{label_name(name): one_line(value, 200) for name, value in notice.labels.items()},
        "alertname": NAMES.get(kind_of(notice), "UnquietTest"),
        "severity": notice.severity,
        "key": one_line(notice.key, 300),
    }
    annotations = {
        "summary": one_line(notice.title),
        "description": "\n".join(lines_of(notice)),
        "about": about(notice),
    }
    starts_us = min(_began_us(notice), notice.at_us)
    found: dict[str, Any] = {
        "labels": {name: value for name, value in labels.items() if value},
        "annotations": {name: value for name, value in annotations.items() if value},
        "startsAt": iso(starts_us),
    }
    if notice.phase == "resolved":
        found["endsAt"] = iso(max(notice.at_us, starts_us + 1000))
    if notice.phase == "test":
        found["endsAt"] = iso(notice.at_us + TEST_S * 1_000_000)
    if page := link(notice):
        found["generatorURL"] = page
    return found


def label_name(text: str) -> str:
    """A label name that every version of Prometheus takes: letters, digits, underscores, no digit first."""
    name = _BAD.sub("_", one_line(text, 100))
    return name if re.match(r"[a-zA-Z_]", name) else f"_{name}"


def _began_us(notice: Notice) -> int:
    """When it was raised by its document, the same in all its notices; else when the notice was decided."""
    raised = notice.document.get("raised_at")
    if isinstance(raised, str):
        try:
            return round(datetime.fromisoformat(raised).timestamp() * 1e6)
        except ValueError:
            return notice.at_us
    since = notice.document.get("failing_since_us")
    return since if isinstance(since, int) and since > 0 else notice.at_us


def make(options: Options) -> Alertmanager:
    """An Alertmanager from its options."""
    url = options.url("url", plain=True).rstrip("/")
    token, user, password = (
        options.secret_or_none("token"),
        options.text("user", ""),
        options.secret_or_none("password"),
    )
    if bool(user) != (password is not None) or (user and token):
        options.wrong("user", "give either a token, or a user and a password")
    basic = base64.b64encode(f"{user}:{password}".encode()).decode()
    authorization = f"Bearer {token}" if token else f"Basic {basic}" if user else None
    poster = Poster(
        f"Alertmanager ({options.name})",
        tuple(each for each in (token, password, basic) if each),
        options.number("timeout_s", TIMEOUT_S, 0.1, 60.0),
    )
    target = url if url.endswith(PATH) else url + PATH
    return Alertmanager(options.name, target, poster, options.number("repeat_s", REPEAT_S, 1.0, 3600.0), authorization)


KIND = SinkKind("alertmanager", make)
