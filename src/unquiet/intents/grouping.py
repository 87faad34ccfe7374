"""Requests with new keys, grouped into kinds: keys that come together belong together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

LEAST_SESSIONS = 3
LEAST_SHARE = 0.15
"""A kind has at least so many of the requests that are grouped, and this share of them."""

TOGETHER = 0.5
"""A key belongs to a kind if at least this share of the requests that have it are of that kind."""

MOST_KINDS = 8


def grouped(requests: Sequence[Sequence[str]]) -> list[list[str]]:
    """The keys of each kind, the largest kind first: around the commonest key, then around what is left.

    Greedy leader clustering (Hartigan 1975) of sets of keys; ties go to the key that comes first in the alphabet.
    """
    every = Counter(key for keys in requests for key in set(keys))
    left = [set(keys) for keys in requests if keys]
    least = max(LEAST_SESSIONS, LEAST_SHARE * len(left))
    kinds: list[list[str]] = []
    taken: set[str] = set()
    while left and len(kinds) < MOST_KINDS:
        counts = Counter(key for keys in left for key in keys if key not in taken)
        leader, count = min(counts.items(), key=lambda item: (-item[1], item[0]), default=("", 0))
        if count < least:
            break
        kind = {leader}
        for _ in range(2):
            inside = Counter(key for keys in left if keys & kind for key in keys - taken)
            kind |= {key for key, n in inside.items() if n >= TOGETHER * every[key]}
        kinds.append(sorted(kind))
        taken |= kind
        left = [keys for keys in left if not keys & kind]
    return kinds


def joining(requests: Sequence[Sequence[str]], kind_of: Mapping[str, int]) -> dict[str, int]:
    """Recurring keys without a kind that mostly come in requests of one: key to kind."""
    every: Counter[str] = Counter()
    inside: Counter[tuple[str, int]] = Counter()
    for keys in requests:
        kinds = {kind_of[key] for key in keys if key in kind_of}
        for key in set(keys) - kind_of.keys():
            every[key] += 1
            inside.update((key, kind) for kind in kinds)
    found: dict[str, int] = {}
    for (key, kind), count in sorted(inside.items()):
        if every[key] >= LEAST_SESSIONS and count >= TOGETHER * every[key]:
            found.setdefault(key, kind)
    return found
