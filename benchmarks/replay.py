"""Run the replay kit: build its cases, scan them, score what was found, and take medians over seeds.

    python benchmarks/replay.py --seeds 1,2,3
    python benchmarks/replay.py --seeds 1 --cases slice_step,null_weekend
    python benchmarks/replay.py --seeds 1 --cut 3      # from what was known when the alarm rang: the same?

The kit (build.py, once.py, score.py, cases.toml) is not part of this repository. Its data must lie in `data`
beside it. Cases are built once and kept under OUT/cases, results go to OUT/results/s<seed>/<case>; every run
scans anew into an empty store, unless --reuse keeps the results that are there.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bench:
    """Where everything is. `unquiet` is the command under test, as a list of words."""

    kit: Path
    data: Path
    cases: Path
    results: Path
    unquiet: tuple[str, ...]
    reuse: bool


@dataclass(frozen=True, slots=True)
class Job:
    """One case of one seed; `once` for the variant of a quiet case in which no request comes back."""

    seed: int
    case: str
    once: bool = False

    @property
    def place(self) -> Path:
        """The folder of the case, relative to the cases or the results."""
        return Path(f"once{self.seed}", f"{self.case}_once") if self.once else Path(f"s{self.seed}", self.case)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a scan took: wall-clock seconds, and peak resident memory in MB."""

    wall_s: float
    peak_mb: float


class ScanError(Exception):
    """The command under test ended in a way that no scan should."""


def run(command: Sequence[str], cwd: Path | None = None) -> str:
    """Standard output of a command that must succeed; ScanError with its last words otherwise."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr or done.stdout).strip()[-800:]
        raise ScanError(f"{shlex.join(command)} ended with {done.returncode}: {words}")
    return done.stdout


def build(bench: Bench, job: Job) -> Path:
    """The folder of the built case; it is built when its last file is missing."""
    folder = bench.cases / job.place
    if (folder / "truth.json").exists():
        return folder
    if job.once:
        original = build(bench, Job(job.seed, job.case))
        parts = ["once.py", "--replay", str(original), "--out", str(folder)]
    else:
        parts = ["build.py", "--data", str(bench.data), "--cases", "cases.toml", "--case", job.case]
        parts += ["--seed", str(job.seed), "--out", str(folder.parent)]
    run([sys.executable, *parts], cwd=bench.kit)
    return folder


def scan(bench: Bench, case: Path, out: Path) -> Cost:
    """Scan a case into an empty store under `out`; write scan.json and the session lists of its incidents."""
    if out.exists():
        shutil.rmtree(out)
    (out / "sessions").mkdir(parents=True)
    db = str(out / "db")
    changes = ["--changes", str(case / "deploys.jsonl")]
    command = [*bench.unquiet, "scan", str(case / "turns.jsonl.gz"), *changes, "--db", db, "--json"]
    began = time.monotonic()
    with (out / "scan.part").open("wb") as stdout, (out / "scan.log").open("wb") as stderr:
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        words = (out / "scan.log").read_text(encoding="utf-8", errors="replace").strip()[-800:]
        raise ScanError(f"scan ended with {process.returncode}: {words}")
    cost = Cost(round(time.monotonic() - began, 1), round(usage.ru_maxrss / 1024, 1))
    found = json.loads((out / "scan.part").read_bytes())
    if process.returncode == 0 and any(i.get("state") == "open" for i in found["incidents"]):
        raise ScanError("scan ended with 0 although an incident is open")
    for incident in found["incidents"]:
        ids = subprocess.run(
            [*bench.unquiet, "incident", incident["id"], "--sessions", "--db", db],
            capture_output=True,
            text=True,
            check=False,
        )
        if ids.returncode not in (0, 1):
            raise ScanError(f"incident {incident['id']} ended with {ids.returncode}: {ids.stderr.strip()[-800:]}")
        (out / "sessions" / f"{incident['id']}.txt").write_text(ids.stdout, encoding="utf-8")
    (out / "cost.json").write_text(json.dumps({"wall_s": cost.wall_s, "peak_mb": cost.peak_mb}))
    (out / "scan.part").rename(out / "scan.json")
    return cost


def measure(bench: Bench, job: Job) -> str:
    """Build and scan one case; a line for the log. A failure is a line too, and leaves no scan.json."""
    out = bench.results / job.place
    if bench.reuse and (out / "scan.json").exists():
        return "kept"
    try:
        cost = scan(bench, build(bench, job), out)
    except (ScanError, json.JSONDecodeError, KeyError) as error:
        return f"FAILED: {type(error).__name__}: {error}"
    count = len(json.loads((out / "scan.json").read_bytes())["incidents"])
    return f"{count} incidents, {cost.wall_s:.0f} s, {cost.peak_mb:.0f} MB"


def in_parallel(jobs: int, work: Callable[[Job], str], todo: Sequence[Job]) -> dict[Job, str]:
    """Run `work` on every job, `jobs` at a time, and print each line as it comes."""
    lines: dict[Job, str] = {}

    def one(job: Job) -> None:
        lines[job] = work(job)
        print(f"[{len(lines)}/{len(todo)}] {job.place}: {lines[job]}", file=sys.stderr, flush=True)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one, todo))
    return lines


def load(path: Path) -> ModuleType:
    """A script of the kit as a module."""
    spec = importlib.util.spec_from_file_location(f"kit_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} cannot be loaded: name the kit's folder with --kit")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def score(bench: Bench, scorer: ModuleType, jobs: Sequence[Job]) -> list[Report]:
    """The kit's report of every case that was scanned, changes first, then by name."""
    reports: list[Report] = []
    for job in jobs:
        out = bench.results / job.place
        if (out / "scan.json").exists():
            report = scorer.score_case(bench.cases / job.place, out / "scan.json", out / "sessions")
            reports.append(report | json.loads((out / "cost.json").read_bytes()))
    return sorted(reports, key=lambda report: (report["detected"] is None, report["case"]))


def median(values: Sequence[float | None]) -> float | None:
    """The median of the values that are known, None when none is."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def figures(reports: Sequence[Report], cases: int) -> dict[str, float | None]:
    """The figures of one seed that the acceptance asks for. Shares are of the strictly found changes."""
    changes = [r for r in reports if r["detected"] is not None]
    found = [r for r in changes if r["strict_detected"] and r["best"]]
    announced = [r for r in found if r["best"]["deploy_rank"] is not None]
    ceiling = [r["best"]["precision"] / (r["precision_ceiling"] or 1.0) for r in found]
    return {
        "cases not scanned": cases - len(reports),
        "changes": len(changes),
        "found (strict)": len(found),
        "median delay / oracle": median([r["ratio_to_oracle"] for r in found]),
        "median delay, h": median([r["best"]["delay_hours"] for r in found]),
        "false incidents": sum(r["false_incidents"] for r in reports),
        "quiet cases with an incident": sum(r["false_incidents"] > 0 for r in reports if r["detected"] is None),
        "other incidents after the onset": sum(r.get("other_incidents_after") or 0 for r in reports),
        "median recall of claims": median([r["best"]["recall"] for r in found]),
        "median precision / ceiling": median(ceiling),
        "onset covered, share": sum(bool(r["best"]["onset_covered"]) for r in found) / len(found) if found else None,
        "median onset interval, h": median([r["best"]["onset_interval_hours"] for r in found]),
        "excess covered, share": sum(bool(r["best"]["excess_covered"]) for r in found) / len(found) if found else None,
        "true deploy among suspects": len(announced),
        "true deploy first": sum(r["best"]["deploy_rank"] == 1 for r in announced),
        "median scan, s": median([r["wall_s"] for r in reports]),
        "highest peak memory, MB": max((r["peak_mb"] for r in reports), default=None),
    }


def cell(value: float | str | None) -> str:
    """A figure for a table."""
    if value is None:
        return "-"
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def markdown(head: Sequence[str], rows: Sequence[Sequence[float | str | None]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def case_rows(by_seed: dict[int, list[Report]]) -> list[list[float | str | None]]:
    """One row a change: found in how many seeds, and medians over the seeds that found it."""
    rows: list[list[float | str | None]] = []
    names = sorted({r["case"] for reports in by_seed.values() for r in reports if r["detected"] is not None})
    for name in names:
        all_seeds = [r for reports in by_seed.values() for r in reports if r["case"] == name]
        hits = [r for r in all_seeds if r["strict_detected"] and r["best"]]
        best = [r["best"] for r in hits]
        signals = ", ".join(sorted({b["signal"] or "" for b in best}))
        row: list[float | str | None] = [
            name,
            f"{len(hits)}/{len(all_seeds)}",
            median([b["delay_hours"] for b in best]),
        ]
        row += [median([r["ratio_to_oracle"] for r in hits]), median([b["precision"] for b in best])]
        row += [median([b["recall"] for b in best]), sum(bool(b["onset_covered"]) for b in best), signals]
        rows.append([*row, sum(r["false_incidents"] for r in all_seeds)])
    return rows


CASE_HEAD = ("case", "found", "delay h", "ratio", "precision", "recall", "onset covered", "signal", "false")


def summarise(by_seed: dict[int, list[Report]], cases: int) -> str:
    """The figures of every seed with their medians, and the table of cases, as Markdown."""
    seeds = sorted(by_seed)
    columns = {seed: figures(by_seed[seed], cases) for seed in seeds}
    names = list(next(iter(columns.values())))
    rows = [[n, *(columns[s][n] for s in seeds), median([columns[s][n] for s in seeds])] for n in names]
    first = markdown(["", *(f"seed {seed}" for seed in seeds), "median"], rows)
    return first + "\n\n" + markdown(CASE_HEAD, case_rows(by_seed))


def key(incident: Report) -> tuple[str, str, str]:
    """What must be the same in two scans: signal, direction and slice."""
    return incident["signal"], incident["direction"], json.dumps(incident["slice"], sort_keys=True)


def compare_cut(bench: Bench, job: Job, report: Report) -> str:
    """Scan the case cut at the moment the alarm rang; say whether the same incident is there."""
    at, out = report["best"]["raised_at"], bench.results / "cut" / job.place
    case = out / "case"
    if out.exists():
        shutil.rmtree(out)
    run(
        [sys.executable, "build.py", "--cut", str(bench.cases / job.place), "--at", at, "--out", str(case)],
        cwd=bench.kit,
    )
    try:
        scan(bench, case, out / "result")
    except ScanError as error:
        return f"FAILED: {error}"
    whole = json.loads((bench.results / job.place / "scan.json").read_bytes())["incidents"]
    then = {i["id"]: i for i in json.loads((out / "result" / "scan.json").read_bytes())["incidents"]}
    moment = datetime.fromisoformat(at)
    due = {i["id"]: i for i in whole if datetime.fromisoformat(i["raised_at"]) <= moment}
    target = due[report["best"]["id"]]
    same_id = then.get(target["id"])
    alike = same_id or next((i for i in then.values() if key(i) == key(target)), None)
    if alike is None:
        return f"MISSING at {at}: {target['title']!r}; the cut holds {[i['title'] for i in then.values()]}"
    parts = ["same id" if same_id else f"id differs ({alike['id']} for {target['id']})"]
    names = ("signal", "direction", "slice")
    parts += [f"{n} differs ({alike[n]} for {target[n]})" for n in names if alike[n] != target[n]]
    if datetime.fromisoformat(alike["raised_at"]) != datetime.fromisoformat(target["raised_at"]):
        parts.append(f"raised at another moment ({alike['raised_at']})")
    parts += [f"not in the whole scan by then: {then[i]['title']!r}" for i in sorted(then.keys() - due.keys())]
    parts += [
        f"in the whole scan by then, not in the cut: {due[i]['title']!r}" for i in sorted(due.keys() - then.keys())
    ]
    return ("SAME" if len(parts) == 1 and same_id else "DIFFERS") + f" at {at}: " + "; ".join(parts)


def cuts(bench: Bench, jobs: int, by_seed: dict[int, list[Report]], count: int) -> int:
    """Cut up to `count` found cases at `raised_at`; the number of those that came out different."""
    found = {
        Job(seed, r["case"]): r
        for seed, reports in sorted(by_seed.items())
        for r in reports
        if r["detected"] and r["strict_detected"]
    }
    chosen = dict(list(found.items())[:count])
    lines = in_parallel(jobs, lambda job: compare_cut(bench, job, chosen[job]), list(chosen))
    print("\n## Cut at `raised_at`\n" + "\n".join(f"- {job.place}: {line}" for job, line in sorted_lines(lines)))
    return sum(not line.startswith("SAME") for line in lines.values())


def sorted_lines(lines: dict[Job, str]) -> list[tuple[Job, str]]:
    """Lines in the order of seeds and cases."""
    return sorted(lines.items(), key=lambda item: (item[0].seed, item[0].case))


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seeds", default="1", help="comma-separated (default 1)")
    p.add_argument("--cases", help="comma-separated names (default: all of cases.toml)")
    p.add_argument("--kit", type=Path, default=ROOT.parent / "shared" / "replay", help="folder of the replay kit")
    p.add_argument("--data", type=Path, help="its recorded data (default: data beside the kit)")
    p.add_argument("--built", type=Path, help="folder with s<seed>/<case> already built (default OUT/cases)")
    p.add_argument("--out", type=Path, default=ROOT / ".unquiet" / "replay", help="where cases and results go")
    p.add_argument("--jobs", type=int, default=2, help="scans at a time (default 2)")
    p.add_argument("--once", action="store_true", help="also the quiet cases in which no request comes back")
    p.add_argument("--cut", type=int, default=0, metavar="N", help="repeat N found cases on the input cut at raised_at")
    p.add_argument("--reuse", action="store_true", help="keep results that are there")
    p.add_argument("--unquiet", help="another command to test, such as 'path/to/python -m unquiet'")
    return p.parse_args(words)


def plan(given: argparse.Namespace) -> tuple[Bench, dict[int, list[Job]]]:
    """Folders and jobs, by seed."""
    kit = given.kit.resolve()
    if not (kit / "cases.toml").exists():
        raise SystemExit(f"{kit} holds no cases.toml: name the replay kit's folder with --kit")
    command = tuple(shlex.split(given.unquiet)) if given.unquiet else (sys.executable, "-m", "unquiet")
    out = given.out.resolve()
    data = (given.data or kit.parent / "data").resolve()
    bench = Bench(kit, data, (given.built or out / "cases").resolve(), out / "results", command, given.reuse)
    known = {case["name"]: case["kind"] for case in tomllib.loads((kit / "cases.toml").read_text("utf-8"))["case"]}
    names = given.cases.split(",") if given.cases else list(known)
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"no such case: {', '.join(unknown)}; there are {', '.join(known)}")
    jobs: dict[int, list[Job]] = {}
    for seed in (int(text) for text in given.seeds.split(",")):
        jobs[seed] = [Job(seed, name) for name in names]
        if given.once:
            jobs[seed] += [Job(seed, name, once=True) for name in names if known[name] != "change"]
    return bench, jobs


def main(words: Sequence[str] | None = None) -> int:
    """Run, score, print; 1 when a scan failed or a cut came out different."""
    given = arguments(words)
    bench, jobs = plan(given)
    lines = in_parallel(given.jobs, lambda job: measure(bench, job), [job for seed in jobs.values() for job in seed])
    scorer = load(bench.kit / "score.py")
    by_seed = {seed: score(bench, scorer, todo) for seed, todo in jobs.items()}
    for seed, reports in by_seed.items():
        document = {"schema": "unquiet.replay-score/1", "summary": scorer.summary(reports), "cases": reports}
        path = bench.results / f"scores-s{seed}.json"
        path.write_text(json.dumps(document, indent=1, default=float) + "\n", encoding="utf-8")
        print(f"\n## Seed {seed}\n\n{scorer.table(reports)}")
    command = shlex.join(["python", "benchmarks/replay.py", *(words if words is not None else sys.argv[1:])])
    text = f"`{command}`, {datetime.now(UTC):%Y-%m-%d}\n\n" + summarise(by_seed, len(next(iter(jobs.values()))))
    (bench.results / "summary.md").write_text(text + "\n", encoding="utf-8")
    print("\n## All seeds\n\n" + text)
    different = cuts(bench, given.jobs, by_seed, given.cut) if given.cut else 0
    failed = [f"{job.place}: {line}" for job, line in sorted_lines(lines) if line.startswith("FAILED")]
    if failed:
        print("\n## Failed\n" + "\n".join(f"- {line}" for line in failed))
    return 1 if failed or different else 0


if __name__ == "__main__":
    sys.exit(main())
