"""What an incident is made of, in the agent's own words: phrases, openings, lengths and tool steps that are new or gone.

Features are kept as keys; what they say is read here from the stored answers of sessions that have them. Where the
answers are no longer stored, nothing is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.counts import Event
from unquiet.model.history import Recorded
from unquiet.model.incidents import Incident
from unquiet.model.sessions import CATEGORY_PREFIX
from unquiet.pipeline.judging import Judge
from unquiet.pipeline.words import SIGNAL
from unquiet.shift import Moved, kinds, moved_features, named
from unquiet.store import Store

IntArray = npt.NDArray[np.int64]

Names = dict[int, tuple[int, str]]
"""Kind and text by key."""

LEAST_WEIGHT, MOST_WEIGHT = 4, 40
"""A word with fewer letters than this says nothing by itself; more letters than the other say no more."""

LAST_OF_ALPHABETS = 0x2E7F
"""Code points above this are of scripts that write words in one to three signs."""

FEATURE = "feature"
"""The test of an event that is a feature of answers."""

BEFORE_US = 14 * 86_400_000_000
SECOND_US = 1_000_000
EXAMPLES, MOST_READ = 3, 12
NEW, GONE = 0.02, 0.1
"""A feature is called new where less than NEW of sessions had it, gone where its rate fell to less than GONE of what it was."""


def new_and_gone(
    judge: Judge, store: Store, recorded: Recorded, incident: Incident, rows: IntArray, over_us: int | None
) -> tuple[list[dict[str, object]], Names]:
    """The clearest differences between the answers of sessions `rows` since the onset and those of the two weeks before it.

    Of features that say the same, the most telling is shown; the names give it for each of them.
    """
    words = judge.words
    if words is None:
        return [], {}
    at, onset = recorded.started_us[rows], incident.onset
    first = judge.history.first
    before = rows[(at < onset.earliest_us) & (at >= onset.earliest_us - BEFORE_US)] + first
    after = rows[(at >= onset.at_us) & (at < (over_us or 2**62))] + first
    moved = moved_features(words.watch.log, before, after)
    ids = {each.key: recorded.session_id[each.shown - first].tolist() for one in moved for each in (one, *one.like)}
    texts = texts_of(store, ids)
    told_by = [max((one, *one.like), key=lambda each: weight_of(*texts.get(each.key, (0, "")))) for one in moved]
    names = {
        each.key: texts[best.key]
        for one, best in zip(moved, told_by, strict=True)
        for each in (one, *one.like)
        if best.key in texts
    }
    shown = [each for each in told_by if each.key in texts]
    clear = [each for each in shown if weight_of(*texts[each.key]) >= LEAST_WEIGHT]
    return [_entry(each, *texts[each.key], ids[each.key]) for each in clear or shown], names


def weight_of(kind: int, text: str) -> int:
    """How telling a feature is: the letters of a phrase (those of scripts without blanks count threefold), up to 40.

    A step from tool to tool is as good as a long phrase, a length or a shape as a short one.
    """
    if kind in (kinds.LENGTH, kinds.SHAPE, kinds.BUILD):
        return 2 * LEAST_WEIGHT
    if kind == kinds.STEP:
        return MOST_WEIGHT
    return min(sum(3 if ord(each) > LAST_OF_ALPHABETS else 1 for each in text if each.isalpha()), MOST_WEIGHT)


def feature_event(judge: Judge, store: Store, recorded: Recorded, name: str, names: Names) -> Event:
    """The event of an incident that the open-world detector opened; its label says what the feature is.

    `names` has those that other features say better (see `new_and_gone`): where its own text says nothing, it is told with
    one of these beside it, for the rates of an incident are those of its own feature.
    """
    label = ""
    key = int(name.rpartition(":")[2], 16)
    if judge.words is not None:
        place = len(judge.plan.events if judge.plan else ()) + judge.words.keys.index(key)
        showing = recorded.session_id[recorded.y[:, place] == 1].tolist()
        kind, text = texts_of(store, {key: showing}).get(key, (0, ""))
        label = told(kind, text) if text else ""
        if weight_of(kind, text) < LEAST_WEIGHT and key in names:
            label = f"answers in another way ({told(*names[key])})"
    return Event(name.partition(":")[0], FEATURE, label=label)


def other_event(
    events: Sequence[Event], store: Store, recorded: Recorded, incident: Incident, rows: IntArray, place: int
) -> Event:
    """Event number `place`, of labels without an event of their own, by the label that half of its new sessions have.

    `rows` are the sessions of the incident's slice. As it is where no label has that many, or nothing new came.
    """
    event = events[place]
    since = recorded.started_us[rows] >= incident.onset.earliest_us
    shown = rows[since & (recorded.y[rows, place] == 1)]
    if not len(shown) or incident.direction != "up":
        return event
    column = CATEGORY_PREFIX + event.signal
    at = recorded.started_us[shown]
    begin, end = (datetime.fromtimestamp(int(us) / 1e6, UTC) for us in (at.min() - SECOND_US, at.max() + SECOND_US))
    found = store.sessions_between(begin, end, columns=["visit_id", column])
    wanted = found.filter(pc.is_in(found.column("visit_id"), pa.array(recorded.visit_id[shown].tolist(), pa.string())))
    own = {each.label for each in events if each.signal == event.signal and each.test == "label"}
    labels = Counter(each for each in pc.list_flatten(wanted.column(column)).to_pylist() if each not in own)
    label, count = next(iter(labels.most_common(1)), ("", 0))
    return replace(event, label=label) if 2 * count >= len(shown) else event


def texts_of(store: Store, ids: dict[int, list[str]]) -> dict[int, tuple[int, str]]:
    """Kind and text of each key, read from the latest of the sessions that have it."""
    wanted = sorted({each for sessions in ids.values() for each in sessions[-MOST_READ:]})
    turns = store.turns_of_sessions(wanted, columns=["session_id", "time", "turn_index", "output", "tool_calls"])
    if not turns.num_rows:
        return {}
    turns = turns.sort_by([("session_id", "ascending"), ("time", "ascending"), ("turn_index", "ascending")])
    session = turns.column("session_id").combine_chunks().dictionary_encode().indices.to_numpy()
    starts = np.append(np.flatnonzero(np.diff(session, prepend=-1) != 0), len(session))
    return named(turns, starts, set(ids))


def told(kind: int, text: str) -> str:
    """What a feature is, in words: `says "as an ai"`, `begins with "here is"`, `writes 91 to 128 characters`."""
    if kind in (kinds.LENGTH, kinds.SHAPE, kinds.BUILD):
        return f"writes {text}"
    if kind == kinds.STEP:
        return f"calls {text}"
    return f'begins with "{text}"' if kind == kinds.OPENING else f'says "{text}"'


def _entry(moved: Moved, kind: int, text: str, sessions: Sequence[str]) -> dict[str, object]:
    before, after = moved.before_x / moved.before_n, moved.after_x / moved.after_n
    if moved.rose:
        change = "new" if before < NEW * after or moved.before_x == 0 else "more"
    else:
        change = "gone" if after < GONE * before else "less"
    shown = list(dict.fromkeys(sessions))
    return {
        "what": kinds.NAMES[kind],
        "text": text,
        "said": told(kind, text),
        "change": change,
        "before": {"rate": before, "n": moved.before_n},
        "after": {"rate": after, "n": moved.after_n},
        "examples": shown[-EXAMPLES:] if moved.rose else shown[:EXAMPLES],
    }


def plain_name(event: str) -> str:
    """The name of an event as people see it: a key says nothing, so features of answers are just `answers`."""
    return SIGNAL if event.startswith(f"{SIGNAL}:") else event
