"""Slack by an incoming webhook.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks

Texts of others are plain text where Slack has it, and escaped elsewhere: they cannot mention, link or format.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from unquiet.alerts.kinds import SinkKind
from unquiet.alerts.options import Options
from unquiet.alerts.posting import TIMEOUT_S, Poster, Reply
from unquiet.alerts.texts import about, headline, lines_of, link, one_line
from unquiet.model.alerts import DeliveryError, Notice

HEADER, SECTION, MESSAGE = 150, 3000, 10_000
"""Characters: Slack's limits of a header and a section, and what we put in a message at most (Slack fails near 13,000)."""

_MARKS = re.compile(r"([*_~`])")
_MENTION = re.compile(r"@")


@dataclass(frozen=True, slots=True)
class Slack:
    """Posts to an incoming webhook, whose address is the secret."""

    name: str
    url: str = field(repr=False)
    poster: Poster

    def send(self, notice: Notice) -> None:
        """Deliver one notice. Slack cannot tell a message that comes again after a lost reply.

        Raises:
            DeliveryError: it was not delivered.
        """
        reply = self.poster.call("POST", self.url, message(notice))
        if not _is_ok(reply):
            said = self.poster.scrubbed(reply.body[:200].decode("utf-8", "replace"))
            raise DeliveryError(
                f'{self.poster.who} answered "{said}" instead of "ok". Check that its url is that of an incoming webhook; it '
                "is not tried again, since it may have been shown.",
                permanent=True,
            )


def message(notice: Notice) -> dict[str, Any]:
    """The message of a notice: header, evidence, and what it is about with a link."""
    head = headline(notice)
    blocks: list[dict[str, Any]] = [{"type": "header", "text": _plain(one_line(head, HEADER))}]
    body = ([head] if len(head) > HEADER else []) + lines_of(notice)
    blocks += [{"type": "section", "text": _plain(text)} for text in _sections(body)]
    page = link(notice, 2800)
    named = escaped(about(notice))
    where = f"<{page.replace('&', '&amp;')}|Open {named}>" if page else named
    told = f"{where} · {escaped(notice.severity)}"
    blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": told, "verbatim": True}]})
    return {
        "text": escaped(f"{head} ({about(notice)})"),
        "mrkdwn": False,
        "link_names": False,
        "parse": "none",
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": blocks,
    }


def escaped(text: str) -> str:
    """A text that mrkdwn shows as it is: no link, no mention, no format.

    https://docs.slack.dev/messaging/formatting-message-text#escaping
    """
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # A word joiner after the sign keeps apart what an old parse mode would take for a mention or a format.
    return _MARKS.sub("\\1\u2060", _MENTION.sub("@\u2060", plain))


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _sections(lines: list[str]) -> list[str]:
    """The lines in texts of at most SECTION characters, of MESSAGE in total."""
    texts: list[str] = []
    size = 0
    for line in lines:
        size += len(line) + 1
        if size > MESSAGE:
            texts.append("(more on the page)")
            break
        if texts and len(texts[-1]) + len(line) < SECTION:
            texts[-1] += f"\n{line}"
        elif line:
            texts.append(line)
    return texts


def _is_ok(reply: Reply) -> bool:
    """Slack says "ok" in letters or, from a workflow, in JSON; those who copy it say one of both."""
    if reply.body.strip().lower() == b"ok":
        return True
    found = reply.json()
    return isinstance(found, dict) and (found.get("ok") is True or found.get("success") is True)


def make(options: Options) -> Slack:
    """A Slack webhook from its options."""
    url = options.secret_url("url")
    secret = url.split("/", 3)[-1]
    timeout_s = options.number("timeout_s", TIMEOUT_S, 0.1, 60.0)
    return Slack(options.name, url, Poster(f"Slack ({options.name})", (url, secret), timeout_s))


KIND = SinkKind("slack", make)
