"""Known faults injected into recorded sessions: how many are caught, and how many sessions without one are flagged.

    python benchmarks/faults.py                  # ../shared/data beside the repository
    python benchmarks/faults.py --data FOLDER

The faults are those of tests/session_faults.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
SETS = ("tau_airline", "agentdojo")
MOST_SESSIONS = 1_000
SEED = 1

sys.path.insert(0, str(ROOT / "tests"))
from session_faults import Session, table  # noqa: E402

Message = dict[str, Any]


def text_of(message: Message) -> str | None:
    content = message.get("content")
    if content is None or isinstance(content, str):
        return content
    return "".join(str(part.get("text") or part.get("content") or "") for part in content if isinstance(part, dict))


def call_of(call: Message) -> Message:
    """A call as in the turn table, with its id; OpenAI's form and AgentDojo's."""
    function, arguments = call.get("function"), call.get("args")
    if isinstance(function, dict):
        function, arguments = function.get("name"), function.get("arguments")
    written = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"name": function, "arguments": written, "result": None, "error": None, "id": call.get("id")}


def turns_of(messages: list[Message]) -> Session:
    """A turn begins with what the user says; its answer is the last text of the agent."""
    found: Session = []
    for message in messages:
        role = message["role"]
        if role == "user" or (role == "assistant" and not found):
            found.append({"input": text_of(message) if role == "user" else "", "output": None, "tool_calls": []})
        if role == "assistant":
            found[-1]["output"] = text_of(message) or found[-1]["output"]
            found[-1]["tool_calls"] += [call_of(call) for call in message.get("tool_calls") or []]
        elif role == "tool" and found:
            waiting = [call for call in found[-1]["tool_calls"] if call["result"] is None]
            named = [call for call in waiting if call["id"] == message.get("tool_call_id")] or waiting
            if named:
                named[0] |= {"result": text_of(message), "error": message.get("error") or None}
    for turn in found:
        turn["tool_calls"] = [{k: v for k, v in call.items() if k != "id"} for call in turn["tool_calls"]]
    return [turn for turn in found if turn["output"] is not None or turn["tool_calls"]]


def sessions_of(path: Path) -> list[Session]:
    rows = pq.read_table(path, columns=["messages"]).column("messages").to_pylist()
    return [turns for row in rows[:MOST_SESSIONS] if (turns := turns_of(json.loads(row)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the recorded sessions")
    data = parser.parse_args().data
    for name in SETS:
        path = data / name / "sessions.parquet"
        if not path.exists():
            print(f"{name}: no recorded sessions at {path}: give their folder with --data")
            continue
        sessions = sessions_of(path)
        print(f"{name + f' ({len(sessions)} sessions)':36}{'n':>6}{'recall':>8}{'flagged':>9}")
        for row in table(sessions, SEED).to_pylist():
            print(f"{row['fault']:36}{row['n']:6}{row['recall']:8.2f}{row['flagged']:9.3f}")


if __name__ == "__main__":
    main()
