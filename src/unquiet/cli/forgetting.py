"""`unquiet forget`: remove everything of a user or a session from a folder, or ask the service that owns it to."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import click

from unquiet.app.folders import known_folder
from unquiet.app.forgetting import Forgotten, forget, known_as
from unquiet.cli.options import read_db
from unquiet.model.errors import ConfigError, StoreError
from unquiet.model.wording import counted
from unquiet.service.asking import Served, served
from unquiet.service.door_process import LOG
from unquiet.service.engine import POSITION
from unquiet.store import Store
from unquiet.wal import Position
from unquiet.wal.layout import QUARANTINE, segment_path, segment_sizes


@click.command("forget", short_help="Remove everything of a user or a session.")
@click.option("--user", "users", multiple=True, metavar="ID", help="A user, by the id that the traffic has.")
@click.option("--session", "sessions", multiple=True, metavar="ID", help="A session, by its id.")
@click.option("--yes", is_flag=True, help="Do not ask before anything is removed.")
@read_db
def forget_command(users: tuple[str, ...], sessions: tuple[str, ...], yes: bool, db: Path | None) -> None:
    """Remove everything of users or sessions from a folder: turns, sessions, labels, voices, their ids in incidents.

    What was counted stays. Where a service owns the folder, it is asked to do it.

    \b
    unquiet forget --user customer-4711
    unquiet forget --session 7f3a --session 7f3b --yes
    """  # noqa: D301
    if (not users and not sessions) or not all((*users, *sessions)):
        raise ConfigError(
            "nobody to forget: name a user with --user ID or a session with --session ID, more than once if need be."
        )
    folder = known_folder(db)
    service = served(folder, os.environ)
    if service is not None:
        _ask(service, users, sessions, yes=yes)
        return
    with Store.open(folder, create=False) as store:
        session_ids, user_ids = known_as(folder, sessions), known_as(folder, users)
        found = store.removal.find(session_ids, user_ids)
        drained = Position(*(store.get_setting(POSITION) or (0, 0)))
        files = _log_files(folder, session_ids | user_ids, drained)
        if not yes:
            turns, rows = counted(found.turn_count, "turn"), counted(found.session_count, "closed session")
            click.confirm(f"{turns} and {rows} in {folder} will be removed for good. Go on?", abort=True, err=True)
        done = forget(store, session_ids, user_ids, files=files)
    _say(done, folder)


def _ask(service: Served, users: tuple[str, ...], sessions: tuple[str, ...], *, yes: bool) -> None:
    """Let a running service forget. It closes its doors meanwhile; exporters send again what they could not."""
    if not yes:
        who = " and ".join(counted(len(ids), noun) for ids, noun in ((users, "user"), (sessions, "session")) if ids)
        click.confirm(f"Everything of {who} will be removed from {service.url} for good. Go on?", abort=True, err=True)
    bodies = [{"user": each} for each in users] + [{"session": each} for each in sessions]
    done = Counter[str]()
    for body in bodies:
        done.update(service.forget(body))
    first = [done[name] for name in ("turns", "sessions", "incidents_edited", "files_rewritten")]
    gone = Forgotten(
        *first, labels=done["labels"], voices=done["voices"], files_removed=done["files_removed"], evals=done["evals"]
    )
    _say(gone, service.url)


def _say(done: Forgotten, folder: Path | str) -> None:
    """What was removed, and what this cannot reach."""
    parts = [counted(done.turns, "turn"), counted(done.sessions, "closed session"), counted(done.labels, "label")]
    if done.voices:
        parts.append(counted(done.voices, "voice"))
    click.echo(f"removed {', '.join(parts)} from {folder}")
    click.echo(
        f"{counted(done.incidents_edited, 'incident')} no longer name them; {counted(done.files_rewritten, 'file')} rewritten"
    )
    if done.evals:
        click.echo(f"{counted(done.evals, 'eval result')} that judged them removed")
    if done.files_removed:
        click.echo(f"{counted(done.files_removed, 'file')} of the log removed")
    for name in done.left_in:
        click.echo(
            f"state {name!r} of the folder still names them: the program that keeps it must forget them too", err=True
        )
    click.echo(
        "Not reached from here: backups, exported files, alerts that were sent, and the files that were scanned."
    )


def _log_files(folder: Path, ids: set[str], drained: Position) -> list[Path]:
    """Segments of the log that are in the folder up to their end, and all that was put aside.

    What could not be read cannot be searched either: an id may stand in it in a form that nobody here knows.

    Raises:
        StoreError: the log still has traffic of theirs that is not in the folder yet.
    """
    log, wanted = folder / LOG, [each.encode() for each in ids]
    try:
        sizes = segment_sizes(log) if log.is_dir() else {}
        done = [segment_path(log, number) for number, size in sizes.items() if Position(number, size) <= drained]
        aside = [path for path in sorted((log / QUARANTINE).rglob("*")) if path.is_file()]
        others = [path for path in sorted(log.rglob("*")) if path.is_file() and path not in {*done, *aside}]
        named = [path for path in others if any(each in data for data in [path.read_bytes()] for each in wanted)]
    except OSError as error:
        raise StoreError(
            f"{error.filename} cannot be read ({error.strerror}). Let this user read the folder's log."
        ) from error
    if named:
        raise StoreError(
            f"{', '.join(map(str, named))} holds traffic of theirs that is not in the folder yet. Start `unquiet serve` on the "
            "folder and forget them there, or stop it once everything is drained."
        )
    return [*done, *aside]
