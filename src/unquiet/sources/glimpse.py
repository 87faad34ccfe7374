"""A first look at a file: enough to see which format it has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from unquiet.sources.stream import read_head

HEAD_BYTES = 256 * 1024
_PROBED_LINES = 20
_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"|[{}\[\],:]')

Shape = Literal["json", "text", "parquet", "zip", "binary", "empty"]


@dataclass(frozen=True, slots=True)
class Glimpse:
    """The beginning of a file.

    `head` holds its first decompressed bytes. `shape` is the outer form: `json` is one JSON value or one a
    line, `text` any other text (CSV). `keys` are the key paths of the first records as far as they can be
    seen (`resourceSpans`, `trace.id`, `observations.type`; lists add nothing to a path) or the columns of a
    table. `listed` is True where the file is one JSON list.
    """

    path: Path
    head: bytes
    shape: Shape
    keys: frozenset[str]
    listed: bool = False

    def has(self, *paths: str) -> bool:
        """All key paths are there."""
        return all(path in self.keys for path in paths)


def look_at(path: Path) -> Glimpse:
    """The first look at a file.

    Raises:
        UnreadableSource: the file is not there or may not be read.
    """
    head = read_head(path, HEAD_BYTES).removeprefix(b"\xef\xbb\xbf")
    if not head.strip():
        return Glimpse(path, head, "empty", frozenset())
    if head.startswith(b"PAR1"):
        return Glimpse(path, head, "parquet", _parquet_columns(path))
    if head.startswith(b"PK\x03\x04"):
        return Glimpse(path, head, "zip", frozenset())
    if b"\x00" in head[:4096]:
        return Glimpse(path, head, "binary", frozenset())
    keys = _json_keys(head)
    if keys is not None:
        return Glimpse(path, head, "json", keys, listed=head.lstrip()[:1] == b"[")
    if _control_share(head) > 0.02:
        return Glimpse(path, head, "binary", frozenset())
    return Glimpse(path, head, "text", _header_cells(head))


def _control_share(head: bytes) -> float:
    sample = head[:4096]
    return sum(byte < 32 and byte not in b"\t\n\r\f" for byte in sample) / len(sample)


def _parquet_columns(path: Path) -> frozenset[str]:
    try:
        return frozenset(pq.read_schema(path).names)
    except (pa.ArrowException, OSError):
        return frozenset()


def _header_cells(head: bytes) -> frozenset[str]:
    line = head.splitlines()[0].decode("utf-8", "replace")
    for separator in (",", ";", "\t"):
        if separator in line:
            return frozenset(cell.strip().strip('"') for cell in line.split(separator))
    return frozenset({line.strip().strip('"')})


def _json_keys(head: bytes) -> frozenset[str] | None:
    """Key paths of the records in the head; None where it does not look like JSON."""
    starts = [line for line in head.split(b"\n", _PROBED_LINES) if line.lstrip()[:1] in (b"{", b"[")]
    if not starts or _TOKEN.search(starts[0]) is None:
        return None
    first = head.lstrip()
    if first[:1] in (b"{", b"["):
        keys = _walk(first)
        if keys:
            return frozenset(keys)
    found: set[str] = set()
    for line in starts[:_PROBED_LINES]:
        found |= _walk(line)
    return frozenset(found) or (frozenset() if first[:1] in (b"{", b"[") else None)


def _walk(data: bytes) -> set[str]:
    """Key paths of a JSON value that may be cut off anywhere."""
    found: set[str] = set()
    path: list[str] = []
    opened: list[bytes] = []
    key = ""
    for match in _TOKEN.finditer(data):
        token = match.group(0)
        if match.group(1) is not None:
            key = match.group(1).decode("utf-8", "replace")
        elif token == b":":
            found.add(".".join(filter(None, (*path, key))))
        elif token in (b"{", b"["):
            opened.append(token)
            path.append(key)
            key = ""
        elif token in (b"}", b"]"):
            if not opened:
                break
            opened.pop()
            key = path.pop()
            if not opened:
                break
        elif opened and opened[-1] == b"{":
            key = ""
    return found
