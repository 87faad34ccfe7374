"""Counts and sizes as a person writes them."""

from __future__ import annotations


def sized(size_bytes: int) -> str:
    """`512 bytes`, `12 KiB`, `3.4 MiB`."""
    if size_bytes < 1 << 10:
        return counted(size_bytes, "byte")
    return f"{size_bytes / 2**10:.0f} KiB" if size_bytes < 1 << 20 else f"{size_bytes / 2**20:.1f} MiB"


def counted(count: float, noun: str, plural: str = "") -> str:
    """`1 session`, `2 sessions`, `0.5 false incidents`; `plural` where it is not the noun with an s."""
    number = str(count) if isinstance(count, int) else f"{count:g}"
    return f"{number} {noun if count == 1 else plural or noun + 's'}"


def percent(rate: float) -> str:
    """A rate as a person writes it."""
    value = 100.0 * rate
    return f"{value:.1f} %" if value < 10 and round(value, 1) != round(value) else f"{value:.0f} %"


def in_percent(share: float) -> str:
    """A share from 0 to 1 in whole percent: `68 %`."""
    return f"{100.0 * share:.0f} %"
