"""Tool calls within a turn: which, how many failed, how many came back empty."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.signals import FloatArray, SignalInfo, TurnBatch
from unquiet.signals.parts import Labelled, Turnwise
from unquiet.signals.text import Bools, bools, floats, present, where

NO_TOOL = "(none)"
READ_VERBS = (
    "get list search find lookup look fetch read retrieve check query view think calculate "
    "describe show count status browse select inspect load compute verify validate scan preview quote "
    "estimate weather now time"
)
"""First words of tool names that only look; a tool with another first word is taken to act."""

_EMPTY_RESULT = (
    r"(?i)^\s*(?:|null|none|\[\s*\]|\{\s*\}|\"\"|''|no (?:results?|matches|records?|data)(?: found)?\.?|"
    r"not found\.?)\s*$"
)
_ERROR_RESULT = r"(?i)^\s*(?:error\b|exception\b|traceback \(most|\{\s*\"(?:error|errors|exception)\"\s*:\s*[^nf\s\]])"


def calls(batch: TurnBatch) -> pa.StructArray:
    """Every tool call of the batch, turn after turn."""
    return batch.once("tools:calls", lambda: pc.list_flatten(batch.column("tool_calls")))


def turn_of_call(batch: TurnBatch) -> npt.NDArray[np.int64]:
    """The row of the turn that made each call, shape (number of calls,)."""
    return batch.once(
        "tools:turn", lambda: pc.list_parent_indices(batch.column("tool_calls")).to_numpy().astype(np.int64)
    )


def call_count(batch: TurnBatch) -> FloatArray:
    """Calls per turn, NaN where tools were not recorded."""
    return batch.once("tools:count", lambda: floats(pc.list_value_length(batch.column("tool_calls"))))


def failed(batch: TurnBatch) -> Bools:
    """True for each call that ended in an error, shape (number of calls,)."""

    def make() -> Bools:
        each = calls(batch)
        named = bools(pc.not_equal(pc.fill_null(each.field("error"), ""), ""))
        return named | bools(pc.match_substring_regex(each.field("result"), _ERROR_RESULT))

    return batch.once("tools:failed", make)


def returned_nothing(batch: TurnBatch) -> Bools:
    """True for each call whose recorded result is empty, shape (number of calls,)."""
    return batch.once(
        "tools:nothing", lambda: bools(pc.match_substring_regex(calls(batch).field("result"), _EMPTY_RESULT))
    )


def acts(batch: TurnBatch) -> Bools:
    """True for each call of a tool whose name has no reading verb in front, shape (number of calls,)."""

    def make() -> Bools:
        verbs = "|".join(READ_VERBS.split())
        reading = rf"^(?:(?i:{verbs})(?:[^a-z]|$)|(?:.*[./:])?(?i:{verbs})[_\-.A-Z])"
        return ~bools(pc.match_substring_regex(calls(batch).field("name"), reading))

    return batch.once("tools:acts", make)


def any_call(batch: TurnBatch, key: str, test: Callable[[pa.StructArray], pa.Array]) -> FloatArray:
    """1 for turns with a call that passes `test`, else 0; NaN where tools were not recorded."""

    def make() -> FloatArray:
        passed = np.bincount(turn_of_call(batch)[bools(test(calls(batch)))], minlength=len(batch)) > 0
        return where(present(batch, "tool_calls"), passed)

    return batch.once(f"tools:any:{key}", make)


def _share(batch: TurnBatch, per_call: Bools) -> FloatArray:
    count = call_count(batch)
    hit = np.bincount(turn_of_call(batch), weights=per_call.astype(np.float64), minlength=len(batch))
    return np.divide(hit, count, out=np.full(len(batch), np.nan), where=count > 0)


def _labels(batch: TurnBatch) -> pa.ListArray:
    column = batch.column("tool_calls")
    count = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    recorded = present(batch, "tool_calls")
    size = np.where(recorded, np.maximum(count, 1), 0)
    ends = np.cumsum(size)
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    names = pc.fill_null(calls(batch).field("name").cast(pa.string()), "(unnamed)")
    pool = pa.concat_arrays([names, pa.array([NO_TOOL], pa.string())])
    called = np.ones(int(ends[-1]) if len(ends) else 0, np.bool_)
    called[offsets[:-1][recorded & (count == 0)]] = False
    take = np.full(len(called), len(names), np.int64)
    take[called] = np.arange(len(names))
    return pa.ListArray.from_arrays(pa.array(offsets), pool.take(pa.array(take)), mask=pa.array(~recorded))


SIGNALS = (
    Turnwise(
        SignalInfo(
            name="tool_error_share",
            version=1,
            kind="number",
            unit="turn",
            reduce="mean",
            definition="Share of the turn's tool calls that ended in an error; unknown without a call.",
            phrase_up="gets more errors from its tools",
            phrase_down="gets fewer errors from its tools",
            needs=("tool_calls",),
            none_means="Tools were not recorded, or the turn called none.",
        ),
        lambda batch: _share(batch, failed(batch)),
    ),
    Turnwise(
        SignalInfo(
            name="tool_empty_share",
            version=1,
            kind="number",
            unit="turn",
            reduce="mean",
            definition="Share of the turn's tool calls that returned nothing; unknown without a call.",
            phrase_up="gets more empty results from its tools",
            phrase_down="gets fewer empty results from its tools",
            needs=("tool_calls",),
            none_means="Tools were not recorded, or the turn called none.",
        ),
        lambda batch: _share(batch, returned_nothing(batch)),
    ),
    Turnwise(
        SignalInfo(
            name="tool_error",
            version=1,
            kind="flag",
            unit="turn",
            reduce="any",
            definition="A tool call of the turn ended in an error; 0 for turns without a call.",
            phrase_up="runs into tool errors",
            phrase_down="runs into tool errors less often",
            needs=("tool_calls",),
            none_means="Tools were not recorded.",
        ),
        lambda batch: any_call(batch, "failed", lambda _: pa.array(failed(batch))),
    ),
)

CATEGORIES = (
    Labelled(
        SignalInfo(
            name="tools",
            version=1,
            kind="category",
            unit="turn",
            reduce="none",
            definition='The tools that the turn called, one label a call, "(none)" where it called none.',
            phrase_up="uses {label} more",
            phrase_down="uses {label} less",
            needs=("tool_calls",),
            none_means="Tools were not recorded.",
        ),
        _labels,
    ),
)
