"""JSONL: one case a line, for a tool of your own."""

from __future__ import annotations

import json
from collections.abc import Mapping

from unquiet.regression.formats.embedding import case_fields
from unquiet.regression.suite import Suite


class Jsonl:
    """One JSON object a line: id, requests (the last is asked), assertions, recorded."""

    name = "jsonl"
    suffix = ".jsonl"

    def files(self, suite: Suite) -> Mapping[str, str]:
        """One file."""
        lines = [
            json.dumps({"incident": suite.incident, **case_fields(case)}, ensure_ascii=False) for case in suite.cases
        ]
        return {"cases.jsonl": "\n".join(lines) + "\n"}
