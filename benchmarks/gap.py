"""The gap on the replay kit: which cause `why-green` gives for every change case.

    python benchmarks/gap.py --kit KIT --data DATA --seeds 1,2
    python benchmarks/gap.py --built BUILT --scanned FOLDERS      # cases that were built and scanned already

The kit samples its suite without the affected slice, so the cause is a topic or a condition that no case has. BUILT holds a
folder a case, as build.py writes it; FOLDERS a scanned folder a case. Nothing is written into either.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BUILT_WITH = ("topic absent", "slice condition absent")


@dataclass(frozen=True, slots=True)
class Row:
    """What was said of one incident of a case."""

    case: str
    incident: str
    slice: str
    without: str
    causes: tuple[str, ...]

    @property
    def right(self) -> bool:
        """Whether the cause that the case was built with is told first, and no other beside its kind."""
        return bool(self.causes) and all(each in BUILT_WITH for each in self.causes)


def run(command: Sequence[str], *, cwd: Path | None = None, allowed: Sequence[int] = (0,)) -> str:
    """Standard output of a command; SystemExit with its last words if it ends in another way than allowed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode not in allowed:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-800:]}")
    return done.stdout


def build_and_scan(kit: Path, data: Path, seed: int, case: str, out: Path) -> tuple[Path, Path]:
    """The folder of a built case, and that of its scan."""
    parts = ["build.py", "--data", str(data), "--cases", "cases.toml", "--case", case, "--seed", str(seed)]
    run([sys.executable, *parts, "--out", str(out)], cwd=kit)
    folder = out / f"{case}-db"
    traffic, changes = str(out / case / "turns.jsonl.gz"), str(out / case / "deploys.jsonl")
    run([*unquiet(), "scan", traffic, "--changes", changes, "--db", str(folder), "--json"], allowed=(0, 1))
    return out / case, folder


def unquiet() -> tuple[str, ...]:
    """The command under test."""
    return sys.executable, "-m", "unquiet"


def explained(case: Path, scanned: Path) -> Iterator[Row]:
    """What is said of the incidents of a case, from a copy of its folder."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "db")
        shutil.copytree(scanned, folder)
        incidents = json.loads(run([*unquiet(), "incidents", "--db", str(folder), "--json"], allowed=(0, 1)))
        for incident in incidents:
            command = [*unquiet(), "why-green", incident["id"], "--evals", str(case / "evals.xml"), "--json"]
            found = json.loads(run([*command, "--db", str(folder)]))
            yield row_of(case.name, incident, found)
        if not incidents:
            yield Row(case.name, "none found", "", "", ())


def row_of(case: str, incident: dict[str, Any], found: dict[str, Any]) -> Row:
    """One row of the table."""
    every = [*found["causes"], *found["unknown"], *found["ruled_out"]]
    topic = next(each for each in every if each["cause"] == BUILT_WITH[0])
    share = topic["evidence"].get("share_without_near_case")
    where = ", ".join(f"{facet}={value}" for facet, value in incident["slice"].items()) or "all traffic"
    causes = tuple(each["cause"] for each in found["causes"])
    return Row(case, incident["id"], where, "" if share is None else f"{share:.0%}", causes)


def is_change(case: Path) -> bool:
    """Whether something changes in a case; what the evals missed can be asked of no other."""
    truth = case / "truth.json"
    return truth.is_file() and json.loads(truth.read_bytes())["kind"] == "change"


def main() -> None:
    """Print the table; exit with 1 if a case has another cause than it was built with."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kit", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--cases", default="")
    parser.add_argument("--built", type=Path, nargs="*", default=[])
    parser.add_argument("--scanned", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    wanted = [name for name in options.cases.split(",") if name]
    wrong = 0
    print("| case | incident | slice | affected without a near case | causes |\n|---|---|---|---|---|")
    for case, folder in _folders(options, wanted):
        for row in explained(case, folder):
            voices = " (voices)" if (case / "tickets.csv").is_file() else ""
            causes = ", ".join(row.causes) or "none"
            wrong += not row.right
            print(f"| {row.case}{voices} | {row.incident} | {row.slice} | {row.without} | {causes} |", flush=True)
    sys.exit(1 if wrong else 0)


def _folders(options: argparse.Namespace, wanted: Sequence[str]) -> Iterator[tuple[Path, Path]]:
    for built, scanned in zip(options.built, options.scanned, strict=True):
        for case in sorted(built.iterdir()):
            if is_change(case) and (scanned / case.name).is_dir() and (not wanted or case.name in wanted):
                yield case, scanned / case.name
    if options.kit is None:
        return
    every = [each["name"] for each in tomllib.loads((options.kit / "cases.toml").read_text())["case"]]
    for seed in options.seeds.split(","):
        for name in wanted or every:
            with tempfile.TemporaryDirectory() as place:
                case, folder = build_and_scan(options.kit, options.data, int(seed), name, Path(place))
                if is_change(case):
                    yield case, folder


if __name__ == "__main__":
    main()
