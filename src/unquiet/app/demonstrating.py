"""The demo: the story's traffic through the real file door, and whether what was found is what was done."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from unquiet.app.scanning import Progress, ScanResult, scan
from unquiet.demo import Story, write_story
from unquiet.model.errors import StoreError
from unquiet.model.settings import Settings


@dataclass(frozen=True, slots=True)
class Demo:
    """The story, the scan of it, and the id of the incident that tells it (None where none does)."""

    story: Story
    result: ScanResult
    found: str | None


def run_demo(folder: Path, seed: int, progress: Progress) -> Demo:
    """Write the story into `folder`, scan it from scratch and compare.

    An incident tells the story if it lies within the story's slice or is that slice, and its onset interval holds the
    onset.

    Raises:
        StoreError: the folder cannot be written.
    """
    progress("writing two weeks of traffic", 0.0)
    store = folder / "store"
    try:
        if store.exists():
            shutil.rmtree(store)
        story = write_story(folder, seed=seed)
    except OSError as error:
        raise StoreError(f"cannot write {folder}: {error.strerror}. Run the demo where you may write.") from error
    result = scan([str(story.turns)], store, Settings(), mapping={}, changes=[story.deploys], progress=progress)
    incidents = result.document["incidents"]
    found = [i for i in incidents if _tells(i, story)] if isinstance(incidents, list) else []
    return Demo(story, result, str(found[0]["id"]) if found else None)


def _tells(incident: dict[str, object], story: Story) -> bool:
    where, onset = incident["slice"], incident["onset"]
    if not isinstance(where, dict) or not isinstance(onset, dict):
        return False
    told = story.onset.astimezone(UTC)
    inside = datetime.fromisoformat(str(onset["earliest"])) <= told <= datetime.fromisoformat(str(onset["latest"]))
    return where == story.slice and inside
