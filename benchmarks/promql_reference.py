"""What Prometheus itself makes of the expressions and rule files of the tests: writes tests/promql_reference.json anew.

Needs the programs `prometheus` and `promtool` (any 2.x or 3.x; Debian's package `prometheus` has both) on the PATH:

    PYTHONPATH=tests python benchmarks/promql_reference.py
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import yaml

from promql_worlds import CHECKED_MINUTES, END_US, EXPRESSIONS, MOMENTS_S, RULE_FILES, START_US, series, turns
from unquiet.promql import Exposition, read_rules

OUT = Path(__file__).resolve().parent.parent / "tests" / "promql_reference.json"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "series.txt").write_text(open_metrics())
        blocks = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "series.txt", "data"]
        subprocess.run(blocks, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (folder / "prometheus.yml").write_text("global: {}\n")
        port = _free_port()
        server = [
            "prometheus",
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with subprocess.Popen(server, cwd=folder, stderr=subprocess.DEVNULL) as process:
            try:
                found = asked(f"http://127.0.0.1:{port}")
            finally:
                process.terminate()
    fired = {path.name: fires(path) for path in RULE_FILES if path.name != "not_ours.yml"}
    told = (f"{json.dumps(text)}: {json.dumps(each)}" for text, each in found["results"].items())
    OUT.write_text(
        f'{{"version": "{found["version"]}", "results": {{\n'
        + ",\n".join(told)
        + f'\n}}, "fired": {json.dumps(fired)}}}\n'
    )
    sys.stdout.write(f"{len(found['results'])} expressions, Prometheus {found['version']}\n")


def open_metrics() -> str:
    lines: list[str] = []
    for name, samples in series().items():
        lines.append(f"# TYPE {name.removesuffix('_total')} {'counter' if name.endswith('_total') else 'gauge'}")
        for row, labels in enumerate(samples.labels):
            told = ",".join(f'{key}="{value}"' for key, value in labels)
            lines += [
                f"{name}{{{told}}} {_number(samples.values[row, i])} {samples.at_s[i]:.0f}"
                for i in range(len(samples.at_s))
                if samples.present[row, i]
            ]
    return "\n".join(lines) + "\n# EOF\n"


def _number(value: float) -> str:
    return "NaN" if value != value else repr(float(value))


def asked(address: str) -> dict[str, Any]:
    _ready(address)
    step = MOMENTS_S[1] - MOMENTS_S[0]
    window = {"start": MOMENTS_S[0], "end": MOMENTS_S[-1], "step": step}
    results: dict[str, list[dict[str, object]]] = {}
    for expression in EXPRESSIONS:
        answer = httpx.post(f"{address}/api/v1/query_range", data={"query": expression, **window}).json()
        if answer["status"] != "success":
            raise SystemExit(f"{expression}: {answer}")
        results[expression] = [_series(each) for each in answer["data"]["result"]]
    version = httpx.get(f"{address}/api/v1/status/buildinfo").json()["data"]["version"]
    return {"version": version, "results": results}


def _series(told: dict[str, Any]) -> dict[str, object]:
    labels = {key: value for key, value in told["metric"].items() if key != "__name__"}
    # Values stay text, as Prometheus sends them: JSON has no NaN and Inf.
    return {"labels": labels, "values": told["values"]}


def fires(path: Path) -> dict[str, list[int]]:
    """By alert of a rule file, the minutes after which it fires, as `promtool test rules` says.

    Nothing is expected to fire, so that it lists what does. Its samples are half a minute after the minutes at which it asks.
    """
    rules = read_rules(path)
    alerts = [rule.name for rule in rules if not rule.records]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        told = yaml.safe_load(path.read_text())
        told = told.get("spec", told)
        (folder / "rules.yml").write_text(yaml.safe_dump(told))
        asked = [
            {"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": []}
            for minute in CHECKED_MINUTES
            for alert in alerts
        ]
        test = {"interval": "30s", "input_series": _input_series(path), "alert_rule_test": asked}
        document = {
            "rule_files": ["rules.yml"],
            "evaluation_interval": "1m",
            "group_eval_order": [group["name"] for group in told["groups"]],
            "tests": [test],
        }
        (folder / "test.yml").write_text(yaml.safe_dump(document))
        told = subprocess.run(["promtool", "test", "rules", "test.yml"], cwd=folder, capture_output=True, text=True)
    found: dict[str, list[int]] = {alert: [] for alert in alerts}
    for alert, at in re.findall(r"alertname: (\w+), time: (\w+),", told.stdout + told.stderr):
        hours, minutes = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?", at).groups("0")
        found[alert].append(60 * int(hours) + int(minutes))
    return found


def _input_series(path: Path) -> list[dict[str, str]]:
    exposed = Exposition(read_rules(path), turns()).series(turns(), START_US, END_US)
    out: list[dict[str, str]] = []
    for name, samples in exposed.items():
        for row, labels in enumerate(samples.labels):
            told = ",".join(f'{key}="{value}"' for key, value in (*labels, ("job", "support-agent")))
            each = (
                f"{float(value)!r}" if has else "_"
                for value, has in zip(samples.values[row], samples.present[row], strict=True)
            )
            out.append({"series": f"{name}{{{told}}}", "values": "_ " + " _ ".join(each)})
    return out


def _ready(address: str) -> None:
    for _ in range(100):
        try:
            if httpx.get(f"{address}/-/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise SystemExit("Prometheus did not come up within 10 s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
