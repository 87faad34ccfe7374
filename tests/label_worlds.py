"""Made-up traffic for the tests of labels: answers whose refusal score is known, and a judge's server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa

from unquiet.model.turns import TURNS
from unquiet.store import Store

START = datetime(2026, 3, 2, tzinfo=UTC)
REFUSED = "I'm sorry, but I can't help with that. Our policy does not allow refunds."
HELPED = "Your order is on its way and will arrive tomorrow."
Handler = Callable[[dict[str, Any]], tuple[int, Any]]


def turn(number: int, **changes: Any) -> dict[str, Any]:
    """Every tenth turn is refused; two locales."""
    row: dict[str, Any] = dict.fromkeys(TURNS.names)
    row |= {
        "turn_id": f"t{number:05d}",
        "session_id": f"s{number:05d}",
        "turn_index": 0,
        "time": START + timedelta(minutes=number),
        "input": f"Please refund order {number}",
        "output": REFUSED if number % 10 == 0 else HELPED,
        "tool_calls": [{"name": "lookup", "arguments": f'{{"order": {number}}}', "result": "ok", "error": None}],
        "facets": [("locale", "de-DE" if number % 4 == 0 else "en-US")],
    }
    return row | changes


def fill(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """A folder with these turns."""
    with Store.open(folder) as store:
        store.append_turns(pa.Table.from_pylist(rows, schema=TURNS))
    return folder


def completion(content: object, usage: object = None) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": content}}], "usage": usage}


def sees_refusal(request: dict[str, Any]) -> bool:
    """What a good judge says."""
    return "can't help" in json.loads(request["messages"][1]["content"])["answer"]


def good(request: dict[str, Any]) -> tuple[int, Any]:
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    return 200, completion(json.dumps({"label": sees_refusal(request)}), usage)


@contextmanager
def judge_server(handler: Handler) -> Generator[tuple[str, list[dict[str, Any]]]]:
    """A server on loopback that answers with `handler`; its base URL, and the requests that it got, headers included."""
    seen: list[dict[str, Any]] = []

    class Server(BaseHTTPRequestHandler):
        timeout = 10

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append({"path": self.path, "key": self.headers.get("Authorization"), **request})
            status, answer = handler(request)
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
