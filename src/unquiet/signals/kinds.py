"""The wording families an answer hits, as labels: an incident can say which wording moved."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from unquiet.model.signals import SignalInfo, TurnBatch
from unquiet.signals.language import covered
from unquiet.signals.lexicon import lexicon
from unquiet.signals.parts import Labelled
from unquiet.signals.text import present
from unquiet.signals.wording import WORDING_VERSION, hits


def _labels(batch: TurnBatch) -> pa.ListArray:
    known = present(batch, "output") & covered(batch)
    found = hits(batch).anywhere & known[:, None]
    offsets = np.concatenate([[0], np.cumsum(found.sum(axis=1))]).astype(np.int32)
    names = pa.array(lexicon().names, pa.string())
    values = names.take(pa.array(np.nonzero(found)[1].astype(np.int64)))
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(~known))


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
            none_means="The answer was not recorded, or is in a language without wording families.",
        ),
        _labels,
    ),
)
