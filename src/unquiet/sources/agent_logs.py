"""Logs of whole runs: Inspect evaluation logs (.json, .eval), ATIF trajectories, OpenClaw telemetry."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from unquiet.conventions.openclaw import OpenClaw
from unquiet.conventions.otlp import Telemetry
from unquiet.conventions.trajectories import atif_spans, inspect_spans
from unquiet.model.errors import UnreadableSource
from unquiet.model.rejections import DAMAGED, ReadReport
from unquiet.model.spans import Span
from unquiet.sources.glimpse import Glimpse
from unquiet.sources.json_records import BadJsonError, JsonRecords, Record, parse
from unquiet.sources.protocol import ReadOptions
from unquiet.sources.span_file import span_tables
from unquiet.sources.stream import read_exactly, read_head

_ZSTD = 93
"""The compression of zip members that the standard library cannot read (APPNOTE.TXT 4.4.5)."""

_UNREADABLE = (BadJsonError, zipfile.BadZipFile, zlib.error, KeyError, EOFError, OSError)

Payloads = Iterator[tuple[str | int, Telemetry]]


class InspectLog:
    """Inspect's evaluation logs: every sample is a session."""

    name = "Inspect log"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure with a log's own keys, or a zip archive that holds samples."""
        if glimpse.shape == "zip":
            return 0.9 if _is_eval(glimpse.path) else 0.0
        return 0.95 if glimpse.has("eval.task", "status") else 0.0

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Turns of the samples."""
        zipped = read_head(path, 2) == b"PK"
        payloads = _zipped_samples(path, options, report) if zipped else _json_samples(path, options, report)
        return span_tables(path, payloads, options, report)


class AtifTrajectory:
    """ATIF trajectories: one run of an agent a document."""

    name = "ATIF trajectory"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure with steps that have a source."""
        return 0.95 if glimpse.has("session_id", "agent.name", "steps") else 0.0

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """One turn a message of the user."""
        return span_tables(path, self._payloads(path, options, report), options, report)

    def _payloads(self, path: Path, options: ReadOptions, report: ReadReport) -> Payloads:
        written_us = path.stat().st_mtime_ns // 1000
        for batch in JsonRecords(path, options, report):
            for record, place in zip(batch.records, batch.places, strict=True):
                if not _is_timed(record):
                    report.notes.append(f"{path}: the steps bear no times; the file's own time stands for them")
                yield place, _collected(atif_spans(record, written_us), str(place))


class OpenClawTelemetry:
    """OpenClaw's telemetry in JSON lines."""

    name = "OpenClaw telemetry"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure with the types of its events."""
        mine = any(mark in glimpse.head for mark in (b'"agent.start"', b'"message.in"', b'"tool.start"'))
        return 0.9 if glimpse.shape == "json" and glimpse.has("type") and mine else 0.0

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """One turn a run of an agent."""
        return span_tables(path, self._payloads(path, options, report), options, report)

    def _payloads(self, path: Path, options: ReadOptions, report: ReadReport) -> Payloads:
        reader = OpenClaw()
        for batch in JsonRecords(path, options, report):
            for record, place in zip(batch.records, batch.places, strict=True):
                yield place, _collected(reader.take(record), str(record.get("type") or "event"))
        yield "end", _collected(reader.rest(), "end")


def _is_timed(trajectory: Record) -> bool:
    steps = trajectory.get("steps")
    return isinstance(steps, list) and any(isinstance(step, dict) and step.get("timestamp") for step in steps)


def _collected(spans: Iterable[Span], what: str) -> Telemetry:
    payload = Telemetry()
    try:
        payload.spans.extend(spans)
    except (ValueError, TypeError) as error:
        payload.rejected.append((what, str(error)))
    return payload


def _is_eval(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return path.suffix == ".eval"
    return "header.json" in names or "_journal/start.json" in names


def _json_samples(path: Path, options: ReadOptions, report: ReadReport) -> Payloads:
    for batch in JsonRecords(path, options, report):
        for record in batch.records:
            samples = record.get("samples")
            for number, sample in enumerate(samples if isinstance(samples, list) else [], 1):
                if isinstance(sample, dict):
                    yield f"sample {number}", _collected(inspect_spans(sample, record), f"sample {number}")


def _zipped_samples(path: Path, options: ReadOptions, report: ReadReport) -> Payloads:
    header, samples = zipped_log(path, options, report)
    for name, sample in samples:
        yield name, _collected(inspect_spans(sample, header), name)


def zipped_log(path: Path, options: ReadOptions, report: ReadReport) -> tuple[Record, Iterator[tuple[str, Record]]]:
    """The header of an `.eval` archive (empty where it cannot be read), and its samples with the names of their members.

    Members that cannot be read are counted as damage.

    Raises:
        UnreadableSource: the archive is damaged or cut off.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise UnreadableSource(f"{path}: the archive is damaged or cut off ({error}). Copy the log again.") from error
    names = archive.namelist()
    read = _Members(path, archive, options.whole_limit_bytes, report)
    header = read.member("header.json" if "header.json" in names else "_journal/start.json")
    return header or {}, read.members(each for each in names if each.startswith("samples/") and each.endswith(".json"))


@dataclass(frozen=True, slots=True)
class _Members:
    """The members of an archive, each of at most `limit_bytes`."""

    path: Path
    archive: zipfile.ZipFile
    limit_bytes: int
    report: ReadReport

    def members(self, names: Iterable[str]) -> Iterator[tuple[str, Record]]:
        """Those that can be read, by name; the archive is closed then."""
        with self.archive:
            for name in sorted(names):
                found = self.member(name)
                if found is not None:
                    yield name, found

    def member(self, name: str) -> Record | None:
        """The object in a member; None, and counted, where it cannot be read."""
        try:
            value = parse(_content(self.archive, name, self.limit_bytes))
        except _UNREADABLE as error:
            reason = f"the member cannot be read ({error}); write the log again in .json"
        else:
            if isinstance(value, dict):
                return value
            reason = f"a {type(value).__name__} is there, not an object"
        self.report.reject(f"{self.path}:{name}", reason, DAMAGED)
        return None


def _content(archive: zipfile.ZipFile, name: str, limit_bytes: int) -> bytes:
    """The bytes of a member.

    Raises:
        OSError: it has more than it may, whatever its directory says.
    """
    data = _inflated(archive, name, limit_bytes + 1)
    if len(data) > limit_bytes:
        raise OSError(f"more than {limit_bytes:,} bytes")
    return data


def _inflated(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    info = archive.getinfo(name)
    if info.compress_type != _ZSTD or archive.fp is None:
        with archive.open(name) as stream:
            return stream.read(most)
    archive.fp.seek(info.header_offset + 26)
    name_size, extra_size = struct.unpack("<HH", archive.fp.read(4))
    archive.fp.seek(name_size + extra_size, 1)
    raw = pa.BufferReader(archive.fp.read(info.compress_size))
    return read_exactly(pa.CompressedInputStream(raw, "zstd"), most)
