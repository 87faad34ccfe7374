"""A folder over which no service runs, for the pages: it is opened for each look, so that other commands get at it too."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from unquiet.app.eval_runs import eval_runs
from unquiet.app.folders import check_scanned
from unquiet.app.handling import handle, shown
from unquiet.app.incident_facts import KeptFacts
from unquiet.app.ledgers import listed
from unquiet.app.marks import known_changes
from unquiet.app.status import status
from unquiet.app.voiced import overview
from unquiet.model.changes import Change
from unquiet.model.conditions import Condition
from unquiet.model.handling import Action, NotPossible, Verb
from unquiet.report import Facts
from unquiet.store import Store

Document = Mapping[str, Any]

NO_SERVICE = (
    "no service runs on this folder, and accepting begins a new baseline, which is the service's to do. Start it with "
    "`unquiet serve`, then accept."
)


class FolderShown:
    """Implements `web.backend.Shown` over a folder that was scanned.

    `died` says whether a service ran over it that did not stop by itself; `option` is how commands find the folder.
    """

    def __init__(self, folder: Path, clock_us: Callable[[], int], died: Callable[[], bool], option: str = "") -> None:
        self._folder, self._clock_us, self._died = folder, clock_us, died
        self._known = KeptFacts(option)
        self._lock = threading.RLock()
        self._store: Store | None = None

    @contextmanager
    def looking(self) -> Generator[None]:
        """Opened once for all looks inside; other threads wait."""
        with self._open():
            yield

    @contextmanager
    def _open(self) -> Generator[Store]:
        with self._lock:
            if self._store is not None:
                yield self._store
                return
            with Store.open(self._folder, create=False) as store:
                check_scanned(store, self._folder)
                self._store = store
                try:
                    yield store
                finally:
                    self._store = None

    def conditions(self) -> Sequence[Condition]:
        """None: no service runs."""
        return ()

    def status(self) -> Document:
        """Of the folder."""
        with self._open() as store:
            known = status(store, self._folder, datetime.fromtimestamp(self._clock_us() / 1e6, UTC))
        return known | {"service_died": True} if self._died() else known

    def incidents(self, status: str | None) -> Sequence[Document]:
        """As they are kept."""
        with self._open() as store:
            documents = shown(store.incidents(), store, self._clock_us())
        return [each for each in documents if status is None or each["status"] == status]

    def facts(self, incident_id: str) -> Facts | None:
        """From the folder as it is now."""
        with self._open() as store:
            document = store.incident(incident_id)
            if document is None:
                return None
            (told,) = shown([document], store, self._clock_us())
            return self._known.of(store, told)

    def gap(self) -> Document | None:
        """From the folder as it is now."""
        with self._open() as store:
            documents = shown(store.incidents(), store, self._clock_us())
            return self._known.gap(store, documents)

    def unable(self) -> Mapping[Verb, str]:
        """Accepting needs a service."""
        return {"accept": NO_SERVICE}

    def handle(self, incident_id: str, action: Action) -> Document:
        """Do it durably; accepting needs a service."""
        if action.verb == "accept":
            raise NotPossible(NO_SERVICE)
        with self._open() as store:
            return handle(store, incident_id, action, self._clock_us())

    def changes(self) -> Sequence[Change]:
        """All announced changes."""
        with self._open() as store:
            return known_changes(store)

    def ledger(self) -> Document:
        """As the last judgement kept it."""
        with self._open() as store:
            known = listed(store)
        seen = [each for each in known["changes"] if not each["announced"]]
        return {"seen": seen, "kinds": known["kinds"], "sightings": known["sightings"]}

    def evals(self) -> Document:
        """From the folder."""
        with self._open() as store:
            return eval_runs(store)

    def voices(self) -> Document:
        """As they are kept."""
        with self._open() as store:
            return overview(store)
