"""Labels from and to files: CSV with ids and labels, without any text."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from unquiet.app.labelling import MOST_NAME, Clock, keep_frame, measure_again, measured_fields
from unquiet.app.surveying import Progress, Survey, labelled_signal, survey
from unquiet.model.errors import ConfigError
from unquiet.model.labels import ANSWERS, Answer, Label
from unquiet.model.slices import ALL_TRAFFIC, Slice
from unquiet.store import Store

COLUMNS = (
    "turn_id",
    "session_id",
    "signal",
    "version",
    "label",
    "labeller",
    "at",
    "stratum",
    "inclusion",
    "drawn",
    "frame",
)
IMPORTED = "imported"
WORDS: dict[str, Answer] = {"true": "yes", "1": "yes", "y": "yes", "false": "no", "0": "no", "n": "no"}


def export_labels(store: Store, name: str, path: Path) -> int:
    """Write the labels of a signal as CSV, ids and labels without any text; how many.

    Raises:
        ConfigError: no such signal, or the file cannot be written.
    """
    labelled_signal(name)
    labels = store.labels.of_signal(name)
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for each in labels:
                values = {column: getattr(each, column) for column in COLUMNS if column != "label"}
                values |= {"label": each.answer, "at": each.at.isoformat()}
                writer.writerow(values[column] for column in COLUMNS)
    except OSError as error:
        raise ConfigError(f"--export {path}: cannot be written ({error.strerror}). Name another file.") from error
    return len(labels)


@dataclass(slots=True)
class Imported:
    """What became of the rows of a file: labels that are new, and by reason those that were not used."""

    new: int = 0
    unknown_chance: int = 0
    rejected: dict[str, int] = field(default_factory=dict[str, int])
    examples: list[str] = field(default_factory=list[str])

    def reject(self, reason: str, where: str) -> None:
        """Count a row that is not used."""
        self.rejected[reason] = self.rejected.get(reason, 0) + 1
        if self.rejected[reason] == 1:
            self.examples.append(f"{where}: {reason}")


def import_labels(
    store: Store, name: str, path: Path, *, labeller: str, seed: int, clock: Clock, progress: Progress
) -> Imported:
    """Take over labels from CSV: columns `turn_id` and `label`, and any others that `export_labels` writes.

    A label without an `inclusion` was chosen with unknown chance: it says nothing of a rate.

    Raises:
        ConfigError: no such signal, or the file cannot be read as that.
    """
    signal, done = labelled_signal(name), Imported()
    rows, known = list(_rows(path)), store.labels.of_signal(name)
    wanted = {row["turn_id"] for _, row in rows} | {label.turn_id for label in known}
    found = survey(store, signal, Slice(), seed=seed, keep=1, wanted=wanted, progress=progress)
    have = {(label.turn_id, label.labeller, label.frame): label.answer for label in known}
    labels: list[Label] = []
    for where, row in rows:
        try:
            label = _read(row, found, labeller, clock)
        except ValueError as error:
            done.reject(str(error), where)
            continue
        key = (label.turn_id, label.labeller, label.frame)
        if key in have:
            same = have[key] == label.answer
            done.reject("labelled already" if same else "labelled already, and otherwise: the first stays", where)
            continue
        have[key] = label.answer
        labels.append(label)
    with store.transaction():
        measure_again(store, known, found)
        keep_frame(store, found.frame)
        store.labels.put(labels)
    done.new, done.unknown_chance = len(labels), sum(each.inclusion is None for each in labels)
    return done


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = {"turn_id", "label"} - set(reader.fieldnames or ())
            if missing:
                got = ", ".join(map(repr, itertools.islice(reader.fieldnames or (), 20))) or "none"
                raise ConfigError(
                    f"--import {path}: no column {' and '.join(sorted(missing))}; got {got}. Expected turn_id and label "
                    "(yes, no or unsure), and optionally labeller and inclusion."
                )
            for row in reader:
                yield f"{path.name}:{reader.line_num}", {key: value or "" for key, value in row.items() if key}
    except OSError as error:
        raise ConfigError(f"--import {path}: cannot be read ({error.strerror}). Check the path.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"--import {path}: not a CSV in UTF-8 ({error}). Save it as that.") from error


def _read(row: dict[str, str], found: Survey, labeller: str, clock: Clock) -> Label:
    """The label of a row; ValueError says why it is none."""
    text = row["label"].strip().lower()
    answer: Answer | None = WORDS.get(text) or next((each for each in ANSWERS if each == text), None)
    if answer is None:
        raise ValueError(f"label {row['label'][:40]!r}: expected {', '.join(ANSWERS)}")
    if row.get("signal") and row["signal"] != found.frame.signal:
        raise ValueError(f"a label of {row['signal'][:40]!r}, not of {found.frame.signal}")
    candidate = found.wanted.get(row["turn_id"])
    if candidate is None:
        raise ValueError("no such turn in this folder")
    return Label(
        **measured_fields(candidate, found),
        turn_id=candidate.turn_id,
        session_id=candidate.session_id,
        signal=found.frame.signal,
        answer=answer,
        labeller=_name(row.get("labeller") or labeller),
        at=_moment(row.get("at", ""), clock),
        frame=row.get("frame") or ALL_TRAFFIC,
        drawn=row.get("drawn") or IMPORTED,
        inclusion=_share(row.get("inclusion", "")),
    )


def _name(text: str) -> str:
    if len(text) > MOST_NAME or not text.isprintable():
        raise ValueError(f"labeller {text[:40]!r}: expected at most {MOST_NAME} printable characters")
    return text


def _share(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        share = float(text)
    except ValueError:
        share = float("nan")
    if not 0.0 < share <= 1.0:
        raise ValueError(
            f"inclusion {text[:40]!r}: expected more than 0 and at most 1, or nothing where it is not known"
        )
    return share


def _moment(text: str, clock: Clock) -> datetime:
    if not text.strip():
        return clock()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"at {text[:40]!r}: expected ISO 8601, such as 2026-03-17T14:10:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
