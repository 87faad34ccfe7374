"""What the log looks like on disk: numbered segment files, each a head and then records.

A segment is `000000000042.wal`: 16 bytes of head (magic, format version, checksum), then records of 32 bytes of head
(marker, lengths, kind, count, arrival, two checksums) and the source and payload. All numbers are little-endian. The
checksums are CRC-32 begun with the number of the segment, so that a record counts only in the segment it was written to.
The head of a record has its own checksum: its length can be trusted even where its payload is damaged.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from unquiet.model.bodies import Body, BodyKind
from unquiet.model.errors import WalError

FORMAT_VERSION = 1
MAGIC = b"unqwal"
SEGMENT_HEAD_BYTES = 16
RECORD_HEAD_BYTES = 32
MARKER = b"\xf5\x9bUR"
SUFFIX = ".wal"
QUARANTINE = "quarantine"
DAMAGED = ".bin"
"""How names of files in quarantine end that hold damaged bytes of the log."""

LOCK = "lock"

SOURCE_BYTES_MAX = 0xFFFF
PAYLOAD_BYTES_MAX = 0xFFFF_FFFF

_SEGMENT_HEAD = struct.Struct("<6sHII")
_RECORD_HEAD = struct.Struct("<4sIHBxIqI")
_CHECKSUM = struct.Struct("<I")


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the log: the number of a segment (0 is before the first one) and a byte in its file."""

    segment: int
    offset: int


START = Position(0, 0)


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing read from the log: a body or, where `body` is None, a place that could not be read.

    `end` is where reading goes on when this entry is done with. `damage` says what is damaged, where, and where its
    bytes were put; `bytes_lost` is how many these are.
    """

    body: Body | None
    end: Position
    damage: str | None = None
    bytes_lost: int = 0


@dataclass(frozen=True, slots=True)
class RecordHead:
    """The head of a record, its checksum proven."""

    payload_bytes: int
    source_bytes: int
    kind: int
    count: int
    arrived_us: int
    checksum: int

    @property
    def content_bytes(self) -> int:
        """What follows the head."""
        return self.source_bytes + self.payload_bytes


def segment_path(folder: Path, number: int) -> Path:
    """The file of a segment."""
    return folder / f"{number:012d}{SUFFIX}"


def segment_sizes(folder: Path) -> dict[int, int]:
    """Number and bytes of the segments that are present, in order.

    Raises:
        OSError: the folder cannot be listed.
    """
    sizes: dict[int, int] = {}
    with os.scandir(folder) as found:
        for item in found:
            number = item.name.removesuffix(SUFFIX)
            if number != item.name and number.isdecimal():
                try:
                    sizes[int(number)] = item.stat().st_size
                except FileNotFoundError:
                    # The reader removed it meanwhile.
                    continue
    return dict(sorted(sizes.items()))


def segment_head(number: int) -> bytes:
    """The first bytes of a segment."""
    start = _SEGMENT_HEAD.pack(MAGIC, FORMAT_VERSION, 0, 0)[:-4]
    return start + _CHECKSUM.pack(zlib.crc32(start, salt(number)))


def version_of(head: bytes, number: int) -> int | None:
    """The format version of a segment by its whole head, None where the head is damaged."""
    magic, version, _, checksum = _SEGMENT_HEAD.unpack(head)
    return version if magic == MAGIC and checksum == zlib.crc32(head[:-4], salt(number)) else None


def salt(number: int) -> int:
    """What the checksums of a segment begin with."""
    return zlib.crc32(number.to_bytes(8, "little"))


def record_start(body: Body, number: int) -> bytes:
    """Everything of a record but its payload, for the segment with this number.

    Raises:
        WalError: the body does not fit into a record.
    """
    source = body.source.encode("utf-8", "surrogatepass")
    if len(source) > SOURCE_BYTES_MAX or len(body.payload) > PAYLOAD_BYTES_MAX:
        raise WalError(
            f"A body of {len(body.payload):,} bytes from a source name of {len(source):,} bytes does not fit into the log: "
            f"at most {PAYLOAD_BYTES_MAX:,} and {SOURCE_BYTES_MAX:,}. Send smaller batches."
        )
    checksum = zlib.crc32(body.payload, zlib.crc32(source, salt(number)))
    head = _RECORD_HEAD.pack(
        MARKER, len(body.payload), len(source), int(body.kind), body.count, body.arrived_us, checksum
    )
    return head + _CHECKSUM.pack(zlib.crc32(head, salt(number))) + source


def read_record_head(head: bytes, number: int) -> RecordHead | None:
    """The head of a record in a segment, None where these 32 bytes are none."""
    if len(head) != RECORD_HEAD_BYTES or head[:4] != MARKER:
        return None
    start = head[:-4]
    if _CHECKSUM.unpack(head[-4:])[0] != zlib.crc32(start, salt(number)):
        return None
    _, payload_bytes, source_bytes, kind, count, arrived_us, checksum = _RECORD_HEAD.unpack(start)
    return RecordHead(payload_bytes, source_bytes, kind, count, arrived_us, checksum)


def read_body(head: RecordHead, content: bytes, number: int) -> Body | None:
    """The body of a record by its head and what follows it, None where the checksum or kind is wrong."""
    if zlib.crc32(content, salt(number)) != head.checksum or head.kind not in _KINDS:
        return None
    source = content[: head.source_bytes].decode("utf-8", "surrogatepass")
    return Body(BodyKind(head.kind), source, head.arrived_us, head.count, content[head.source_bytes :])


_KINDS = frozenset(map(int, BodyKind))
