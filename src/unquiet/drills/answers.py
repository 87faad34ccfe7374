"""Answers that differ in their words: handed on, flattering, from yesterday, of another language or script."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.drills.editing import answered, own_texts, unlike
from unquiet.model.drills import Before

HANDOFFS = (
    "I'll connect you with a member of our team who can help you with this.",
    "Let me transfer you to a human agent.",
    "I am passing this on to a colleague, who will get back to you.",
    "One of our specialists will take over from here.",
    "I have forwarded your request to our support team.",
)
DEFLECTIONS = (
    "Please contact customer support for help with this.",
    "For this, please visit our help center.",
    "I recommend that you consult the documentation or reach out to the team.",
    "Please get in touch with us by phone during business hours.",
    "You can find more about this on our website.",
)
PRAISES = (
    "What a great question! ",
    "You're absolutely right! ",
    "Excellent point, I completely agree. ",
    "That is a brilliant idea! ",
)
NOTHING_FOUND = (
    "I couldn't find any information about that.",
    "I don't have information on this in the knowledge base.",
    "No matching record was found.",
    "I was unable to find anything about this.",
    "There are no results for your request.",
)
FRAGMENTS = ("的", "สวัสดี", "这个", "ครับ", "我们", "เป็น", "然后", "และ")
STRANGE = (
    "Bedankt voor uw bericht. Wij hebben uw verzoek ontvangen en zullen het zo snel mogelijk voor u bekijken.",
    "Dziękujemy za wiadomość. Otrzymaliśmy Twoje zgłoszenie i zajmiemy się nim tak szybko, jak to możliwe.",
    "Tack för ditt meddelande. Vi har tagit emot din fråga och tittar på den så snart som möjligt.",
    "Mesajınız için teşekkür ederiz. Talebinizi aldık ve en kısa sürede sizin için inceleyeceğiz.",
    "Grazie per il messaggio. Abbiamo ricevuto la sua richiesta e la esamineremo il prima possibile.",
)


class _Worded:
    """Answers out of the traffic's own ones that a signal knows, else out of a bank in English."""

    control = False
    name: str
    signals: tuple[str, ...]
    bank: Sequence[str]

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:
        """Every answer becomes one of them."""
        bank = own_texts(before, self.signals[0]) or list(self.bank)
        return answered(turns, [bank[each] for each in rng.integers(len(bank), size=turns.num_rows)])


class HandOff(_Worded):
    """Everything is handed on to a person."""

    name = "handoff"
    says = "passes everybody on to a person"
    signals = ("handoff", "deflection", "output_chars")
    bank = HANDOFFS


class Deflection(_Worded):
    """Users are sent elsewhere."""

    name = "deflection"
    says = "sends users elsewhere instead of answering"
    signals = ("deflection", "output_chars")
    bank = DEFLECTIONS


class StaleRetrieval(_Worded):
    """What was found before is not found any more."""

    name = "stale_retrieval"
    says = "does not find what it used to find"
    signals = ("lookup_failure", "output_chars")
    bank = NOTHING_FOUND


class Sycophancy:
    """Answers open with praise."""

    name = "sycophancy"
    says = "agrees with and praises whatever it is told"
    control = False
    signals = ("praise",)

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """Praise before every answer."""
        praises = [PRAISES[each] for each in rng.integers(len(PRAISES), size=turns.num_rows)]
        texts = turns.column("output").to_pylist()
        return answered(
            turns, [None if text is None else praise + text for praise, text in zip(praises, texts, strict=True)]
        )


class ForeignScript:
    """Words of another script in the middle of answers (corrupted output)."""

    name = "foreign_script"
    says = "drops words of a foreign script into its answers"
    control = False
    signals = ("foreign_script",)

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """Three fragments at random places of every answer, in a script that the request is not in."""
        inputs = turns.column("input").to_pylist()
        texts = turns.column("output").to_pylist()
        return answered(
            turns, [None if t is None else _sprinkled(t, i or "", rng) for t, i in zip(texts, inputs, strict=True)]
        )


class WrongLanguage:
    """Answers in a language that the user does not write."""

    name = "wrong_language"
    says = "answers in another language than it is asked in"
    control = False
    signals = ("language_mismatch",)

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """Every answer becomes a polite one in some other language."""
        return answered(turns, [STRANGE[each] for each in rng.integers(len(STRANGE), size=turns.num_rows)])


class Yesterday:
    """Answers to other requests (a cache, a wrong key)."""

    name = "yesterdays_answers"
    says = "gives answers that belong to other requests"
    control = False
    signals = ("answers",)

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:
        """Every answer becomes one of a few that were given before the onset."""
        old = before.turns.column("output").drop_null().to_pylist()
        if not old:
            return turns
        few = [old[each] for each in rng.integers(len(old), size=20)]
        return answered(turns, [few[each] for each in rng.integers(len(few), size=turns.num_rows)])


class RefusalsStop:
    """The opposite direction: what was refused is answered now."""

    name = "refusals_stop"
    says = "no longer refuses what it used to refuse"
    control = False
    signals = ("refusal",)

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:
        """Every answer that is a refusal in the words of this traffic becomes an ordinary answer of it."""
        refused = pc.is_in(turns.column("output"), pa.array(own_texts(before, "refusal", 1))).to_numpy()
        ordinary = unlike(before, "refusal")
        if not ordinary:
            return turns
        picks = rng.integers(len(ordinary), size=turns.num_rows)
        texts = turns.column("output").to_pylist()
        return answered(turns, [ordinary[p] if r else t for p, r, t in zip(picks, refused, texts, strict=True)])


def _sprinkled(text: str, request: str, rng: np.random.Generator) -> str:
    fragments = [each for each in FRAGMENTS if not set(each) & set(request)]
    words = text.split(" ")
    places: npt.NDArray[np.int64] = np.sort(rng.integers(len(words) + 1, size=3))[::-1]
    for place in places.tolist():
        words.insert(place, fragments[int(rng.integers(len(fragments)))])
    return " ".join(words)
