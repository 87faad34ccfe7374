"""The voices door: exports of help desks, ratings and posts become tables of voices.

A format is one class of the protocol `Source` (its tables follow VOICES) in a file of its own, and a line in `VOICE_FORMATS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from unquiet.sources.protocol import ReadOptions, Source
from unquiet.sources.reading import FileRead, read_with
from unquiet.sources.voices.discourse import Discourse
from unquiet.sources.voices.freshdesk import Freshdesk
from unquiet.sources.voices.intercom import Intercom
from unquiet.sources.voices.table import VoiceTable
from unquiet.sources.voices.zendesk import Zendesk

__all__ = ["VOICE_FORMATS", "read_voices"]

VOICE_FORMATS: tuple[Source, ...] = (Zendesk(), Intercom(), Freshdesk(), Discourse(), VoiceTable())
"""The formats; where two are equally sure, the first reads the file."""


def read_voices(
    paths: Sequence[Path | str],
    mapping: Mapping[str, str] | None = None,
    *,
    scale: tuple[float, float] | None = None,
    now: datetime | None = None,
) -> Iterator[FileRead]:
    """Every file of the paths as `(path, tables of voices, report)`; see `unquiet.sources.read_files`.

    `mapping` names, for a column of VOICES, the column of the file that holds it ({"time": "opened"}).
    `scale` is the range of ratings, worst to best, where it is not to be found in the data.

    Raises:
        UnreadableSource: a path leads nowhere, or the only file cannot be read (raised while iterating).
    """
    at = now or datetime.now(UTC)
    options = ReadOptions(round(at.timestamp() * 1_000_000), dict(mapping or {}), scale=scale)
    return read_with(VOICE_FORMATS, paths, options)
