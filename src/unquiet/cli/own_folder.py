"""Folders for commands that read all of the traffic: a running service keeps its own to itself."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from unquiet.app.folders import check_scanned
from unquiet.model.errors import StoreError
from unquiet.service.asking import served
from unquiet.store import Store


@contextmanager
def own_folder(folder: Path) -> Generator[Store]:
    """Open a scanned folder.

    Raises:
        StoreError: it cannot be opened, was not scanned, or belongs to a service that is running.
    """
    if served(folder, os.environ) is not None:
        raise StoreError(
            f"{folder} belongs to a running service, and this command has to read all of its traffic. Stop the service, or copy "
            "the folder and name the copy with --db."
        )
    with Store.open(folder, create=False) as store:
        check_scanned(store, folder)
        yield store
