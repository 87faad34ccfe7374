"""Suspects on the replay kit: is the true deploy first where it was announced, and is nothing likely where none was?

    python benchmarks/replay.py --seeds 1,2 && python benchmarks/suspects.py --seeds 1,2

Reads what `benchmarks/replay.py` built and scanned under OUT. With --built and --found, cases and scans from elsewhere:
folders of cases, and files NAME.json of `unquiet scan --json` with the names of the cases. Ends with 1 where either fails.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NEAR_S = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Row:
    """One incident of a case: the place of the true deploy among its suspects, and those that are called likely."""

    case: str
    announced: bool
    decoys: int
    listed: int
    rank: int | None
    true_chance: float | None
    likely: tuple[str, ...]
    wrong: int

    @property
    def good(self) -> bool:
        """Nothing wrong is likely, and the true deploy is first where there is one."""
        return not self.wrong and (not self.announced or self.rank == 1)


def rows_of(case: Path, scan: Path) -> list[Row]:
    """A row for every incident of a scan."""
    truth = json.loads((case / "truth.json").read_bytes())
    deploy, incidents = truth["deploy"], json.loads(scan.read_bytes())["incidents"]
    return [_row(case.name, deploy, int(truth["decoy_deploys"]), incident["suspects"]) for incident in incidents]


def _row(case: str, deploy: dict[str, Any] | None, decoys: int, suspects: Sequence[dict[str, Any]]) -> Row:
    true = [deploy is not None and is_same(each, deploy) for each in suspects]
    rank = true.index(True) + 1 if True in true else None
    likely = tuple(f"{each['kind']} {each['to']}" for each in suspects if each["likely"])
    wrong = sum(each["likely"] and not own for each, own in zip(suspects, true, strict=True))
    chance = suspects[rank - 1]["chance"] if rank else None
    return Row(case, deploy is not None, decoys, len(suspects), rank, chance, likely, wrong)


def is_same(suspect: dict[str, Any], deploy: dict[str, Any]) -> bool:
    """Whether a suspect is the deploy that the case was built with."""
    apart = datetime.fromisoformat(suspect["at"]) - datetime.fromisoformat(deploy["at"])
    return (suspect["kind"], suspect["to"]) == (deploy["kind"], deploy["to"]) and abs(apart.total_seconds()) < NEAR_S


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The rows in Markdown."""
    yield "| case | true deploy announced | other changes | suspects | true deploy ranked | its chance | likely |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        rank, chance = row.rank or "-", "-" if row.true_chance is None else f"{row.true_chance:.1%}"
        said = ", ".join(row.likely) or "none"
        yield f"| {row.case} | {'yes' if row.announced else 'no'} | {row.decoys} | {row.listed} | {rank} | {chance} | {said} |"


def places(given: argparse.Namespace) -> Iterator[tuple[str, Path, Path]]:
    """A name, the case and its scan, of all that were scanned."""
    if given.built and given.found:
        for case in sorted(given.built.iterdir()):
            yield case.name, case, given.found / f"{case.name}.json"
        return
    for seed in given.seeds.split(","):
        for case in sorted((given.out / "cases" / f"s{seed}").iterdir()):
            yield case.name, case, given.out / "results" / f"s{seed}" / case.name / "scan.json"


def main(words: Sequence[str] | None = None) -> int:
    """Print the table and what follows from it."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seeds", default="1", help="comma-separated (default 1)")
    p.add_argument("--out", type=Path, default=ROOT / ".unquiet" / "replay", help="where replay.py put its results")
    p.add_argument("--built", type=Path, help="a folder of built cases")
    p.add_argument("--found", type=Path, help="a folder of NAME.json, the scans of these cases")
    found = [(case, scan) for _, case, scan in places(p.parse_args(words)) if scan.exists()]
    rows = [row for case, scan in found for row in rows_of(case, scan)]
    print("\n".join(table(rows)))
    told = [row for row in rows if row.announced]
    print(
        f"\n{len(found)} cases, {len(rows)} incidents; true deploy first in {sum(row.rank == 1 for row in told)} of {len(told)}; "
    )
    print(
        f"likely though untrue: {sum(row.wrong for row in rows)}; likely and true: {sum(len(r.likely) - r.wrong for r in rows)}"
    )
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
