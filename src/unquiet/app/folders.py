"""Which folder a command works on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from unquiet.model.errors import StoreError
from unquiet.model.settings import Settings
from unquiet.store import DATABASE, Store

HOME = Path(".unquiet")
LAST = HOME / "last"


def scan_folder(paths: Sequence[str], mapping: Mapping[str, str], settings: Settings) -> Path:
    """The folder of a scan without `--db`: its own, named after what is read and how, below ./.unquiet/scans."""
    parts = [str(Path(path).resolve()) for path in paths]
    parts += [f"{key}={value}" for key, value in sorted(mapping.items())]
    parts.append(repr(settings))
    mark = hashlib.blake2b("\n".join(parts).encode(), digest_size=6).hexdigest()
    return HOME / "scans" / mark


def is_store(folder: Path) -> bool:
    """Whether something was kept in the folder."""
    return (folder / DATABASE).is_file()


def remember(folder: Path) -> None:
    """Make `folder` the one that commands look into when no `--db` is given, where that can be written down."""
    try:
        LAST.parent.mkdir(parents=True, exist_ok=True)
        LAST.write_text(str(folder.resolve()) + "\n", encoding="utf-8")
    except OSError:
        return  # the scan or the service says itself where it keeps things


def check_scanned(store: Store, folder: Path) -> None:
    """See that a scan has come to its end in the folder: before that, no incident does not mean that all is well.

    Raises:
        StoreError: none has.
    """
    if store.get_setting("coverage") is None:
        raise StoreError(f"no scan has come to its end in {folder} yet. Run `unquiet scan PATH --db {folder}` again.")


def known_folder(db: Path | None) -> Path:
    """The folder to look into: `--db`, or that of the last scan.

    Raises:
        StoreError: there is none.
    """
    if db is not None:
        return db
    try:
        last = LAST.read_text(encoding="utf-8").strip() if LAST.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise StoreError(f"{LAST} cannot be read ({why}). Remove it and scan again, or use --db.") from error
    if last:
        here = Path.cwd()
        return Path(last).relative_to(here) if Path(last).is_relative_to(here) else Path(last)
    raise StoreError(
        "nothing has been scanned here yet, and nothing served. Run `unquiet scan PATH` or `unquiet serve` first, or name a "
        "folder with --db."
    )
