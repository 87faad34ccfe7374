"""Python that exported files carry with them: the checks as they were measured, and how the agent under test is asked."""

from __future__ import annotations

import ast
import inspect
import pprint
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from unquiet.regression.suite import Case, Suite

WIDTH = 116

MEASURE = '''
def measure(signal: str, request: str, output: str) -> float | None:
    """What unquiet measures of an answer: no small expression tells this behaviour."""
    try:
        from unquiet.app.asserting import reading
    except ImportError as error:
        raise RuntimeError(f"the assertion asks unquiet for {signal}: pip install unquiet") from error
    return reading(signal, request, output)
'''
NO_MEASURE = "\nmeasure = None\n"


def head(suite: Suite) -> list[str]:
    """What is said of a suite at the top of its file, in lines."""
    lines = [
        f"Regression cases of {suite.incident}: {suite.title}",
        "",
        f"Onset {suite.onset}. Expected is what the answers before it did, told by these assertions:",
    ]
    for rule in suite.rules:
        found, wrong = f"{rule.after.count} of {rule.after.n}", f"{rule.before.count} of {rule.before.n}"
        lines.append(f"- {rule.said}: failed by {found} sessions of the incident and {wrong} before it")
        if rule.needs_unquiet:
            lines.append("  (measured by unquiet, which must be installed where it is checked)")
    lines.append(
        f"Any of them: {suite.after.count} of {suite.after.n} and {suite.before.count} of {suite.before.n} (sessions held out)."
    )
    return lines


def case_fields(case: Case) -> dict[str, Any]:
    """A case as plain values."""
    return {
        "id": case.id,
        "requests": list(case.requests),
        "assertions": [dict(each) for each in case.assertions],
        "recorded": {
            "before_passed": case.before.count,
            "before_answers": case.before.n,
            "after_failed": case.after.count,
            "after_answers": case.after.n,
        },
    }


def module(suite: Suite, parts: tuple[ModuleType, ...], imports: str, body: str, *, cases: bool = True) -> str:
    """A Python file: what is said of the suite, imports, the code of `parts`, the cases and `body`."""
    doc = "\n".join(head(suite)).replace("\\", "\\\\").replace('"""', "'''")
    pieces = [_split(part) for part in parts]
    found = _imports([*(line for lines, _ in pieces for line in lines), *imports.splitlines()])
    code = "\n\n".join(text for _, text in pieces)
    literal = f"CASES = {pprint.pformat([case_fields(case) for case in suite.cases], width=WIDTH, sort_dicts=False)}"
    middle = MEASURE if suite.needs_unquiet else NO_MEASURE
    kept = f"{literal}\n\n" if cases else ""
    return f'"""{doc}\n"""\n\n' + "\n".join(found) + f"\n\n{kept}{code}\n\n{middle}\n\n{body.strip()}\n"


def _imports(lines: Sequence[str]) -> list[str]:
    """Import lines in their order, names from one module together."""
    whole = sorted({line for line in lines if line.startswith("import ")})
    names: dict[str, set[str]] = {}
    for line in lines:
        if line.startswith("from ") and "__future__" not in line:
            source, _, wanted = line.removeprefix("from ").partition(" import ")
            names.setdefault(source, set()).update(wanted.split(", "))
    froms = [f"from {source} import {', '.join(sorted(wanted))}" for source, wanted in sorted(names.items())]
    return ["from __future__ import annotations", "", *whole, *froms]


def _split(part: ModuleType) -> tuple[list[str], str]:
    """The import lines of a module, and what comes after them."""
    source = inspect.getsource(part)
    lines = source.splitlines()
    nodes = [node for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom)]
    last = max(node.end_lineno or 0 for node in nodes)
    return [lines[node.lineno - 1] for node in nodes], "\n".join(lines[last:]).strip("\n")
