"""All drills on recorded backgrounds and on the demo's traffic, through the command line: the scorecard, and what it promises.

    python benchmarks/drills.py --seeds 20                                # the demo's traffic and the kit's quiet cases
    python benchmarks/drills.py --seeds 4 --backgrounds null_weekend

The kit (see benchmarks/replay.py) is not part of this repository; `--backgrounds demo` goes without it. Prints a table a
background, how many controls rang, which part of the step failures that met LEAST_AFFECTED sessions or more was found, the median
of delay over the oracle's, and the CPU time.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from unquiet.demo import write_story
from unquiet.drills import PRESETS

ROOT = Path(__file__).resolve().parent.parent
QUIET = ("null_same_agent", "null_mix_shift", "null_weekend", "null_volume_surge", "null_harmless_deploy")
LEAST_AFFECTED = 300
DEMO_SESSIONS = 1_000
"""A day: with the 3,000 of `unquiet demo` a rehearsal takes three times as long."""


def traffic(given: argparse.Namespace, name: str) -> Path:
    """The turns of a background, built where they are not there yet."""
    folder = given.out / name
    turns = folder / "turns.jsonl.gz"
    if not turns.exists():
        if name == "demo":
            write_story(folder, sessions_per_day=DEMO_SESSIONS)
        else:
            data = given.data or given.kit.parent / "data"
            parts = ["build.py", "--data", str(data), "--cases", "cases.toml", "--case", name, "--out", str(given.out)]
            subprocess.run([sys.executable, *parts], cwd=given.kit, check=True, stdout=subprocess.DEVNULL)
    return turns


def drilled(given: argparse.Namespace, name: str) -> dict[str, Any]:
    """The document of `unquiet drill` on a background, with what it cost."""
    chosen = [part for each in given.preset for part in ("--preset", each)]
    command = [sys.executable, "-m", "unquiet", "drill", "--traffic", str(traffic(given, name)), "--json", *chosen]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    told = subprocess.run([*command, "--seeds", str(given.seeds)], check=True, stdout=subprocess.PIPE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    document: dict[str, Any] = json.loads(told.stdout)
    (given.out / f"{name}.json").write_bytes(told.stdout)
    return document | {"cpu_s": cpu, "wall_s": time.monotonic() - began}


def table(document: dict[str, Any]) -> Iterator[str]:
    """A line a drill."""
    yield "| drill | found | hours (quartiles) | affected before the alarm | of | x oracle | slice | onset |"
    yield "|---|---|---|---|---|---|---|---|"
    for each in document["scores"]:
        hours = each["hours"]
        delay = "-" if hours is None else f"{hours[1]:.1f} ({hours[0]:.1f}-{hours[2]:.1f})"
        parts = ["-" if each[name] is None else f"{each[name]:.0%}" for name in ("slice_right", "onset_right")]
        name = f"({each['preset']})" if each["control"] else each["preset"]
        met, ratio = ("-" if each[key] is None else f"{each[key]:.3g}" for key in ("met", "ratio"))
        found = f"{each['found']}/{each['rehearsals']}"
        yield f"| {name} | {found} | {delay} | {met} | {each['affected']:g} | {ratio} | {' | '.join(parts)} |"


def summary(document: dict[str, Any]) -> Iterator[str]:
    """What the acceptance asks for."""
    scores = document["scores"]
    steps = {each.name for each in PRESETS if each.dose.shape == "step" and each.dose.lasts_hours is None}
    control = {each["preset"] for each in scores if each["control"]}
    rang = [f"{e['preset']} {e['found']}/{e['rehearsals']}" for e in scores if e["control"] and e["found"]]
    large = [
        each
        for each in document["rehearsals"]
        if each["preset"] in steps - control and each["affected"] >= LEAST_AFFECTED
    ]
    found = [each for each in large if each["raised_us"] is not None]
    ratios = [each["ratio"] for each in document["rehearsals"] if each["ratio"] is not None]
    yield f"* Controls that rang: {', '.join(rang) or 'none'}."
    yield f"* Step failures with {LEAST_AFFECTED} affected sessions or more: {len(found)} of {len(large)} rehearsals found."
    yield f"* Delay / oracle, median of {len(ratios)}: {median(ratios):.2f}." if ratios else "* No delay to compare."
    yield f"* {len(document['rehearsals'])} rehearsals, {document['cpu_s']:.0f} CPU-s, {document['wall_s']:.0f} s."
    yield f"* {document['stack']['answer']}."


def main(words: Sequence[str] | None = None) -> int:
    """Drill every background and print what came of it."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seeds", type=int, default=20)
    p.add_argument("--backgrounds", default=",".join(("demo", *QUIET)), help="comma-separated")
    p.add_argument("--preset", action="append", default=[], help="only this drill; repeat for more")
    p.add_argument("--kit", type=Path, default=ROOT.parent / "shared" / "replay", help="folder of the replay kit")
    p.add_argument("--data", type=Path, help="its recorded data (default: data beside the kit)")
    p.add_argument("--out", type=Path, default=ROOT / ".unquiet" / "drills", help="where traffic and results go")
    given = p.parse_args(words)
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.backgrounds.split(","):
        document = drilled(given, name)
        print(f"\n### {name}\n", *table(document), "", *summary(document), sep="\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
