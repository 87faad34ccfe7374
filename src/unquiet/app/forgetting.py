"""Forgetting: everything of a user or a session leaves a folder, and what was counted stays."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from unquiet.app.eval_joining import join_verdicts
from unquiet.app.replaying import REACHED, STATE
from unquiet.app.seen import Seen
from unquiet.app.unnaming import without
from unquiet.app.voicing import forget_voices
from unquiet.model.errors import StoreError
from unquiet.pipeline.forgetting import TOLD
from unquiet.pipeline.forgetting import forget as forget_in
from unquiet.pipeline.judging import Judge
from unquiet.pipeline.saving import dump, load, settings_of
from unquiet.privacy import KEY_FILE, UserHasher, folder_key
from unquiet.store import Found, Store

LEAST_TOLD = 6
"""A facet value that nobody else has is blotted out of texts from this length on: a shorter one is a word of many."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was removed: turns, sessions, labels, voices, eval results, files of the log; edited: incidents, segment files.

    `left_in` names states of the folder that still hold one of the ids and that nobody here can read: whoever keeps them must
    see to it.
    """

    turns: int
    sessions: int
    incidents_edited: int
    files_rewritten: int
    labels: int = 0
    voices: int = 0
    files_removed: int = 0
    left_in: tuple[str, ...] = ()
    evals: int = 0


def known_as(folder: Path, ids: Collection[str]) -> set[str]:
    """The ids as they may be stored in a folder: as given, and as hashes where the folder has a key.

    Raises:
        ConfigError: there is a key, and it cannot be used.
    """
    known = set(ids)
    if (folder / KEY_FILE).exists():
        known |= {UserHasher(folder_key(folder))(each) for each in ids}
    return known


def forget(
    store: Store,
    session_ids: Collection[str],
    user_ids: Collection[str],
    *,
    judges: Sequence[Judge] = (),
    states: Sequence[str] = (STATE,),
    files: Sequence[Path] = (),
) -> Forgotten:
    """Remove sessions and users from a folder, by their ids as they are stored (see `known_as`).

    Args:
        store: the open folder; not inside a transaction.
        session_ids: sessions that go as a whole.
        user_ids: users whose turns and sessions go.
        judges: judgements in memory that must forget them too, before they are saved again.
        states: names under which judgements are saved in the folder.
        files: drained segments of the log and quarantined bodies: they cannot be rewritten, so they are removed.

    Raises:
        StoreError: something could not be removed; running it again goes on.
    """
    join_verdicts(store)
    found = store.removal.find(session_ids, user_ids)
    ids = found.sessions | found.users
    values = store.removal.own_facets(found)
    words = ids | {part for _, value in values for part in (value, value[:TOLD]) if len(part) >= LEAST_TOLD}
    with store.transaction():
        seen = Seen.of(store)
        removed = store.removal.remove(found)
        for name in states:
            _forget_in_state(store, name, found, values)
        seen.keep(store)
        voices = forget_voices(store, found.sessions, found.users, words)
        edited = store.removal.edit_documents(lambda document: without(document, words))
    store.removal.check_gone(removed.dropped)
    store.removal.compact()
    for judge in judges:
        forget_in(judge, found.sessions, found.users, values)
    return Forgotten(
        removed.turns,
        removed.sessions,
        edited["incidents"],
        len(removed.dropped),
        removed.labels,
        voices,
        _unlink(files),
        tuple(name for name in store.removal.states_with(ids) if name not in states),
        removed.evals,
    )


def _forget_in_state(store: Store, name: str, found: Found, values: Collection[tuple[str, str]]) -> None:
    """Forget in a judgement that is saved. One that this version cannot go on with is dropped: all is judged anew then."""
    state = store.load_state(name)
    if state is None:
        return
    settings = settings_of(state)
    judge = load(state, settings) if settings is not None else None
    data = None
    if judge is not None:
        forget_in(judge, found.sessions, found.users, values)
        data = dump(judge)
    if data is None:
        store.removal.drop_states([name, REACHED] if name == STATE else [name])
    else:
        store.save_state(name, data)


def _unlink(files: Sequence[Path]) -> int:
    count = 0
    for path in files:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"{path} could not be removed ({error.strerror or error}); everything else is forgotten. Let this user write "
                "to its folder, then run the same again."
            ) from error
        count += 1
    return count
