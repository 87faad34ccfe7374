"""The pictures of output in README and tutorial: what `unquiet demo` prints, cut to what the page is about.

`make docs` plays the demo and writes them; the test of the demo compares them with what it prints.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", ROOT / "docs" / "tutorial.md")
PICTURE = re.compile(r"<!-- picture: (?P<name>[a-z]+) -->\n.*?<!-- end -->", re.DOTALL)

PROGRAM = re.compile(r"^( +)(?:\S*unquiet|python -m unquiet) (?=incident )", re.MULTILINE)
"""How the program is called depends on where it is installed."""


def played() -> str:
    """What the demo prints, in a window so wide that nothing is bent."""
    environment = {**os.environ, "COLUMNS": "300", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "unquiet", "demo"]
        done = subprocess.run(  # noqa: S603
            command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=True
        )
    return done.stdout


def filled(page: str, printed: str) -> str:
    """The page with its pictures cut out of what the demo printed."""
    cut = pictures(printed)
    return PICTURE.sub(
        lambda found: f"<!-- picture: {found['name']} -->\n\n```text\n{cut[found['name']]}\n```\n\n<!-- end -->", page
    )


def pictures(printed: str) -> dict[str, str]:
    """Each picture by its name."""
    printed = PROGRAM.sub(r"\1unquiet ", printed)
    parts = ["\n".join(line.rstrip() for line in part.splitlines()) for part in printed.strip().split("\n\n")]
    days = next(i for i, part in enumerate(parts) if part.startswith("per day"))
    before, truth = (
        next(i for i, part in enumerate(parts) if part.startswith(word)) for word in ("before ", "The truth")
    )
    facts, pair, charts = parts[days + 1], parts[before : before + 2], parts[truth + 1]
    head = [*parts[days - 1 : days + 1]]
    return {
        "short": "\n\n".join([*head, *(_first_turn(part) for part in pair), _suspects(facts)]),
        "incident": "\n\n".join([*head, facts, *pair]),
        "truth": "\n\n".join([parts[truth].partition("\n")[2], charts]),
    }


def _first_turn(part: str) -> str:
    return "\n".join(part.splitlines()[:4])


def _suspects(facts: str) -> str:
    lines = facts.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("changes consistent"))
    return "\n".join(lines[first : first + 2])


def main() -> None:
    """Write the pictures anew."""
    printed = played()
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8"), printed), encoding="utf-8")


if __name__ == "__main__":
    main()
