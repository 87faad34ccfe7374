"""Where commands look: into a folder, or at the service that owns it."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from unquiet.app.eval_runs import eval_runs
from unquiet.app.folders import check_scanned
from unquiet.app.handling import shown
from unquiet.app.status import status
from unquiet.cli.evidence import COLUMNS
from unquiet.service.asking import Served, ended_without_a_word, served
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

    def evals(self) -> Document:
        """The runs of evaluation suites, schema unquiet.evals/1."""
        ...


class Stored:
    """A folder that this process opened."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store, self._folder = store, folder

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
