"""What Prometheus itself makes of the expressions of tests/promql_worlds.py: writes tests/promql_reference.json anew.

Needs the programs `prometheus` and `promtool` (any 2.x or 3.x; Debian's package `prometheus` has both) on the PATH:

    PYTHONPATH=tests python benchmarks/promql_reference.py
"""

from __future__ import annotations

import json
import math
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from promql_worlds import EXPRESSIONS, MOMENTS_S, series

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
    OUT.write_text(json.dumps(found, indent=0, allow_nan=False) + "\n")
    sys.stdout.write(f"{len(found['results'])} expressions, Prometheus {found['version']}\n")


def open_metrics() -> str:
    lines: list[str] = []
    for name, samples in series().items():
        lines.append(f"# TYPE {name.removesuffix('_total')} {'counter' if name.endswith('_total') else 'gauge'}")
        for row, labels in enumerate(samples.labels):
            told = ",".join(f'{key}="{value}"' for key, value in labels)
            lines += [
                f"{name}{{{told}}} {samples.values[row, i]!r} {samples.at_s[i]:.0f}".replace("nan", "NaN")
                for i in range(len(samples.at_s))
                if samples.present[row, i]
            ]
    return "\n".join(line.replace("np.float64(", "").replace(") ", " ") for line in lines) + "\n# EOF\n"


def asked(address: str) -> dict[str, object]:
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


def _series(told: dict) -> dict[str, object]:
    labels = {key: value for key, value in told["metric"].items() if key != "__name__"}
    # A number as text: NaN and Inf have none in JSON.
    return {"labels": labels, "values": [[at, value if not math.isfinite(float(value)) else value] for at, value in told["values"]]}


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
