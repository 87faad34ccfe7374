"""Traffic of which no text was captured: times, tokens, latencies, finish reasons, names of tools, facets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from unquiet.app.scanning import scan
from unquiet.model.settings import Settings

START = datetime(2026, 3, 2, tzinfo=UTC)
SETTINGS = Settings(learn=timedelta(days=5))

Change = Callable[[dict[str, Any], np.random.Generator], None]


def bare(
    seed: int,
    *,
    days: int = 14,
    per_day: int = 150,
    since: float = 99,
    change: Change | None = None,
    text: Callable[[float], bool] = lambda _day: False,
) -> list[dict[str, Any]]:
    """One turn a session; from day `since` on `change` is made to each. `text` says on which days content is captured."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for i, at in enumerate(np.sort(rng.random(days * per_day)) * days):
        intent = str(rng.choice(["refund", "delivery", "login"]))
        tokens = int(rng.integers(40, 120)) + (80 if intent == "refund" else 0)
        refused = rng.random() < 0.03
        called = rng.random() < (0.85 if intent == "delivery" else 0.4)
        row: dict[str, Any] = {
            "time": START + timedelta(days=float(at)),
            "session_id": f"s{i}",
            "user_id": f"u{rng.integers(600)}",
            "input": f"I have a question about my {intent}, number {i:05}",
            "output": "I'm sorry, but I can't help with that."
            if refused
            else f"Here you are, {intent} {i:05} is done. " * 4,
            "tool_calls": [{"name": "find_order", "arguments": "{}", "result": "ok"}] if called else [],
            "finish_reason": "stop" if rng.random() < 0.98 else "length",
            "latency_ms": float(rng.gamma(8.0, 100.0)),
            "input_tokens": int(rng.integers(200, 400)),
            "output_tokens": tokens,
            "intent": intent,
            "plan": str(rng.choice(["free", "paid"])),
        }
        if at >= since and change is not None:
            change(row, rng)
        if not text(float(at)):
            row |= {"input": None, "output": None, "tool_calls": [{"name": c["name"]} for c in row["tool_calls"]]}
        rows.append(row)
    return rows


def scanned(folder: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The document of a scan of the rows into `folder`/db."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "turns.jsonl"
    path.write_bytes(b"\n".join(orjson.dumps({**row, "time": row["time"].isoformat()}) for row in rows))
    result = scan([str(path)], folder / "db", SETTINGS, mapping={}, changes=[], progress=lambda *_: None)
    return orjson.loads(orjson.dumps(result.document))
