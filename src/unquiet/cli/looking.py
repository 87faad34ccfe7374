"""Where commands look: into a folder, or at the service that owns it."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from unquiet.app.adding import Added
from unquiet.app.eval_runs import eval_runs
from unquiet.app.folders import check_scanned
from unquiet.app.handling import shown
from unquiet.app.ledgers import SCHEMA, listed
from unquiet.app.status import status
from unquiet.app.voiced import overview, with_voices
from unquiet.app.voicing import add_voices
from unquiet.cli.evidence import COLUMNS
from unquiet.service.asking import Served, ended_without_a_word, served
from unquiet.service.voices import post_voices
from unquiet.sources import FileRead
from unquiet.store import Store

Document = Mapping[str, Any]


class Look(Protocol):
    """What commands that only read need to know."""

    def documents(self) -> Sequence[Document]:
        """The incidents, with what people did about them, in the order in which they were raised."""
        ...

    def coverage(self) -> Document:
        """What was not looked at, and why."""
        ...

    def turns(self, session_ids: Sequence[str]) -> list[dict[str, Any]]:
        """The turns of sessions, in order of time, with the columns of `evidence.COLUMNS`."""
        ...

    def status(self) -> Document:
        """What was read, judged and is visible."""
        ...

    def voices(self) -> Document:
        """How many voices there are, how they were joined, and what they alone would have told."""
        ...

    def with_voices(self, document: Document) -> Document:
        """The document of an incident with its voices, where the folder has any."""
        ...

    def add_voices(self, reads: Iterable[FileRead]) -> Added:
        """Add the voices that files hold."""
        ...

    def changes(self) -> Document:
        """Announced changes and those that the traffic showed, schema `unquiet.changes/1`."""
        ...

    def evals(self) -> Document:
        """The runs of evaluation suites, schema unquiet.evals/1."""
        ...


class Stored:
    """A folder that this process opened."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store, self._folder = store, folder

    @property
    def store(self) -> Store:
        """Opened."""
        return self._store

    def documents(self) -> Sequence[Document]:
        """As they are kept."""
        check_scanned(self._store, self._folder)
        now_us = round(datetime.now(UTC).timestamp() * 1e6)
        return shown(self._store.incidents(), self._store, now_us)

    def coverage(self) -> Document:
        """Of the last scan that came to its end, or of the service."""
        check_scanned(self._store, self._folder)
        return self._store.get_setting("coverage")

    def turns(self, session_ids: Sequence[str]) -> list[dict[str, Any]]:
        """From the segments."""
        return self._store.turns_of_sessions(session_ids, columns=COLUMNS).to_pylist()

    def status(self) -> Document:
        """Of the folder; `service_died` where one ran and did not stop by itself."""
        known = status(self._store, self._folder, datetime.now(UTC))
        return known | {"service_died": True} if ended_without_a_word(self._folder) else known

    def voices(self) -> Document:
        """As they are kept."""
        return overview(self._store)

    def with_voices(self, document: Document) -> Document:
        """From the folder as it is now."""
        return with_voices(self._store, document)

    def add_voices(self, reads: Iterable[FileRead]) -> Added:
        """Into the folder."""
        return add_voices(self._store, self._folder, reads)

    def changes(self) -> Document:
        """As they were announced to the folder, and as its last judgement saw them."""
        return listed(self._store)

    def evals(self) -> Document:
        """Of the folder."""
        return eval_runs(self._store)


class Asked:
    """A folder that a running service owns."""

    def __init__(self, service: Served) -> None:
        self._service = service

    def documents(self) -> Sequence[Document]:
        """As the service shows them."""
        return self._service.incidents()

    def coverage(self) -> Document:
        """As the service knows it; empty until it has looked."""
        found = self._service.status().get("coverage")
        return found if isinstance(found, dict) else {}

    def turns(self, session_ids: Sequence[str]) -> list[dict[str, Any]]:
        """From the service's folder."""
        return self._service.turns(session_ids)

    def status(self) -> Document:
        """Of the folder and of the service."""
        return self._service.status()

    def voices(self) -> Document:
        """As the service keeps them."""
        return self._service.voices()

    def with_voices(self, document: Document) -> Document:
        """As the service shows the incident by itself."""
        return self._service.incident(str(document["id"]))

    def add_voices(self, reads: Iterable[FileRead]) -> Added:
        """Through the service, which makes them unreadable as its configuration says."""
        return post_voices(self._service, reads)

    def changes(self) -> Document:
        """As the service knows them."""
        known = self._service.changes()
        changes = [
            {**each, "announced": said} for name, said in (("changes", True), ("seen", False)) for each in known[name]
        ]
        changes.sort(key=lambda each: datetime.fromisoformat(str(each["at"])))
        return {"schema": SCHEMA, "changes": changes, "kinds": known["kinds"], "sightings": known["sightings"]}

    def evals(self) -> Document:
        """As the service knows them."""
        return self._service.evals()


@contextmanager
def look_into(folder: Path) -> Generator[Look]:
    """Look into a folder, or ask the service that owns it.

    Raises:
        StoreError: the folder cannot be opened. NotAnswered: the service does not say.
    """
    service = served(folder, os.environ)
    if service is not None:
        yield Asked(service)
        return
    with Store.open(folder, create=False) as store:
        yield Stored(store, folder)
