"""A promptfoo configuration with the checks that it uses; the provider is named by UNQUIET_PROVIDER."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from unquiet.regression import checking
from unquiet.regression.formats.embedding import MEASURE, head
from unquiet.regression.suite import Case, Suite

CONFIG, CHECKS, MEASURED = "promptfooconfig.yaml", "checks.js", "measured.py"
BROKEN = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
"""Signs that YAML does not take as they are."""

PROVIDER = "{{ env.UNQUIET_PROVIDER }}"
PROMPT = """[
{%- for turn in _conversation %}
  {"role": "user", "content": {{ turn.input | dump }}},
  {"role": "assistant", "content": {{ turn.output | dump }}},
{%- endfor %}
  {"role": "user", "content": {{ request.text | dump }}}
]"""
ASSERT = '''

def get_assert(output: Any, context: dict[str, Any]) -> dict[str, Any]:
    """Whether unquiet measures in an answer what the assertion, `context["config"]`, wants."""
    wanted = context["config"]
    value = measure(wanted["signal"], context["vars"]["request"]["text"], output if isinstance(output, str) else "")
    held = value is not None and (value >= 0.5) == wanted["want"]
    return {"pass": held, "score": float(held), "reason": f"expected: {wanted['said']}; unquiet measures {value}"}
'''


class Promptfoo:
    """A folder, to be run with `UNQUIET_PROVIDER=PROVIDER promptfoo eval -c FOLDER/promptfooconfig.yaml`."""

    name = "promptfoo"
    suffix = ""

    def files(self, suite: Suite) -> Mapping[str, str]:
        """The configuration and its checks."""
        tables = {"PARTS": checking.PARTS, "SCRIPTS": checking.SCRIPTS, "APART": checking.APART}
        constants = "".join(
            f"const {name} = {json.dumps(table, ensure_ascii=True)};\n" for name, table in tables.items()
        )
        code = Path(__file__).with_name(CHECKS).read_text(encoding="utf-8")
        files = {CONFIG: "\n".join(_config(suite)) + "\n", CHECKS: constants + code}
        if suite.needs_unquiet:
            files[MEASURED] = f'"""What unquiet measures."""\n\nfrom typing import Any\n{MEASURE}{ASSERT}'
        return files


def _config(suite: Suite) -> Iterator[str]:
    yield from (f"# {line}".rstrip() for line in head(suite))
    yield f"description: {_quoted(f'regression cases of {suite.incident}')}"
    yield "providers:"
    yield f"  - {_quoted(PROVIDER)}"
    yield "prompts:"
    yield "  - |-"
    yield from (f"    {line}" for line in PROMPT.splitlines())
    yield "tests:"
    for case in suite.cases:
        yield from _tests(case)


def _tests(case: Case) -> Iterator[str]:
    """A test for each request: the last has the assertions, those before it are the conversation up to there."""
    for place, request in enumerate(case.requests, 1):
        last = place == len(case.requests)
        told = (
            case.id if last else f"{case.id} (request {place} of {len(case.requests)}, before the one that is checked)"
        )
        yield f"  - description: {_quoted(told)}"
        yield "    vars:"
        yield "      request:"
        yield f"        text: {_quoted(request)}"
        yield "    metadata:"
        yield f"      conversationId: {_quoted(case.id)}"
        if last:
            yield f"      recorded: {_quoted(_recorded(case))}"
            yield "    assert:"
            for assertion in case.assertions:
                yield from _assertion(assertion)


def _recorded(case: Case) -> str:
    passed, failed = (f"{each.count} of {each.n}" for each in (case.before, case.after))
    return f"{passed} answers before the onset pass, {failed} of the incident fail"


def _assertion(assertion: Mapping[str, Any]) -> Iterator[str]:
    measured = assertion["kind"] == "signal"
    yield f"      - type: {'python' if measured else 'javascript'}"
    yield f"        value: {_quoted(f'file://{MEASURED if measured else CHECKS}')}"
    yield f"        metric: {_quoted(assertion['said'])}"
    yield "        config:"
    for key, value in assertion.items():
        yield f"          {key}: {_quoted(value)}"


def _quoted(value: Any) -> str:
    """A value as JSON that is YAML too."""
    return BROKEN.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))
