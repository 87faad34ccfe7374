"""Counts as a person writes them."""

from __future__ import annotations


def counted(count: float, noun: str, plural: str = "") -> str:
    """`1 session`, `2 sessions`, `0.5 false incidents`; `plural` where it is not the noun with an s."""
    number = str(count) if isinstance(count, int) else f"{count:g}"
    return f"{number} {noun if count == 1 else plural or noun + 's'}"
