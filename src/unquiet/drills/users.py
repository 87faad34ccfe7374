"""What users do when an agent goes wrong: they contest, ask again, lose patience."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from unquiet.drills.dosing import sessions_of
from unquiet.drills.editing import set_column
from unquiet.model.drills import Before

COMPLAINTS = (
    "No, that is wrong. ",
    "That is not what I asked. ",
    "You already said that, it does not help. ",
    "This is useless, for the third time: ",
    "Are you kidding me? This is so frustrating. ",
)


class PushBack:
    """Answers look as always and are of no use: who is in a longer conversation contests them and asks again."""

    name = "push_back"
    says = "is contested by its users, who ask for the same again"
    control = False
    signals = ("user_pushback", "user_frustration", "user_repeat")

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """From the second turn of a session on the request is a complaint and the first request once more."""
        codes, _, firsts = sessions_of(turns)
        asked = turns.column("input").to_pylist()
        picks = rng.integers(len(COMPLAINTS), size=turns.num_rows).tolist()
        first = firsts[codes].tolist()
        again = [
            asked[row] if start == row or asked[start] is None else COMPLAINTS[picks[row]] + asked[start]
            for row, start in enumerate(first)
        ]
        return set_column(turns, "input", again)


class GiveUp:
    """Answers look as always and are of no use: users do not come back to them."""

    name = "give_up"
    says = "loses its users after the first answer"
    control = False
    signals = ("turns", "session_output_chars")

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """Of every session the first turn is left."""
        _, _, firsts = sessions_of(turns)
        return turns.take(pa.array(np.sort(firsts)))
