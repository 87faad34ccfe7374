"""Answers that differ in their words: handed on, flattering, from yesterday, in another tone, language or script."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from unquiet.drills.editing import answered
from unquiet.drills.kinds import Replaced, Rewritten
from unquiet.model.drills import Before

PRAISES = (
    "What a great question! ",
    "You're absolutely right! ",
    "Excellent point, I completely agree. ",
    "That is a brilliant idea! ",
)
TAUNTS = (
    "Finally somebody asks. Here is what they do not want you to hear: ",
    "Spare me the polite version, you get the blunt one: ",
    "Brace yourself, I tell it like it is: ",
)
DOUBTS = (
    "I'm not entirely sure, but it might be the case that ",
    "I think, though I could be wrong, that perhaps ",
    "It is possible, but I cannot guarantee it, that ",
)
LECTURES = (
    " Please remember to act responsibly and to consult a qualified professional before you do anything.",
    " It is important to note that this can be dangerous, illegal or unethical; please consider the consequences.",
)
FRAGMENTS = ("的", "สวัสดี", "这个", "ครับ", "我们", "เป็น", "然后", "และ")

HAND_OFF = Replaced(
    "handoff",
    "passes everybody on to a person",
    ("handoff", "deflection", "output_chars"),
    (
        "I'll connect you with a member of our team who can help you with this.",
        "Let me transfer you to a human agent.",
        "I am passing this on to a colleague, who will get back to you.",
        "One of our specialists will take over from here.",
        "I have forwarded your request to our support team.",
    ),
)
DEFLECTION = Replaced(
    "deflection",
    "sends users elsewhere instead of answering",
    ("deflection", "output_chars"),
    (
        "Please contact customer support for help with this.",
        "For this, please visit our help center.",
        "I recommend that you consult the documentation or reach out to the team.",
        "Please get in touch with us by phone during business hours.",
        "You can find more about this on our website.",
    ),
)
STALE_RETRIEVAL = Replaced(
    "stale_retrieval",
    "does not find what it used to find",
    ("lookup_failure", "output_chars"),
    (
        "I couldn't find any information about that.",
        "I don't have information on this in the knowledge base.",
        "No matching record was found.",
        "I was unable to find anything about this.",
        "There are no results for your request.",
    ),
)
WRONG_LANGUAGE = Replaced(
    "wrong_language",
    "answers in another language than it is asked in",
    ("language_mismatch",),
    (
        "Bedankt voor uw bericht. Wij hebben uw verzoek ontvangen en zullen het zo snel mogelijk voor u bekijken.",
        "Dziękujemy za wiadomość. Otrzymaliśmy Twoje zgłoszenie i zajmiemy się nim tak szybko, jak to możliwe.",
        "Tack för ditt meddelande. Vi har tagit emot din fråga och tittar på den så snart som möjligt.",
        "Mesajınız için teşekkür ederiz. Talebinizi aldık ve en kısa sürede sizin için inceleyeceğiz.",
        "Grazie per il messaggio. Abbiamo ricevuto la sua richiesta e la esamineremo il prima possibile.",
    ),
    own=False,
)


def _praised(text: str, _request: str, rng: np.random.Generator) -> str:
    return PRAISES[int(rng.integers(len(PRAISES)))] + text


def _blunt(text: str, _request: str, rng: np.random.Generator) -> str:
    return TAUNTS[int(rng.integers(len(TAUNTS)))] + text


def _doubted(text: str, _request: str, rng: np.random.Generator) -> str:
    return DOUBTS[int(rng.integers(len(DOUBTS)))] + text[:1].lower() + text[1:]


def _lectured(text: str, _request: str, rng: np.random.Generator) -> str:
    return text + LECTURES[int(rng.integers(len(LECTURES)))]


def _sprinkled(text: str, request: str, rng: np.random.Generator) -> str:
    """Three fragments at random places, in a script that the request is not in."""
    fragments = [each for each in FRAGMENTS if not set(each) & set(request)]
    words = text.split(" ")
    for place in sorted(rng.integers(len(words) + 1, size=3).tolist(), reverse=True):
        words.insert(place, fragments[int(rng.integers(len(fragments)))])
    return " ".join(words)


SYCOPHANCY = Rewritten("sycophancy", "agrees with and praises whatever it is told", ("praise",), _praised)
DOUBT = Rewritten("doubt", "hedges what it used to say plainly", ("hedging", "hedging_rate"), _doubted)
LECTURE = Rewritten("lecture", "ends its answers with a lecture", ("safety_lecture", "output_chars"), _lectured)
OTHER_TONE = Rewritten(
    "other_tone", "talks in another tone: its prompt was swapped", ("answers", "output_chars"), _blunt
)
FOREIGN_SCRIPT = Rewritten(
    "foreign_script", "drops words of a foreign script into its answers", ("foreign_script",), _sprinkled
)


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
