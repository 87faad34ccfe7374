"""The wording families an answer hits, as labels: an incident can say which wording moved."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.signals import SessionBatch, SignalInfo, TurnBatch
from unquiet.signals.language import covered
from unquiet.signals.lexicon import lexicon
from unquiet.signals.parts import Labelled, SessionLabelled
from unquiet.signals.text import present
from unquiet.signals.wording import NO_READING, WORDING_VERSION, hits


def _labels(batch: TurnBatch) -> pa.ListArray:
    known = present(batch, "output") & covered(batch)
    found = hits(batch).anywhere & known[:, None]
    offsets = np.concatenate([[0], np.cumsum(found.sum(axis=1))]).astype(np.int32)
    names = pa.array(lexicon().names, pa.string())
    values = names.take(pa.array(np.nonzero(found)[1].astype(np.int64)))
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(~known))


def _by_turn(sessions: SessionBatch) -> pa.ListArray:
    """One text a turn: its families parted by blanks; UNREAD where they cannot read it."""
    joined = pc.fill_null(pc.binary_join(_labels(sessions.turns), " "), UNREAD)
    return pa.ListArray.from_arrays(pa.array(sessions.starts, pa.int32()), joined)


UNREAD = "?"

SESSION_CATEGORIES = (
    SessionLabelled(
        SignalInfo(
            name="wording_by_turn",
            version=WORDING_VERSION,
            kind="category",
            unit="session",
            reduce="none",
            definition=(
                "The wording families that each answer hits, one entry a turn in their order, families parted by blanks; "
                f'"{UNREAD}" for an answer that they cannot read.'
            ),
            phrase_up="words its answers otherwise",
            phrase_down="words its answers otherwise less often",
            needs=("output",),
            alarms=False,
            none_means="Never: an answer that cannot be read has its own entry.",
        ),
        _by_turn,
    ),
)

CATEGORIES = (
    Labelled(
        SignalInfo(
            name="wording",
            version=WORDING_VERSION,
            kind="category",
            unit="turn",
            reduce="none",
            definition="The wording families that the answer hits.",
            phrase_up="words its answers otherwise",
            phrase_down="words its answers otherwise less often",
            needs=("output",),
            alarms=False,
            none_means=NO_READING,
        ),
        _labels,
    ),
)
