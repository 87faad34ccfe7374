"""Discourse: the posts of a forum, as a topic or the list of latest posts shows them in JSON.

https://docs.discourse.org/
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from unquiet.model.rejections import ReadReport
from unquiet.model.voices import POST
from unquiet.sources.glimpse import Glimpse
from unquiet.sources.json_records import Record
from unquiet.sources.protocol import ReadOptions
from unquiet.sources.voices.items import items
from unquiet.sources.voices.rows import BadVoiceError, Gathering, Said, plain_text, text_or_none


class Discourse:
    """Posts of a Discourse forum."""

    name = "Discourse posts"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure with the stream of a topic, or with the rendered text of posts."""
        rendered = ("latest_posts.cooked", "cooked", "latest_posts")
        return 0.9 if "post_stream" in glimpse.keys or any(each in glimpse.keys for each in rendered) else 0.0

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """One voice a post; what the forum itself writes about moves and closings is left out, and counted."""
        voices = Gathering("discourse", path, options, report)
        for page in items(path, options, report, "latest_posts", "post_stream"):
            for post, place in page.items:
                voices.add(place, lambda post=post: _said(post))
        yield from voices.tables()


def _said(post: Record) -> Said:
    if post.get("post_type") not in (None, 1):
        raise BadVoiceError("no post of a person", "the forum wrote this itself, or it is a whisper of its staff")
    if post.get("id") is None:
        raise BadVoiceError("missing id", "the post has no id")
    return Said(
        time=post.get("created_at"),
        key=post["id"],
        kind=POST,
        text=text_or_none(post.get("raw")) or plain_text(post.get("cooked")),
        user=text_or_none(post.get("username")),
        facets={name: post.get(name) for name in ("topic_id", "category_id", "topic_slug")},
    )
