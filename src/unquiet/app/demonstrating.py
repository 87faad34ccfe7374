"""The demo: the story's traffic through the real file door, and whether what was found is what was done."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from unquiet.app.scanning import Progress, ScanResult, scan
from unquiet.demo import Story, write_story
from unquiet.model.errors import StoreError
from unquiet.model.settings import Settings
from unquiet.store import Store

SLACK = timedelta(hours=1)
"""An interval that holds the onset 95 times in 100 misses it now and then: so close by, it is still that change."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """An incident that tells the story, held against it.

    `late` is how long after the onset it was raised, `met` how many sessions the failure had reached by then. Of
    `claimed` sessions `right` were reached. `inside`: the onset interval holds the onset. `deploy_rank` is the place of
    the release among the suspects, from 1, or None where it is not among them.
    """

    incident: Mapping[str, Any]
    late: timedelta
    met: int
    claimed: int
    right: int
    inside: bool
    deploy_rank: int | None


@dataclass(frozen=True, slots=True)
class Demo:
    """The story, the scan of it, the folder it is kept in and the incident that tells it (None where none does)."""

    story: Story
    result: ScanResult
    store: Path
    found: Comparison | None


def run_demo(folder: Path, seed: int, progress: Progress) -> Demo:
    """Write the story into `folder`, scan it and compare.

    Where the same story was scanned in this folder before, that scan is continued, which takes a moment.

    Raises:
        StoreError: the folder cannot be written.
    """
    progress("writing two weeks of traffic", 0.0)
    store, scanned = folder / "store", folder / "scanned"
    try:
        story, mark = _write(folder, store, scanned, seed)
        result = scan([str(story.turns)], store, Settings(), mapping={}, changes=[story.deploys], progress=progress)
        scanned.write_text(mark, encoding="ascii")
    except OSError as error:
        raise StoreError(f"cannot write {folder}: {error.strerror}. Run the demo where you may write.") from error
    with Store.open(store, create=False) as opened:
        found = [_compare(incident, story) for incident in opened.incidents() if _tells(incident, story)]
    return Demo(story, result, store, found[0] if found else None)


def _write(folder: Path, store: Path, scanned: Path, seed: int) -> tuple[Story, str]:
    """The story in its folder, and its mark; a store that did not end with the scan of this story is removed.

    `scanned` holds the mark of the story whose scan came to its end in the store.
    """
    before = scanned.read_bytes() if scanned.is_file() else b""
    scanned.unlink(missing_ok=True)
    story = write_story(folder, seed=seed)
    mark = hashlib.blake2b(story.turns.read_bytes(), digest_size=16).hexdigest()
    if store.exists() and before != mark.encode():
        shutil.rmtree(store)
    return story, mark


def _tells(incident: Mapping[str, Any], story: Story) -> bool:
    """Whether the incident is in the story's slice, and began with it."""
    earliest, latest = _ends(incident)
    return incident["slice"] == story.slice and earliest - SLACK <= story.onset <= latest + SLACK


def _ends(incident: Mapping[str, Any]) -> tuple[datetime, datetime]:
    onset = incident["onset"]
    return datetime.fromisoformat(onset["earliest"]), datetime.fromisoformat(onset["latest"])


def _compare(incident: Mapping[str, Any], story: Story) -> Comparison:
    earliest, latest = _ends(incident)
    raised = datetime.fromisoformat(incident["raised_at"])
    claimed = set(incident["session_ids"])
    release = story.deploy["from"], story.deploy["to"]
    ranks = [rank for rank, s in enumerate(incident["suspects"], start=1) if (s["from"], s["to"]) == release]
    return Comparison(
        incident,
        raised - story.onset,
        sum(at <= raised for at in story.affected.values()),
        len(claimed),
        len(claimed & set(story.affected)),
        earliest <= story.onset <= latest,
        ranks[0] if ranks else None,
    )
