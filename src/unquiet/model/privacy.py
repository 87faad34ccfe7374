"""What a user may say about privacy: what is made unreadable before it reaches a disk, and whose content is taken at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ALWAYS = ("email", "phone", "card", "iban", "key")
"""The built-in patterns that are on unless told otherwise; `ip` is there too, and off."""


@dataclass(frozen=True, slots=True)
class PrivacySettings:
    """Settings of the cleaning of traffic.

    `redact` names built-in patterns, `custom` maps names of further ones to regular expressions (RE2 syntax); what they
    match becomes `[name]`. `hash_users` says whether user ids are replaced by keyed hashes. `content` tells of single
    sources (the names of their tokens) whether prompts, answers, tool arguments and tool results are taken; of all others
    `content_by_default` tells.
    """

    redact: tuple[str, ...] = ALWAYS
    custom: Mapping[str, str] = field(default_factory=dict[str, str])
    hash_users: bool = True
    content: Mapping[str, bool] = field(default_factory=dict[str, bool])
    content_by_default: bool = True

    def content_of(self, source: str) -> bool:
        """Whether the content of a source is taken."""
        return self.content.get(source, self.content_by_default)
