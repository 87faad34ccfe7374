"""What `measure` makes of turns in many languages stays what it was, to the last column, however it is computed.

`measured_hashes.json` was recorded before measuring was made faster. Record it anew only together with new signal versions:

    python tests/test_pipeline_measured.py
"""

from __future__ import annotations

import hashlib
import json
import random
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from signal_cases import FLAGGED, OTHER_LANGUAGES
from signal_samples import call, turns
from unquiet.model.sessions import SIGNAL_PREFIX
from unquiet.pipeline.measuring import Measured, measure, signal_infos
from unquiet.sessions import Assembler, ClosedSessions

HERE = Path(__file__).parent
RECORDED = HERE / "measured_hashes.json"
SESSIONS = 600
ODD_TEXTS = (
    *("", " \n ", "\x00\x01\x0b word\x0b", "ok", "1. a\n2. b\n3. c", "| a | b |\n|---|---|\n| 1 | 2 |", "👩‍👩‍👧 " * 9),
    *(
        '{"a": [1, 2]}',
        '```json\n{"a": 1}\n```',
        "```\nopen",
        "Answer in valid JSON only.",
        "## Plan\n\nGo.",
        "RE: refund!!! WTF???",
    ),
    *(
        "Привет, где мой заказ? Спасибо большое.",
        "مرحبا، أين طلبي؟",
        "שלום, איפה ההזמנה שלי?",
        "Ποια παραγγελία εννοείτε;",
    ),
    *(
        "สวัสดีครับ คำสั่งซื้อของฉันอยู่ที่ไหน",
        "안녕하세요, 주문 상태를 확인해 주세요.",
        "mail bob@example.org or see https://example.org/x y",
    ),
    *(
        "ta mi lo re so ",
        "kua zen pli vor dax ",
        "ĉu vi povas diri al mi kie estas mia pakaĵo",
        "no no no no no no no no",
    ),
)
TOOLS = ("search_orders", "get_order", "cancel_order", "transfer_to_human", "run.sql", "")


def phrases() -> list[str]:
    """Wordings of every language that has families, hit and not hit."""
    found: list[str] = []
    for path in sorted((HERE / "wording_samples").glob("*.toml")):
        for value in tomllib.loads(path.read_text(encoding="utf-8")).values():
            found += [text for text in value if isinstance(text, str)]
    cases = [*FLAGGED, *(case for cases in OTHER_LANGUAGES.values() for case in cases)]
    return [*found, *(row[name] for _, row in cases for name in ("input", "output") if row.get(name))]


def words(rng: random.Random) -> str:
    """A text that is in no language."""
    return " ".join(
        "".join(rng.choices("bdfglmnrst", k=1) + rng.choices("aeiou", k=1)) * rng.randint(1, 3) for _ in range(30)
    )


def a_text(rng: random.Random, pool: list[str]) -> str | None:
    kind = rng.random()
    if kind < 0.04:
        return None
    if kind < 0.15:
        return words(rng)
    if kind < 0.3:
        return rng.choice(ODD_TEXTS) * rng.randint(1, 3)
    start = rng.randrange(len(pool))
    said = pool[start : start + rng.randint(1, 12)]
    return rng.choice((" ", "\n", "\n\n- ")).join(said) * (20 if kind > 0.98 else 1)


def a_call(rng: random.Random) -> dict[str, Any]:
    result = rng.choice((None, "[]", "null", '{"ok": 1}', "Error: no such order", '{"error": "x"}'))
    return call(
        rng.choice(TOOLS), rng.choice(("{}", '{"id": 1}', '{"id":  1}')), result, rng.choice((None, None, "boom"))
    )


def a_turn(rng: random.Random, pool: list[str]) -> dict[str, Any]:
    return {
        "input": a_text(rng, pool),
        "output": a_text(rng, pool),
        "tool_calls": None if rng.random() < 0.1 else [a_call(rng) for _ in range(rng.choice((0, 0, 1, 2, 7)))],
        "finish_reason": rng.choice((None, None, "stop", "length", "FinishReason.SAFETY")),
        "latency_ms": rng.choice((None, 12.5, 900.0)),
        "output_tokens": rng.choice((None, 7, 300)),
        "model": rng.choice((None, "gpt-4o")),
        "served_model": rng.choice((None, "gpt-4o-2024-08-06", "gpt-4o-mini")),
        "facets": [("tenant", f"t{rng.randrange(4)}")],
    }


def a_session(rng: random.Random, pool: list[str]) -> list[dict[str, Any]]:
    made = [a_turn(rng, pool) for _ in range(rng.choice((1, 1, 2, 4, 6)))]
    if rng.random() < 0.1:
        made = [turn | {"input": made[0]["input"]} for turn in made]
    if rng.random() < 0.1:
        made = [turn | {"output": "Which order do you mean?", "tool_calls": []} for turn in made]
    return made


def closed_sessions() -> ClosedSessions:
    rng, pool = random.Random(11), phrases()
    rows = [
        {"turn_id": f"{s}-{i}", "session_id": f"s{s:04}", "turn_index": i, "time": 40_000_000 * s + 1_000_000 * i}
        | turn
        for s in range(SESSIONS)
        for i, turn in enumerate(a_session(rng, pool))
    ]
    return Assembler().push(turns(rows), 2**62)


def hashed(values: object) -> str:
    return hashlib.sha256(repr(values).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def rounded(values: npt.NDArray[np.floating[Any]], digits: int) -> list[float]:
    """To so many digits, -0.0 as 0.0: other processors may round the last ones otherwise."""
    return (np.round(values.astype(np.float64), digits) + 0.0).ravel().tolist()


def hashes(measured: Measured) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in measured.visits.column_names:
        column = measured.visits.column(name)
        floating = pa.types.is_floating(column.type)
        found[name] = hashed(rounded(column.to_numpy(), 9) if floating else column.to_pylist())
    features = measured.features
    found |= {"inputs": hashed(measured.inputs.to_pylist()), "steps": hashed(measured.steps.to_pylist())}
    found["requests"] = hashed(rounded(measured.requests, 4))
    arrays = {"starts": features.starts, "keys": features.keys, "request": features.request, "known": features.known}
    return found | {f"features.{name}": hashed(values.tolist()) for name, values in arrays.items()}


@pytest.fixture(scope="module")
def closed() -> ClosedSessions:
    return closed_sessions()


@pytest.fixture(scope="module")
def measured(closed: ClosedSessions) -> Measured:
    return measure(closed)


def test_what_is_measured_stays_the_same(measured: Measured) -> None:
    assert measured.failures == {}
    assert hashes(measured) == json.loads(RECORDED.read_text(encoding="utf-8"))


def test_what_is_measured_does_not_depend_on_the_batch(closed: ClosedSessions, measured: Measured) -> None:
    for low, high in ((0, 7), (7, 60), (60, 61)):
        first, last = closed.starts[low], closed.starts[high]
        part = ClosedSessions(
            closed.turns.slice(first, last - first), closed.starts[low : high + 1] - first, closed.closed_us[low:high]
        )
        assert hashes(measure(part)) == hashes(measured.part(low, high))


def test_every_flag_is_set_somewhere_and_not_set_somewhere(measured: Measured) -> None:
    """What never happens in these turns would not be held still."""
    flags = {SIGNAL_PREFIX + info.name for info in signal_infos() if info.kind == "flag"}
    held = {name: set(measured.visits.column(name).to_pylist()) >= {0.0, 1.0} for name in flags}
    assert {name for name in flags if not held[name]} <= {f"{SIGNAL_PREFIX}measurement_failure"}


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(hashes(measure(closed_sessions())), indent=1) + "\n", encoding="utf-8")
