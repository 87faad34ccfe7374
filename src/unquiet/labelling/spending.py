"""What a judge has cost and may cost: a call that could go beyond the cap is not made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PER_MESSAGE_TOKENS = 32
"""Tokens that a chat template adds to a message, at most."""

MILLION = 1e6


@dataclass(slots=True)
class Spending:
    """Prices in US dollars per million tokens, and what was spent, in US dollars. `cap_usd` None: no cap."""

    price_in: float
    price_out: float
    cap_usd: float | None
    spent_usd: float = 0.0

    def worst_usd(self, messages: Sequence[Mapping[str, str]], answer_tokens: int) -> float:
        """The most that a call can cost: a token holds at least one byte of UTF-8, and the answer is as long as allowed."""
        tokens = sum(len(each["content"].encode("utf-8", "replace")) + PER_MESSAGE_TOKENS for each in messages)
        return (tokens * self.price_in + answer_tokens * self.price_out) / MILLION

    def allows(self, usd: float) -> bool:
        """Whether so much more stays within the cap."""
        return self.cap_usd is None or self.spent_usd + usd <= self.cap_usd

    def add(self, usage: object, worst_usd: float) -> None:
        """Count a call by the tokens that it reports; by the most that it can have cost where it reports none."""
        known: Mapping[str, object] = usage if isinstance(usage, dict) else {}
        counts = [known.get(name) for name in ("prompt_tokens", "completion_tokens")]
        told = [count for count in counts if isinstance(count, int) and not isinstance(count, bool) and count >= 0]
        if len(told) == len(counts):
            self.spent_usd += (told[0] * self.price_in + told[1] * self.price_out) / MILLION
        else:
            self.spent_usd += worst_usd
