"""A judgement that has learned: the one that a folder keeps, or one of recorded turns. Nothing is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa

from unquiet.app.replaying import STATE
from unquiet.app.texts import StoredTexts
from unquiet.model.errors import StoreError
from unquiet.model.settings import Settings
from unquiet.pipeline.judging import DAY_US, Judge
from unquiet.pipeline.saving import load, settings_of
from unquiet.store import Store

Progress = Callable[[str, float], None]


def judge_of_folder(store: Store, budget: float | None = None) -> Judge:
    """The judgement that a folder keeps; as if its alarm budget were `budget`, in false incidents per 30 days, where that is given.

    Raises:
        StoreError: none is kept that this version can read.
    """
    data = store.load_state(STATE)
    settings = settings_of(data) if data is not None else None
    judge = load(data, settings, StoredTexts(store)) if data is not None and settings is not None else None
    if judge is None or judge.watch is None:
        raise StoreError(
            "the folder keeps no judgement that this version can go on with: nothing was judged in it, or by another version. "
            "Scan it again, or name recorded traffic with --traffic."
        )
    if budget is not None:
        factor = budget / judge.settings.budget
        judge.settings = replace(judge.settings, budget=budget)
        judge.watch.share = judge.watch.share * factor
        judge.watch.frozen_share = judge.watch.frozen_share * factor
    return judge


def judge_of_turns(turns: pa.Table, settings: Settings, progress: Progress) -> Judge:
    """A judgement of recorded turns, as production would have made it."""
    turns = turns.sort_by([("time", "ascending"), ("turn_id", "ascending")]).combine_chunks()
    at = turns.column("time").cast(pa.int64()).to_numpy()
    judge = Judge(settings)
    days = range(int(at[0] // DAY_US), int(at[-1] // DAY_US) + 1) if len(at) else range(0)
    for number, day in enumerate(days):
        progress("judging the record", number / len(days))
        low, high = np.searchsorted(at, [day * DAY_US, (day + 1) * DAY_US]).tolist()
        judge.push(turns.slice(low, high - low), (day + 1) * DAY_US - 1)
    return judge
