"""Folders for commands that read all of the traffic, beside the process that owns them where there is one."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from unquiet.app.folders import check_scanned
from unquiet.cli.looking import Document, Stored
from unquiet.cli.moments import moment
from unquiet.model.errors import UnquietError
from unquiet.store import Store, copied, owner


@contextmanager
def read_folder(folder: Path) -> Generator[Store]:
    """Open a folder to read it. Of one that a service or another command owns a copy is opened, and it is said of which moment.

    Raises:
        StoreError: it cannot be opened or copied.
    """
    if owner(folder) is None:
        with Store.open(folder, create=False) as store:
            yield store
        return
    with copied(folder) as copy:
        now = datetime.now(UTC)
        with Store.open(copy, create=False) as store:
            last = store.turn_extent().last
            until = "it holds no traffic" if last is None else f"traffic until {moment(last.isoformat())}"
            click.echo(f"{folder} is in use: read as of {moment(now.isoformat())}, {until}", err=True)
            yield store


def incident_of(documents: Iterable[Document], incident_id: str, folder: Path) -> Document:
    """The incident with an id.

    Raises:
        UnquietError: there is none; it names those there are.
    """
    known = {str(each["id"]): each for each in documents}
    if incident_id in known:
        return known[incident_id]
    said = (
        f"its incidents: {', '.join(known)}. Name one of them" if known else "it has none. Look into another with --db"
    )
    raise UnquietError(f"no incident {incident_id} in {folder}; {said}.")


@contextmanager
def own_folder(folder: Path) -> Generator[Stored]:
    """Open a scanned folder to read it, as `read_folder`.

    Raises:
        StoreError: it cannot be opened or copied, or was not scanned.
    """
    with read_folder(folder) as store:
        check_scanned(store, folder)
        yield Stored(store, folder)
