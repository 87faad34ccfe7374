"""Ratings: stars, scores and thumbs on one scale from 0 (worst) to 1 (best)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

GOOD, BAD = 1.0, 0.0
WORDS: Mapping[str, float] = {
    "up": GOOD, "thumbs_up": GOOD, "thumbs up": GOOD, "thumbsup": GOOD, "+1": GOOD, "\N{THUMBS UP SIGN}": GOOD,
    "good": GOOD, "positive": GOOD, "like": GOOD, "liked": GOOD, "yes": GOOD, "true": GOOD, "satisfied": GOOD,
    "down": BAD, "thumbs_down": BAD, "thumbs down": BAD, "thumbsdown": BAD, "-1": BAD, "\N{THUMBS DOWN SIGN}": BAD,
    "bad": BAD, "negative": BAD, "dislike": BAD, "disliked": BAD, "no": BAD, "false": BAD, "dissatisfied": BAD,
}  # fmt: skip
"""What buttons are called. `+1` and `-1` as texts are thumbs; as numbers they lie on a scale."""

NO_ANSWER = frozenset({"", "offered", "unoffered", "none", "null", "n/a"})
"""What stands where nobody rated."""

SCALES = ((1.0, (0.0, 1.0)), (5.0, (1.0, 5.0)), (10.0, (1.0, 10.0)), (100.0, (0.0, 100.0)))
"""The usual scales by the highest value that they have; a 0 on one that begins at 1 shows that it begins at 0."""

_THUMB = 2000.0
"""Added to the value of a word, so that it is told from a number: a word needs no scale."""


class BadRatingError(ValueError):
    """A value that is no rating."""


def value_of(rating: Any) -> float | None:
    """The number of a rating on the scale of its export, beyond every scale for a word; None where nobody rated.

    Raises:
        BadRatingError: neither a number nor a word that is known.
    """
    if rating is None:
        return None
    if isinstance(rating, bool):
        return _THUMB + (GOOD if rating else BAD)
    if isinstance(rating, int | float):
        if math.isnan(rating):
            return None
        return _number(float(rating))
    if not isinstance(rating, str):
        raise BadRatingError(f"the rating is a {type(rating).__name__}; a number or a word such as good is needed")
    word = rating.strip().lower()
    if word in NO_ANSWER:
        return None
    if word in WORDS:
        return _THUMB + WORDS[word]
    try:
        return _number(float(word))
    except ValueError:
        raise BadRatingError(f"the rating is {rating[:40]!r}; a number or a word such as good is needed") from None


def _number(value: float) -> float:
    if not -1000.0 <= value <= 1000.0:
        raise BadRatingError(f"the rating is {value:g}; expected a number from -1000 to 1000")
    return value


def found_scale(values: Sequence[float]) -> tuple[float, float] | None:
    """The scale on which all numbers lie, words left out; None where there is no number, or no usual scale holds them."""
    numbers = [value for value in values if value < _THUMB]
    if not numbers:
        return None
    lowest, highest = min(numbers), max(numbers)
    if lowest < 0:
        return (-1.0, 1.0) if lowest >= -1.0 and highest <= 1.0 else None
    found = next((scale for most, scale in SCALES if highest <= most), None)
    return None if found is None else (min(found[0], lowest), found[1])


def scaled(value: float, scale: tuple[float, float] | None) -> float:
    """A value of `value_of` between 0 and 1.

    Raises:
        BadRatingError: it lies off the scale, or there is none.
    """
    if value >= _THUMB:
        return value - _THUMB
    if scale is None:
        raise BadRatingError(f"the rating {value:g} lies on no usual scale; give it with --scale LOW:HIGH")
    low, high = scale
    if not low <= value <= high:
        raise BadRatingError(f"the rating {value:g} lies off the scale {low:g} to {high:g}")
    return (value - low) / (high - low)
