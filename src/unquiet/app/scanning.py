"""Scan: files into the folder, then the folder's turns through the chain in order of time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unquiet.app.adding import add_records
from unquiet.app.describing import coverage, describe, watched_streams
from unquiet.app.eval_joining import join_verdicts
from unquiet.app.ledgers import keep_sightings
from unquiet.app.marks import keep_read, marks, once
from unquiet.app.mixing import describe_mix
from unquiet.app.replaying import Progress, keep_incidents, left_out, replay
from unquiet.app.voiced import with_voices
from unquiet.app.voicing import keep_voices, refresh
from unquiet.model.changes import Change
from unquiet.model.errors import UnreadableSource
from unquiet.model.rejections import DUPLICATE, ReadReport, Rejection
from unquiet.model.settings import Settings
from unquiet.pipeline.judging import Judge
from unquiet.sources import NO_ROWS, FileRead, find_files, read_files
from unquiet.sources.changes import read_changes
from unquiet.sources.evals import read_evals
from unquiet.sources.voices import read_voices
from unquiet.store import SourceRow, Store

SCHEMA = "unquiet.scan/1"


@dataclass(slots=True)
class ScanResult:
    """The answer of a scan: the document of schema `unquiet.scan/1`, and the reports of the files, read now or before."""

    document: dict[str, object]
    reports: list[tuple[str, ReadReport]] = field(default_factory=list[tuple[str, ReadReport]])


def scan(
    paths: Sequence[str],
    folder: Path,
    settings: Settings,
    *,
    mapping: Mapping[str, str],
    changes: Sequence[Path],
    progress: Progress,
    evals: Sequence[str] = (),
    voices: Sequence[Path] = (),
) -> ScanResult:
    """Read the files into the folder (those with known content are skipped) and judge all of its turns.

    `evals` are reports of an evaluation suite: they are kept for what is asked about the incidents.

    Raises:
        UnreadableSource, StoreError: nothing could be looked at.
    """
    read, change_report = _changes(changes)
    with Store.open(folder) as store:
        result = ScanResult({})
        if change_report.rejected_count:
            result.reports.append((", ".join(map(str, changes)), change_report))
        if evals:
            result.reports += add_records(store, store.evals, read_evals(evals)).reports
        if voices:
            result.reports += keep_voices(store, folder, read_voices(voices)).reports
        ingest(store, paths, mapping, result, progress)
        join_verdicts(store)
        with store.transaction():
            announced = once([*marks(store), *read])
            keep_read(store, read)
            judge = replay(store, settings, progress, announced)
            documents = [*describe(judge, store, announced), *describe_mix(judge, store, announced)]
            documents.sort(key=lambda document: str(document["raised_at"]))
            keep_incidents(store, documents)
            notes = {**coverage(judge, store), **left_out(store, settings)}
            store.put_setting("coverage", notes)
            keep_sightings(store, judge)
            store.put_setting("scanned_turns", store.turn_extent().count)
        refresh(store, folder)
        told = [dict(with_voices(store, document)) for document in documents]
        result.document = scan_document(judge, told, notes)
    return result


def scan_document(judge: Judge, documents: list[dict[str, object]], notes: dict[str, object]) -> dict[str, object]:
    """The answer of schema `unquiet.scan/1`."""
    shown = [{key: value for key, value in d.items() if key != "session_ids"} for d in documents]
    return {
        "schema": SCHEMA,
        "sessions": judge.session_count + judge.assembler.open_count,
        "turns": judge.turn_count + judge.assembler.open_turns.num_rows,
        "streams": watched_streams(judge),
        "budget_per_30_days": judge.settings.budget,
        "incidents": shown,
        "coverage": notes,
    }


def ingest(
    store: Store, paths: Sequence[str], mapping: Mapping[str, str], result: ScanResult, progress: Progress
) -> None:
    """Read every file whose content is not in the folder yet, each in one transaction."""
    total = max(len(find_files(paths)), 1)
    for index, read in enumerate(read_files(paths, mapping)):
        progress(f"reading {read.path.name}", index / total)
        fingerprint = _fingerprint(read.path, mapping)
        known = store.files.known(fingerprint) if fingerprint else None
        if known is None:
            _ingest_file(store, read, fingerprint or _unread(read.path))
            if read.report.verdicts:
                add_records(store, store.evals, read_evals([read.path]))
            result.reports.append((str(read.path), read.report))
        else:
            result.reports.append((str(read.path), _known(known, str(read.path), read.report.notes)))
        if fingerprint:
            store.files.forget(_unread(read.path))
    progress("reading", 1.0)
    if not store.turn_extent().count:
        raise nothing_read(paths, [report for _, report in result.reports])


def nothing_read(paths: Sequence[str], reports: Sequence[ReadReport]) -> UnreadableSource:
    """The error for files that hold no turn: how many rows were rejected, and the first reasons of all kinds."""
    counts: dict[str, int] = {}
    reasons: dict[str, str] = {}
    for report in reports:
        for kind, count in report.rejected.items():
            counts[kind] = counts.get(kind, 0) + count
        for example in report.examples:
            reasons.setdefault(example.reason, f"{example.where}: {example.reason}")
    notes = [note for report in reports for note in report.notes]
    if notes and not counts and all(note.endswith(NO_ROWS) for note in notes):
        return UnreadableSource(f"{'; '.join(notes[:3])}. Check the export that wrote it.")
    said = [*list(reasons.values())[:3], *notes[:3]]
    rejected = ", ".join(f"{count} x {kind}" for kind, count in sorted(counts.items())) or "no row is in it"
    return UnreadableSource(f"no turn could be read from {', '.join(map(str, paths))} ({rejected}). " + " ".join(said))


def _known(source: SourceRow, path: str, notes: Sequence[str]) -> ReadReport:
    """What was said when this content was read before, so that the same command says the same; `notes` are those of now.

    It may have been read under another name.
    """
    old = [note.replace(source.path, path, 1) if note.startswith(source.path) else note for note in source.notes]
    said = list(dict.fromkeys([*notes, *old]))
    examples = [
        Rejection(path + each.where.removeprefix(source.path), each.reason)
        if each.where.startswith(source.path)
        else each
        for each in source.examples
    ]
    return ReadReport(source.rows, source.turns, dict(source.rejected), examples, said)


def _ingest_file(store: Store, read: FileRead, fingerprint: str) -> None:
    with store.transaction():
        for table in read.tables:
            added = store.append_turns(table)
            if added.duplicates:
                seen = read.report.rejected.get(DUPLICATE, 0)
                read.report.rejected[DUPLICATE] = seen + added.duplicates
        report = read.report
        store.files.add(
            SourceRow(
                fingerprint=fingerprint,
                path=str(read.path),
                rows=report.rows,
                turns=report.turns,
                rejected=report.rejected,
                examples=tuple(report.examples),
                notes=tuple(report.notes),
            )
        )


def _changes(paths: Sequence[Path]) -> tuple[list[Change], ReadReport]:
    report = ReadReport()
    return [change for path in paths for change in read_changes(path, report)], report


def _fingerprint(path: Path, mapping: Mapping[str, str]) -> str | None:
    """What stands for the content of a file, read in this way; None where the file cannot be opened or read."""
    digest = hashlib.blake2b(digest_size=16)
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError:
        return None
    digest.update(repr(sorted(mapping.items())).encode())
    return digest.hexdigest()


def _unread(path: Path) -> str:
    """What stands for a file of unknown content, so that it is told as long as it cannot be read."""
    return f"unread {path.resolve()}"
