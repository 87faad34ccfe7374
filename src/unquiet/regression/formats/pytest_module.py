"""A pytest module: the agent under test is a function named by UNQUIET_AGENT."""

from __future__ import annotations

from collections.abc import Mapping

from unquiet.regression import checking, playing
from unquiet.regression.formats.embedding import module
from unquiet.regression.suite import Suite

IMPORTS = "import pytest"
BODY = '''
@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_answers_as_before(case: dict[str, Any]) -> None:
    """The agent answers as it did before the incident."""
    output, calls = play(case["requests"])
    request = case["requests"][-1]
    wrong = [failed(each, request, output, calls, measure) for each in case["assertions"]]
    assert not any(wrong), "; ".join(each for each in wrong if each)
'''


class PytestModule:
    """One file, to be run with `UNQUIET_AGENT=module:function pytest FILE`."""

    name = "pytest"
    suffix = ".py"

    def files(self, suite: Suite) -> Mapping[str, str]:
        """One file."""
        return {"test_regression.py": module(suite, (checking, playing), IMPORTS, BODY)}
