"""The eval result: one case of an evaluation suite in one run, as an Arrow table of fixed schema."""

from __future__ import annotations

import pyarrow as pa

PASSED, FAILED, ERROR, NOT_RUN, UNDECIDED = "passed", "failed", "error", "not_run", "undecided"
STATUSES = (PASSED, FAILED, ERROR, NOT_RUN, UNDECIDED)
"""What became of a case: its checks held; one did not; it or its evaluator broke; it was skipped or disabled; or it ran, and
nothing says whether that was good: there was no check, or a score without a threshold."""

CHECK = pa.struct(
    [
        pa.field("kind", pa.string()),
        pa.field("expected", pa.large_string()),
        pa.field("passed", pa.bool_()),
        pa.field("score", pa.float64()),
        pa.field("reason", pa.large_string()),
    ]
)
"""One check of a case: its kind as the tool names it (contains, regex, llm-rubric, a metric), and what it looked for."""

EVAL_RESULTS = pa.schema(
    [
        pa.field("result_id", pa.string(), nullable=False),
        pa.field("run", pa.string(), nullable=False),
        pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("tool", pa.string(), nullable=False),
        pa.field("suite", pa.string()),
        pa.field("case_name", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("input", pa.large_string()),
        pa.field("output", pa.large_string()),
        pa.field("expected", pa.large_string()),
        pa.field("score", pa.float64()),
        pa.field("checks", pa.list_(CHECK)),
        pa.field("reason", pa.large_string()),
        pa.field("model", pa.string()),
        pa.field("prompt_hash", pa.string()),
        pa.field("tools_hash", pa.string()),
        pa.field("session_id", pa.string()),
        pa.field("turn_id", pa.string()),
        pa.field("facets", pa.map_(pa.string(), pa.string())),
    ]
)
"""The table of eval results.

`result_id` identifies a result across files: the same id twice is a duplicate. `run` names one execution of a suite, `time` is
when it ran. `status` is one of STATUSES. `input` is the request of the case (the last message of the user), null where the
report does not hold it. `checks` is null where the report does not tell them. `model`, `prompt_hash` and `tools_hash` are
those of the path that was evaluated. `session_id` and `turn_id` tell the production turn that was evaluated, where one was.
`facets` holds every other scalar attribute of the case, as text, keys unique.
"""
