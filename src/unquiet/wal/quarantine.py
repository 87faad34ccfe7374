"""What was acknowledged and cannot be read, put aside as it is: a bounded folder beside the segments of the log."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from unquiet.wal.failures import explained
from unquiet.wal.layout import QUARANTINE

FILES_MAX = 500
BYTES_MAX = 256 << 20


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Files that only their owner may read, by name; `log` is the folder of the log.

    The oldest go where there are more than `files_max` of them, or more bytes than `bytes_max`: of the latest there is always
    one, whatever its size.
    """

    log: Path
    files_max: int = FILES_MAX
    bytes_max: int = BYTES_MAX

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self.log / QUARANTINE

    def keep(self, name: str, data: bytes, at_us: int | None = None) -> None:
        """Put something aside, durably; under a name that is there it takes the place of what was there.

        Args:
            name: of the file.
            data: as it was found.
            at_us: when it arrived, microseconds since 1970; now where that is not known.

        Raises:
            WalError: it could not be written.
        """
        try:
            self._write(self.folder / name, data, at_us)
            self._bound(name)
        except OSError as error:
            raise explained(self.folder, "putting aside what cannot be read", error) from error

    def _write(self, path: Path, data: bytes, at_us: int | None) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "wb") as kept:
            kept.write(data)
            kept.flush()
            os.fsync(kept.fileno())
        if at_us is not None:
            os.utime(path, ns=(at_us * 1000, at_us * 1000))
        if os.name != "nt":
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _bound(self, latest: str) -> None:
        """What is read anew after a restart takes its old name: what is put aside last is not what arrived last."""
        others = [each for each in self._found() if each[1].name != latest]
        room = self.bytes_max - (self.folder / latest).stat().st_size
        for count, (_, path, size) in enumerate(reversed(others), 2):
            room -= size
            if count > self.files_max or room < 0:
                path.unlink(missing_ok=True)

    def _found(self) -> list[tuple[int, Path, int]]:
        """Arrival (ns), path and size of every file, the oldest first."""
        found: list[tuple[int, Path, int]] = []
        try:
            paths = list(self.folder.iterdir())
        except FileNotFoundError:
            return found
        for path in paths:
            try:
                seen = path.stat()
            except FileNotFoundError:
                # Somebody took it away meanwhile.
                continue
            found.append((seen.st_mtime_ns, path, seen.st_size))
        return sorted(found)

    def count(self, *endings: str) -> int:
        """How many files there are whose names end in one of `endings`.

        Raises:
            WalError: the folder cannot be listed.
        """
        try:
            return sum(path.name.endswith(endings) for _, path, _ in self._found())
        except OSError as error:
            raise explained(self.folder, "looking at what was put aside", error) from error

    def drop_before(self, at_us: int) -> int:
        """Remove what arrived before a moment (microseconds since 1970); how many files went.

        Raises:
            WalError: a file cannot be removed.
        """
        try:
            old = [path for arrived_ns, path, _ in self._found() if arrived_ns < at_us * 1000]
            for path in old:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise explained(self.folder, "removing what was put aside", error) from error
        return len(old)
