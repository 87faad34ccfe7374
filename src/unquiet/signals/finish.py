"""How the answer ended, in the provider's words and in the text itself."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.signals import FloatArray, SignalInfo, TurnBatch
from unquiet.signals.parts import Labelled, Turnwise
from unquiet.signals.text import Bools, bools, characters, fences, matched, present, tail, where

REFUSAL_REASONS = (
    "refusal",
    "content_filter",
    "content_filtered",
    "contentfilter",
    "safety",
    "prohibited_content",
    "blocklist",
    "spii",
    "recitation",
    "image_safety",
    "language",
    "guardrail_intervened",
    "guardrails",
    "blocked",
    "moderation",
)
"""Finish reasons, in lower case, by which a provider says that it withheld the answer."""

LENGTH_REASONS = (
    "length",
    "max_tokens",
    "max_output_tokens",
    "model_length",
    "model_context_window_exceeded",
    "token_limit",
    "incomplete",
)
"""Finish reasons, in lower case, by which a provider says that it cut the answer short."""

_ENDS_WHOLE = r"(?:[.!?:;…。！？：；)\]}>*_`\"'”’»|~]|\p{So}|\d|[^\x00-\x7F])$"
_LONG_ENOUGH = 200
_ENOUGH = 40
_LEADS_ON = (
    "the a an your our to of and or for with in on at is are has have will can by from that this you we i my be been it "
    "der die das ein eine und zu mit für ihr ihre el la los las un una de y que con para su le les des du et votre vos "
    "o e do da com"
)
_MID_SENTENCE = (
    rf"(?:^|[.!?:]\s|[,;\p{{Ll}}] )(?:[\p{{L}}\d'’,-]+ ){{3,}}(?:{_LEADS_ON.replace(' ', '|')})$"
    r"|[.!?]\s+(?:[^\s]+ ){3,}[^\n.!?]*[\p{Ll},]$"
)
"""A short text that breaks off: its last word leads to another, or a sentence follows others and has no end."""


def reason(batch: TurnBatch) -> pa.Array:
    """The finish reason in lower case, without an enum path ("FinishReason.SAFETY" becomes "safety")."""

    def make() -> pa.Array:
        lowered = pc.utf8_lower(batch.column("finish_reason"))
        return pc.replace_substring_regex(lowered, r"^(?:.*[.:/])?(?:finish_reason_|finishreason_)?", "")

    return batch.once("finish:reason", make)


def refused_by_provider(batch: TurnBatch) -> Bools:
    """True where the finish reason means refusal, shape (len(batch),)."""
    return batch.once("finish:refused", lambda: bools(pc.is_in(reason(batch), pa.array(REFUSAL_REASONS))))


def _provider_refusal(batch: TurnBatch) -> FloatArray:
    return where(present(batch, "finish_reason"), refused_by_provider(batch))


def _truncated(batch: TurnBatch) -> FloatArray:
    said = bools(pc.is_in(reason(batch), pa.array(LENGTH_REASONS)))
    has_text, has_reason = present(batch, "output"), present(batch, "finish_reason")
    untold = ~has_reason & has_text
    open_fence = fences(batch) % 2 == 1
    long, some = characters(batch) >= _LONG_ENOUGH, characters(batch) >= _ENOUGH
    mid_sentence = matched(tail(batch), _MID_SENTENCE, untold & some)
    breaks_off = (long & ~matched(tail(batch), _ENDS_WHOLE, untold & long)) | mid_sentence
    return where(has_text | has_reason, said | (untold & (open_fence | breaks_off)))


def _labels(batch: TurnBatch) -> pa.ListArray:
    said = reason(batch)
    known = present(batch, "finish_reason")
    return lists_of_one(said, known)


def lists_of_one(labels: pa.Array, known: Bools) -> pa.ListArray:
    """One label a turn as list<string>; null where `known` is False."""
    sizes = pa.array(known.astype("int32"))
    ends = pc.cumulative_sum(sizes)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends.cast(pa.int32())])
    values = labels.cast(pa.string()).filter(pa.array(known))
    return pa.ListArray.from_arrays(offsets, values, mask=pa.array(~known))


SIGNALS = (
    Turnwise(
        SignalInfo(
            name="provider_refusal",
            version=1,
            kind="flag",
            unit="turn",
            reduce="any",
            definition="The finish reason says that the provider refused or filtered the answer.",
            phrase_up="is stopped by the provider's filter",
            phrase_down="is stopped by the provider's filter less often",
            needs=("finish_reason",),
        ),
        _provider_refusal,
    ),
    Turnwise(
        SignalInfo(
            name="truncated",
            version=2,
            kind="flag",
            unit="turn",
            reduce="any",
            definition="The finish reason says the answer was cut short; without one, the text breaks off.",
            phrase_up="breaks off its answers",
            phrase_down="breaks off its answers less often",
            needs=("output", "finish_reason"),
            none_means="Neither the answer nor a finish reason was recorded.",
        ),
        _truncated,
    ),
)

CATEGORIES = (
    Labelled(
        SignalInfo(
            name="finish_reason",
            version=1,
            kind="category",
            unit="turn",
            reduce="none",
            definition="The provider's finish reason, in lower case.",
            phrase_up="ends more answers with {label}",
            phrase_down="ends fewer answers with {label}",
            needs=("finish_reason",),
        ),
        _labels,
    ),
)
