"""Sending the user elsewhere: to another place, or to a person."""

from __future__ import annotations

import pyarrow.compute as pc

from unquiet.model.signals import FloatArray, SignalInfo, TurnBatch
from unquiet.signals.language import covered
from unquiet.signals.parts import Turnwise
from unquiet.signals.text import present, where
from unquiet.signals.tools import any_call
from unquiet.signals.wording import NO_READING, WORDING_VERSION, hit

HANDOFF_TOOL = r"(?i)(?:transfer|escalat|hand_?off|hand_?over|human|live_?agent|connect_(?:to_)?agent)"
"""Names of tools that pass the user on to a person."""


def called_handoff(batch: TurnBatch) -> FloatArray:
    """1 where a tool that passes the user on was called, else 0, NaN where tools were not recorded."""
    return any_call(batch, "handoff", lambda calls: pc.match_substring_regex(calls.field("name"), HANDOFF_TOOL))


def _deflection(batch: TurnBatch) -> FloatArray:
    return where(present(batch, "output") & covered(batch), hit(batch, "deflection"))


def _handoff(batch: TurnBatch) -> FloatArray:
    called = called_handoff(batch) == 1.0
    readable = present(batch, "output") & covered(batch)
    return where(readable | called, (readable & hit(batch, "handoff")) | called)


SIGNALS = (
    Turnwise(
        SignalInfo(
            name="deflection",
            version=WORDING_VERSION,
            kind="flag",
            unit="turn",
            reduce="any",
            definition="The answer sends the user elsewhere: to contact, visit or consult somebody else.",
            phrase_up="sends users elsewhere",
            phrase_down="sends users elsewhere less often",
            needs=("output",),
            none_means=NO_READING,
        ),
        _deflection,
    ),
    Turnwise(
        SignalInfo(
            name="handoff",
            version=WORDING_VERSION,
            kind="flag",
            unit="turn",
            reduce="any",
            definition="The answer passes the user on to a person, or calls the tool that does.",
            phrase_up="hands users to a person",
            phrase_down="hands users to a person less often",
            needs=("output", "tool_calls"),
            none_means="The answer cannot be read (not recorded, or no families for its language), and no such tool was called.",
        ),
        _handoff,
    ),
)
