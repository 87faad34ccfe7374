"""From what the user typed to the files that it means."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unquiet.model.errors import UnreadableSource

SIDE_FILES = frozenset(
    {"deploys.jsonl", "deploys.csv", "changes.jsonl", "changes.csv", "README.md", "README", "LICENSE"}
)
"""Names that lie beside traffic and hold none; inside a folder they are left out, with a note."""


STORE_FILE = "unquiet.duckdb"
"""The file that makes a folder a store of unquiet: what lies in it was read once already."""

OWN_FOLDER = ".unquiet"
"""Where unquiet keeps what no `--db` was named for; left out without a word, since every folder of a scan has it."""


@dataclass(slots=True)
class Found:
    """The files of a request, sorted within each path, each once; `notes` says what was left out."""

    files: list[Path] = field(default_factory=list[Path])
    notes: list[str] = field(default_factory=list[str])
    _seen: set[Path] = field(default_factory=set[Path])

    def add(self, path: Path) -> None:
        """Add a file unless it is there already."""
        if path not in self._seen:
            self._seen.add(path)
            self.files.append(path)


def find(paths: Sequence[Path | str]) -> Found:
    """Expand files, folders (recursively, without hidden and side files) and glob patterns.

    Raises:
        UnreadableSource: a path matches nothing, may not be read, or a folder holds no file.
    """
    found = Found()
    if not paths:
        raise UnreadableSource("no path was given. Name a file, a folder or a pattern such as 'logs/*.jsonl'.")
    for given in paths:
        path = Path(given).expanduser()
        if _is(path, "dir"):
            _refuse_store(path)
            _add_folder(path, found)
        elif _is(path, "exists"):
            if not path.is_file():
                raise UnreadableSource(
                    f"{path}: a pipe or device, which cannot be looked at twice. Write it to a file and name that."
                )
            found.add(path)
        else:
            _add_pattern(str(path), found)
    return found


def find_files(paths: Sequence[Path | str]) -> list[Path]:
    """The files of `find`.

    Raises:
        UnreadableSource: a path matches nothing, may not be read, or a folder holds no file.
    """
    return find(paths).files


def _is(path: Path, what: str) -> bool:
    try:
        return path.is_dir() if what == "dir" else path.exists()
    except PermissionError as error:
        raise _denied(path) from error
    except OSError as error:
        shown = str(path) if len(str(path)) < 200 else f"{str(path)[:200]}..."
        raise UnreadableSource(f"{shown}: {(error.strerror or str(error)).lower()}. Check the path.") from error


def _denied(path: Path) -> UnreadableSource:
    return UnreadableSource(f"{path}: permission denied. Allow this user to read it, or run as its owner.")


def _is_store(folder: Path) -> bool:
    try:
        return (folder / STORE_FILE).is_file()
    except OSError:
        return False


def _refuse_store(folder: Path) -> None:
    holds = _is_store(folder)
    if holds or folder.resolve().name == OWN_FOLDER:
        look = f", or look into it with `unquiet status --db {folder}`" if holds else ""
        raise UnreadableSource(
            f"{folder}: what unquiet keeps of earlier scans, not traffic. Name the files that were scanned{look}."
        )


def _add_folder(folder: Path, found: Found) -> None:
    try:
        entries = sorted(folder.iterdir())
    except PermissionError as error:
        raise _denied(folder) from error
    before = len(found.files)
    _add_entries(entries, found)
    if len(found.files) == before:
        raise UnreadableSource(
            f"{folder}: the folder holds no file of traffic. "
            "Put turn tables, OTLP files or exports in it, or name another path."
        )


def _add_entries(entries: list[Path], found: Found) -> None:
    for entry in entries:
        if entry.name == OWN_FOLDER:
            continue
        if entry.name.startswith("."):
            found.notes.append(f"{entry}: hidden, left out")
        elif entry.name in SIDE_FILES:
            found.notes.append(f"{entry}: a side file that holds no turns, left out")
        elif _is_store(entry):
            found.notes.append(f"{entry}: a store of unquiet, left out")
        elif entry.is_dir():
            try:
                _add_entries(sorted(entry.iterdir()), found)
            except PermissionError as error:
                raise _denied(entry) from error
        elif entry.exists() and not entry.is_file():
            found.notes.append(f"{entry}: a pipe or device, left out")
        else:
            found.add(entry)


def _add_pattern(pattern: str, found: Found) -> None:
    matches = sorted(Path(match) for match in glob.glob(pattern, recursive=True))  # noqa: PTH207 (absolute patterns)
    if not matches:
        wildcard = "; patterns are quoted, such as 'logs/*.jsonl'" if glob.has_magic(pattern) else ""
        raise UnreadableSource(f"{pattern}: nothing is there. Check the spelling{wildcard}.")
    files = [match for match in matches if match.is_file()]
    for match in matches:
        if _is_store(match):
            found.notes.append(f"{match}: a store of unquiet, left out")
        elif match.is_dir():
            _add_folder(match, found)
    _add_entries(files, found)
