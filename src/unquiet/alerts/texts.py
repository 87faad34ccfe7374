"""Texts of others made harmless: one line, bounded, nothing invisible that turns letters around."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import urlsplit

from unquiet.model.alerts import Notice

_TURNING = "\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff"
_INVISIBLE = re.compile(f"[{_TURNING}\ud800-\udfff\ufff9-\ufffb\U000e0000-\U000e007f]")
_BREAKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_UNSAFE_IN_LINK = re.compile(r"""[\s<>|"'`\\\x00-\x1f\x7f-\x9f\ud800-\udfff]""")

TITLE, LINE, LINES = 500, 500, 20
"""What every sink keeps of a notice, at most: characters of the title and of a line, and lines. Longer ones are cut."""

_WORDS = {"opened": "Opened", "updated": "Update", "resolved": "Resolved", "test": "Test"}


def one_line(text: str, limit: int = LINE) -> str:
    """The text in one line of at most `limit` characters, cut with an ellipsis.

    Control characters and line breaks become spaces. Marks that turn the direction of what follows, invisible signs and
    lone surrogates are dropped; right-to-left letters stay.
    """
    # Far longer than any limit is not looked at: a text of megabytes costs no more than a short one.
    plain = _BREAKS.sub(" ", _INVISIBLE.sub("", text[: 8 * limit + 64])).strip()
    return plain if len(plain) <= limit else plain[: limit - 1].rstrip() + "…"


def within_bytes(text: str, limit: int) -> str:
    """The beginning of the text that has at most `limit` bytes in UTF-8."""
    return text.encode("utf-8", "ignore")[:limit].decode("utf-8", "ignore")


def headline(notice: Notice, limit: int = TITLE) -> str:
    """`Resolved: ` and the title, in one line."""
    return one_line(f"{_WORDS[notice.phase]}: {notice.title}", limit)


def about(notice: Notice) -> str:
    """What the notice is about: `incident 20260310-04bef7`, `condition disk-nearly-full`."""
    kind, _, name = notice.key.partition("/")
    return one_line(f"{kind} {name}", 120)


def kind_of(notice: Notice) -> str:
    """The first part of the key: incident, condition or test."""
    return notice.key.partition("/")[0]


def lines_of(notice: Notice) -> list[str]:
    """The evidence in lines, bounded; it says so where lines were left out."""
    kept = [one_line(line) for line in notice.lines[:LINES]]
    left = len(notice.lines) - LINES
    return [*kept, f"({left} more lines)"] if left > 0 else kept


def link(notice: Notice, limit: int = 2000) -> str | None:
    """The address of the page if it is one that may be shown as a link: http or https, nothing in it that ends it early."""
    url = notice.url
    if not url or len(url) > limit or _UNSAFE_IN_LINK.search(url):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.hostname else None


def iso(us: int) -> str:
    """Microseconds since 1970 as RFC 3339 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(us // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{us % 1_000_000 // 1000:03d}Z"
