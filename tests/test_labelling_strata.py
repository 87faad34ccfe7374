"""The order of the queue: shares of the strata, and inside each a random order that stays."""

from __future__ import annotations

import numpy as np
import pytest

from unquiet.labelling.strata import OF_FLAG, OF_SCORE, ranks, strata_of, stratum_index, turn_to
from unquiet.pipeline.measuring import signal_infos


def test_scores_fall_into_the_strata_that_their_names_say() -> None:
    scores = np.array([0.0, 0.2499, 0.25, 0.4999, 0.5, 0.74, 0.75, 1.0, np.nan])
    assert stratum_index(scores, OF_SCORE).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, -1]
    assert stratum_index(np.array([0.0, 1.0, np.nan]), OF_FLAG).tolist() == [0, 1, -1]
    assert [stratum.flagged for stratum in OF_SCORE] == [False, False, True, True]


def test_only_yes_or_no_has_strata() -> None:
    for info in signal_infos():
        if info.kind in ("flag", "score"):
            assert sum(stratum.share for stratum in strata_of(info)) == pytest.approx(1.0)
        else:
            with pytest.raises(ValueError, match="only a flag or a score"):
                strata_of(info)


def test_ranks_are_uniform_and_stay() -> None:
    """Kolmogorov's statistic of 20,000 uniform numbers is above 1.95 / sqrt(n) one time in a thousand."""
    ids = [f"turn-{number}" for number in range(20_000)]
    found = ranks(ids, "refusal", 7)
    order = np.sort(found)
    assert np.abs(order - np.arange(1, 20_001) / 20_000).max() < 1.95 / 20_000**0.5
    assert (found == ranks(ids, "refusal", 7)).all()
    for other in (ranks(ids, "refusal", 8), ranks(ids, "hedging", 7)):
        assert abs(np.corrcoef(found, other)[0, 1]) < 4 / 20_000**0.5


def served(count: int, sizes: list[int]) -> list[int]:
    taken = [0] * len(sizes)
    for _ in range(count):
        index = turn_to(taken, [t < s for t, s in zip(taken, sizes, strict=True)], OF_SCORE)
        if index is None:
            break
        taken[index] += 1
    return taken


def test_strata_get_their_shares_those_near_the_threshold_first() -> None:
    first = turn_to([0, 0, 0, 0], [True] * 4, OF_SCORE)
    assert first is not None
    assert OF_SCORE[first].name.startswith("near")
    assert served(4, [100] * 4) == [1, 1, 1, 1]
    assert served(100, [100] * 4) == [40, 20, 20, 20]
    assert served(100, [100, 3, 0, 100]) == [65, 3, 0, 32], "what a small stratum cannot take goes to the others"
    assert served(100, [5, 1, 0, 2]) == [5, 1, 0, 2]
