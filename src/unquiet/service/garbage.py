"""How often a process of the service looks for garbage cycles.

Traffic is hundreds of thousands of small objects that live for some seconds and hold no cycles. As Python sets it, the search
goes through all of them again and again: a sixth of the time of the drain.
"""

from __future__ import annotations

import gc

NEW_OBJECTS, YOUNG_SEARCHES, MIDDLE_SEARCHES = 100_000, 10, 10
"""Objects between two searches of the youngest (Python has 700), and how many searches before the next older ones are included."""


def search_seldom() -> None:
    """Look for cycles seldom, in the whole process. What is in no cycle is freed at once as before."""
    gc.set_threshold(NEW_OBJECTS, YOUNG_SEARCHES, MIDDLE_SEARCHES)
