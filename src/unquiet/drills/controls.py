"""Harmless changes: an incident for one of them is a false alarm."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.drills.dosing import choose_slice, facet_values, sessions_of
from unquiet.drills.editing import set_column
from unquiet.model.drills import Before

MINUTE_US = 60_000_000
VERSION = "drill.version"


class _Control:
    control = True
    signals: tuple[str, ...] = ()


class MixShift(_Control):
    """One kind of request becomes a larger part of the traffic; everything is answered as before."""

    name = "mix_shift"
    says = "(harmless) one kind of request becomes a larger part of the traffic"

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:
        """Of the sessions that are met only those of one facet value stay."""
        where = choose_slice(before.turns, 0.2, rng)
        stay = np.ones(turns.num_rows, bool)
        for facet, value in where.conditions:
            stay &= facet_values(turns, facet) == value
        codes, _, firsts = sessions_of(turns)
        return turns.filter(pa.array(stay[firsts][codes])) if turns.num_rows else turns


class VolumeSurge(_Control):
    """More of the same sessions, by more users."""

    name = "volume_surge"
    says = "(harmless) there is more traffic of the same kind"

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """Every session that is met comes a second time, some minutes later and by somebody else."""
        return pa.concat_tables([turns, again(turns, rng)])


class HarmlessDeploy(_Control):
    """A release without effect."""

    name = "harmless_deploy"
    says = "(harmless) a release that changes nothing"

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """A facet tells the new version."""
        facets = turns.column("facets").to_pylist()
        return set_column(turns, "facets", [[*(own or []), (VERSION, "next")] for own in facets])


class NothingChanges(_Control):
    """No change at all: what the record raises by itself from here on."""

    name = "nothing"
    says = "(harmless) nothing changes"

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """The turns as they are."""
        return turns


def again(turns: pa.Table, rng: np.random.Generator) -> pa.Table:
    """The same sessions under other ids, by other users, up to an hour later."""
    codes, _, firsts = sessions_of(turns)
    later = (rng.integers(1, 60, size=len(firsts)) * MINUTE_US)[codes] if turns.num_rows else np.zeros(0, np.int64)
    for name in ("turn_id", "session_id", "user_id"):
        turns = set_column(turns, name, pc.binary_join_element_wise(turns.column(name), "drill", "~"))
    moved = pc.add(turns.column("time").cast(pa.int64()), pa.array(later))
    return set_column(turns, "time", moved.cast(turns.schema.field("time").type))
