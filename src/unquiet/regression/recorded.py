"""The recorded answers behind a suite, as a folder that plays them: the proof that its cases separate."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path

from unquiet.regression import recorded_agent
from unquiet.regression.suite import Suite

PROVIDER = "recorded_provider.js"


def recorded_files(suite: Suite) -> Mapping[str, str]:
    """Its texts by name: the answers, an agent for Python and a provider for promptfoo that give them."""
    rows = [
        {
            "id": case.id,
            "requests": case.requests,
            **{side: [{"output": a.output, "tool_calls": a.calls} for a in case.given[side]] for side in case.given},
        }
        for case in suite.cases
    ]
    return {
        recorded_agent.RECORDED: "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n",
        "recorded_agent.py": inspect.getsource(recorded_agent),
        PROVIDER: Path(__file__).with_name(PROVIDER).read_text(encoding="utf-8"),
    }
