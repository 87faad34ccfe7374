"""Harmless changes: an incident for one of them is a false alarm."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.drills.dosing import choose_slice, facet_values, sessions_of
from unquiet.drills.editing import answered, set_column
from unquiet.model.drills import Before

MINUTE_US = 60_000_000
VERSION = "drill.version"
DUTCH = (
    ("Waar blijft mijn bestelling?", "Uw bestelling is gisteren verzonden en komt naar verwachting morgen aan."),
    ("Kan ik mijn adres nog wijzigen?", "Dat kan. Ik heb het nieuwe adres voor u opgeslagen."),
    ("Hoe lang duurt een terugbetaling?", "Een terugbetaling staat meestal binnen vijf werkdagen op uw rekening."),
    ("Ik heb het verkeerde artikel gekregen.", "Wat vervelend. Ik stuur u vandaag nog het juiste artikel toe."),
    ("Welke maat moet ik nemen?", "Volgens de maattabel past maat M het beste bij de waarden die u noemt."),
    ("Is dit product op voorraad?", "Ja, er zijn er nog twaalf op voorraad in ons magazijn."),
    ("Hoe zeg ik mijn abonnement op?", "Uw abonnement is opgezegd en loopt af aan het einde van deze maand."),
    ("Ik kan niet inloggen.", "Ik heb een nieuw wachtwoord voor u ingesteld. U vindt het in uw e-mail."),
    ("Waar vind ik mijn factuur?", "De factuur staat onder Bestellingen. Ik heb haar ook per e-mail gestuurd."),
    ("Krijg ik garantie?", "Op dit apparaat krijgt u twee jaar garantie vanaf de dag van levering."),
    ("Kan ik in termijnen betalen?", "Dat is mogelijk in drie of zes maandelijkse termijnen, zonder rente."),
    ("Wanneer zijn jullie open?", "Onze winkel is van maandag tot en met zaterdag open van negen tot zes."),
)
"""Requests and what they are answered with."""


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


class Weekend(_Control):
    """Fewer sessions of the same kind."""

    name = "weekend"
    says = "(harmless) there is less traffic of the same kind, as on a weekend"

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """The sessions that are met do not come."""
        return turns.slice(0, 0)


class NewLanguage(_Control):
    """Users of another language come, and are served in it."""

    name = "new_language"
    says = "(harmless) users come who write another language, and are answered in it"

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """Requests and answers become Dutch ones, by users who are new; no tool is needed for them."""
        picks = rng.integers(len(DUTCH), size=turns.num_rows).tolist()
        changed = answered(set_column(turns, "input", [DUTCH[each][0] for each in picks]), [DUTCH[e][1] for e in picks])
        changed = set_column(changed, "tool_calls", [[] for _ in picks])
        return set_column(changed, "user_id", _others(turns.column("user_id")))


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
        turns = set_column(turns, name, _others(turns.column(name)))
    moved = pc.add(turns.column("time").cast(pa.int64()), pa.array(later))
    return set_column(turns, "time", moved.cast(turns.schema.field("time").type))


def _others(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(ids, "drill", "~")
