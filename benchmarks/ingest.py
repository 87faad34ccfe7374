"""Load, crashes and hostile bodies against `unquiet serve` and, beside it, Arize Phoenix and MLflow, in one session.

    python benchmarks/ingest.py load --seconds 20                      # unquiet alone
    python benchmarks/ingest.py load --seconds 20 --peers PEERS/bin    # and the peers installed in another environment
    python benchmarks/ingest.py steady --rate 6000 --minutes 4         # sessions close and are judged under load
    python benchmarks/ingest.py overload --seconds 60                  # far more than can be drained
    python benchmarks/ingest.py probe
    python benchmarks/ingest.py crash --times 100

The kit (loadgen.py, crash.py, probe.py) is not part of this repository: `--kit` names its folder (default:
$UNQUIET_SHARED/bench/ingest). Every server gets a folder of its own below --out, listens on loopback and is stopped at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
READY_S = 180.0
COUNT = """import json, sys, urllib.request
print(json.load(urllib.request.urlopen(sys.argv[1] + "/api/v1/status"))["service"]["counts"].get("spans", 0))
"""
COLUMNS = (
    "name", "accepted_spans_per_s", "durable_spans_per_s", "server_cpu_s_per_100k", "disk_bytes_per_span", "p50_ms",
    "p99_ms", "server_peak_rss_mb", "acked_not_stored", "status",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Server:
    """One server under test: how it is started, asked whether it is ready, loaded and counted."""

    name: str
    command: tuple[str, ...]
    ready: str
    url: str
    count: str
    data: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    more: tuple[str, ...] = ()


def free_ports(count: int) -> list[int]:
    """Ports that are free now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def unquiet(out: Path, config: str = "") -> Server:
    """The service under test, with its own folder, counted by its own API."""
    folder = out / "unquiet"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "unquiet.toml").write_text(config, encoding="utf-8")
    (folder / "count.py").write_text(COUNT, encoding="utf-8")
    read, http, grpc = free_ports(3)
    environ = {
        "UNQUIET_SERVICE_READ": f"127.0.0.1:{read}",
        "UNQUIET_DOORS_HTTP": f"127.0.0.1:{http}",
        "UNQUIET_DOORS_GRPC": f"127.0.0.1:{grpc}",
    }
    command = ("serve", "--db", str(folder / "data"), "--config", str(folder / "unquiet.toml"))
    count = shlex.join([sys.executable, str(folder / "count.py"), f"http://127.0.0.1:{read}"])
    return Server(
        "unquiet",
        (sys.executable, "-m", "unquiet", *command),
        f"http://127.0.0.1:{read}/healthz",
        f"http://127.0.0.1:{http}/v1/traces",
        count,
        folder / "data",
        environ,
    )


def peers(out: Path, programs: Path) -> list[Server]:
    """Arize Phoenix and MLflow, installed beside each other in another environment."""
    phoenix, mlflow = out / "phoenix", out / "mlflow"
    for folder in (phoenix, mlflow):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    port, grpc, other = free_ports(3)
    database = mlflow / "mlflow.db"
    return [
        Server(
            "phoenix",
            (str(programs / "phoenix"), "serve"),
            f"http://127.0.0.1:{port}/healthz",
            f"http://127.0.0.1:{port}/v1/traces",
            _rows(phoenix / "phoenix.db"),
            phoenix,
            {
                "PHOENIX_PORT": str(port),
                "PHOENIX_GRPC_PORT": str(grpc),
                "PHOENIX_HOST": "127.0.0.1",
                "PHOENIX_WORKING_DIR": str(phoenix),
                "PHOENIX_TELEMETRY_ENABLED": "false",
            },
            ("--conventions", "openinference"),
        ),
        Server(
            "mlflow",
            (
                str(programs / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(other),
                "--backend-store-uri", f"sqlite:///{database}", "--workers", "1",
            ),
            f"http://127.0.0.1:{other}/health",
            f"http://127.0.0.1:{other}/v1/traces",
            _rows(database),
            mlflow,
            {"MLFLOW_DISABLE_TELEMETRY": "true"},
            ("--header", "x-mlflow-experiment-id: 0"),
        ),
    ]  # fmt: skip


def _rows(database: Path) -> str:
    """A command that prints the rows of the table of spans."""
    return shlex.join([sys.executable, str(Path(__file__)), "rows", "--database", str(database)])


@contextmanager
def running(server: Server) -> Iterator[subprocess.Popen[bytes]]:
    """The server, ready; its process group ends with the block."""
    environ = {**os.environ, **server.environ}
    log = (server.data.parent / f"{server.name}.log").open("wb")
    process = subprocess.Popen(server.command, env=environ, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(server.ready)
        yield process
    finally:
        with_group = os.getpgid(process.pid) if process.poll() is None else None
        if with_group is not None:
            os.killpg(with_group, signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(with_group, signal.SIGKILL)
        log.close()


def _wait(url: str) -> None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(url, timeout=2).read()  # noqa: S310 - our own address
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"{url} did not answer within {READY_S:g} s")


def loaded(kit: Path, server: Server, process: subprocess.Popen[bytes], *more: str) -> dict[str, Any]:
    """What the load generator says of a server."""
    command = [
        sys.executable, str(kit / "loadgen.py"), "--name", server.name, "--url", server.url, "--pid", str(process.pid),
        "--data", str(server.data), "--count", server.count, *server.more, *more,
    ]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def show(rows: list[dict[str, Any]]) -> None:
    """A table of results, and how much CPU each peer takes of that of the first row."""
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + "---|" * len(COLUMNS))
    for row in rows:
        print("| " + " | ".join(str(row.get(name, "")) for name in COLUMNS) + " |")
    for row in rows[1:]:
        ratio = row["server_cpu_s_per_100k"] / rows[0]["server_cpu_s_per_100k"]
        print(f"{row['name']} takes {ratio:.0f} times the CPU of {rows[0]['name']} for a span that is accepted")


def load(args: argparse.Namespace) -> None:
    """As fast as four connections go, then wait until everything is stored."""
    servers = [unquiet(args.out)]
    if args.peers:
        servers += peers(args.out, args.peers)
    rows = []
    for server in servers:
        with running(server) as process:
            rows.append(loaded(args.kit, server, process, "--seconds", str(args.seconds), "--settle", str(args.settle)))
    show(rows)


def steady(args: argparse.Namespace) -> None:
    """A fixed rate for minutes; sessions are over after a minute, so that signals and detection have their full share.

    The clock of the traffic is the generator's: bodies are made once, so their sessions close when later bodies are read;
    a new generator is started every half minute.
    """
    config = '[detection]\nidle = "1m"\nlateness = "5s"\nlearn_days = 0.5\ntrace_quiet = "2s"\n'
    server = unquiet(args.out, config)
    flow = ("--seconds", "30", "--rate", str(args.rate), "--settle", "0")
    with running(server) as process:
        rows = [loaded(args.kit, server, process, *flow) for _ in range(round(args.minutes * 2))]
        told = json.load(urllib.request.urlopen(server.ready.replace("healthz", "api/v1/status")))  # noqa: S310
    show(rows)
    print(json.dumps(told["service"]["counts"]))


def overload(args: argparse.Namespace) -> None:
    """Sixteen connections for a while against a small log: refusals with Retry-After, bounded memory, then recovery."""
    server = unquiet(args.out, "[storage]\nundrained_mb_max = 256\n")
    with running(server) as process:
        first = loaded(
            args.kit, server, process, "--connections", "16", "--seconds", str(args.seconds), "--settle", "600"
        )
        again = loaded(args.kit, server, process, "--connections", "1", "--batches", "20", "--settle", "60")
    show([first, again])
    refused = sum(count for status, count in first["status"].items() if status in ("429", "503"))
    print(f"refused {refused}, with Retry-After {first['retry_after_headers']}; afterwards {again['status']}")


def probe(args: argparse.Namespace) -> None:
    """The kit's hostile bodies, one line each."""
    server = unquiet(args.out)
    with running(server) as process:
        command = [sys.executable, str(args.kit / "probe.py"), "--url", server.url, "--name", "unquiet"]
        subprocess.run([*command, "--pid", str(process.pid)], check=True)


def crash(args: argparse.Namespace) -> None:
    """SIGKILL at random moments under load: acknowledged spans that are gone, over all times."""
    rng = random.Random(args.seed)
    lost = acked = stored = 0
    for number in range(args.times):
        server = unquiet(args.out)
        command = [
            sys.executable, str(args.kit / "crash.py"), "--start", shlex.join(server.command), "--ready", server.ready,
            "--url", server.url, "--count", server.count, "--kill-after", f"{rng.uniform(0.5, 6.0):.2f}", "--after", "90",
        ]  # fmt: skip
        done = subprocess.run(command, env={**os.environ, **server.environ}, check=True, capture_output=True, text=True)
        said = json.loads(done.stdout.splitlines()[-1])
        lost, acked, stored = (
            lost + said["acked_lost"],
            acked + said["acked_spans"],
            stored + said["stored_after_restart"],
        )
        print(f"{number + 1}: acknowledged {said['acked_spans']}, lost {said['acked_lost']}", flush=True)
    print(f"{args.times} kills: acknowledged {acked}, stored {stored}, lost {lost}")


def rows(args: argparse.Namespace) -> None:
    """The rows of `spans` in a SQLite database; 0 while there is none."""
    try:
        with sqlite3.connect(f"file:{args.database}?mode=ro", uri=True) as connection:
            print(connection.execute("SELECT count(*) FROM spans").fetchone()[0])
    except sqlite3.OperationalError:
        print(0)


def main() -> None:
    """Parse the arguments and run one of the loads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shared = Path(os.environ.get("UNQUIET_SHARED", ROOT.parent / "shared"))
    jobs: dict[str, Callable[[argparse.Namespace], None]] = {
        "load": load, "steady": steady, "overload": overload, "probe": probe, "crash": crash, "rows": rows,
    }  # fmt: skip
    parser.add_argument("job", choices=jobs)
    parser.add_argument("--kit", type=Path, default=shared / "bench" / "ingest")
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "unquiet-ingest")
    parser.add_argument("--peers", type=Path, help="folder with the programs phoenix and mlflow")
    parser.add_argument("--database", type=Path)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--settle", type=float, default=300)
    parser.add_argument("--rate", type=float, default=6000)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.job != "rows" and not (args.kit / "loadgen.py").is_file():
        raise SystemExit(f"{args.kit} holds no loadgen.py: the kit is not part of this repository. Name it with --kit.")
    jobs[args.job](args)


if __name__ == "__main__":
    main()
