"""A DeepEval test file: each assertion is a metric of its own, checked without a model."""

from __future__ import annotations

from collections.abc import Mapping

from unquiet.regression import checking, playing
from unquiet.regression.formats.embedding import module
from unquiet.regression.suite import Suite

IMPORTS = """import pytest
from deepeval import assert_test
from deepeval.metrics import BaseMetric
from deepeval.test_case import LLMTestCase, ToolCall"""
BODY = '''
class AsBefore(BaseMetric):
    """Whether an answer does what the answers before the incident did."""

    def __init__(self, assertion: Mapping[str, Any]) -> None:
        self.assertion, self.threshold, self.async_mode = assertion, 1.0, False
        self.evaluation_model, self.include_reason, self.strict_mode = None, True, True

    def measure(self, test_case: LLMTestCase, *_: Any, **__: Any) -> float:
        told = test_case.tools_called
        calls = None if told is None else [call.name for call in told]
        self.reason = failed(self.assertion, test_case.input, test_case.actual_output or "", calls, measure)
        self.score = 0.0 if self.reason else 1.0
        self.success = not self.reason
        return self.score

    async def a_measure(self, test_case: LLMTestCase, *_: Any, **__: Any) -> float:
        return self.measure(test_case)

    def is_successful(self) -> bool:
        return bool(self.success)

    @property
    def __name__(self) -> str:
        return self.assertion["said"]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_answers_as_before(case: dict[str, Any]) -> None:
    """The agent answers as it did before the incident."""
    output, calls = play(case["requests"])
    tools = None if calls is None else [ToolCall(name=name) for name in calls]
    asked = LLMTestCase(input=case["requests"][-1], actual_output=output, tools_called=tools, name=case["id"])
    assert_test(asked, [AsBefore(each) for each in case["assertions"]], run_async=False)
'''


class DeepEvalTest:
    """One file, to be run with `UNQUIET_AGENT=module:function deepeval test run FILE`."""

    name = "deepeval"
    suffix = ".py"

    def files(self, suite: Suite) -> Mapping[str, str]:
        """One file."""
        return {"test_regression.py": module(suite, (checking, playing), IMPORTS, BODY)}
