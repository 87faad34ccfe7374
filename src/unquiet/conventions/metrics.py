"""The metrics that people draw alerts from, under the names that they have in Prometheus, and what of a turn they count.

Names of OpenTelemetry's conventions come as its exporters for Prometheus write them: dots are underscores, the unit is a suffix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "histogram", "up"]
Counted = Literal["turns", "errors", "seconds", "tokens", "tool_calls", "tool_errors", "cost", "up"]

STATUS, METHOD, ERROR, MODEL, SERVED, OPERATION, TOKEN, TOOL, FINISH = (
    "status",
    "method",
    "error",
    "model",
    "served model",
    "operation",
    "token",
    "tool",
    "finish reason",
)

LABELS: Mapping[str, tuple[str, ...]] = {
    STATUS: (
        "http_response_status_code",
        "status",
        "code",
        "status_code",
        "http_status_code",
        "http_code",
        "http_status",
        "response_code",
    ),
    METHOD: ("http_request_method", "method", "http_method"),
    ERROR: ("error_type", "exception"),
    MODEL: ("gen_ai_request_model", "model", "model_name"),
    SERVED: ("gen_ai_response_model",),
    OPERATION: ("gen_ai_operation_name",),
    TOKEN: ("gen_ai_token_type", "token_type", "type"),
    TOOL: ("gen_ai_tool_name", "tool", "tool_name"),
    FINISH: ("finish_reason", "gen_ai_response_finish_reasons"),
}
"""What a label says of a turn, and the names that it goes by; the first is used where rules name none of them."""

OF_MILLISECONDS = 1000.0
HTTP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
HTTP_MILLISECONDS = tuple(each * OF_MILLISECONDS for each in HTTP_SECONDS)
GENAI_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
GENAI_TOKENS = tuple(4.0**power for power in range(14))


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric under all names that it goes by.

    `counted` is what it counts or observes, `labels` are keys of LABELS. A histogram has the upper bounds `buckets`, in its own
    unit, of which `per_unit` make one second (or token).
    """

    names: tuple[str, ...]
    kind: Kind
    counted: Counted
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    per_unit: float = 1.0


METRICS: tuple[Metric, ...] = (
    Metric(
        (
            "http_server_request_duration_seconds",
            "http_request_duration_seconds",
            "http_server_requests_seconds",
            "http_server_duration_seconds",
            "request_duration_seconds",
            "http_request_duration_highr_seconds",
            "flask_http_request_duration_seconds",
        ),
        "histogram",
        "seconds",
        (STATUS, METHOD),
        HTTP_SECONDS,
    ),
    Metric(
        ("http_server_duration_milliseconds", "http_server_duration", "http_request_duration_milliseconds"),
        "histogram",
        "seconds",
        (STATUS, METHOD),
        HTTP_MILLISECONDS,
        OF_MILLISECONDS,
    ),
    Metric(
        (
            "http_requests_total",
            "http_request_total",
            "http_server_requests_total",
            "flask_http_request_total",
            "requests_total",
        ),
        "counter",
        "turns",
        (STATUS, METHOD),
    ),
    Metric(("http_requests_errors_total", "http_errors_total", "errors_total"), "counter", "errors", (STATUS, METHOD)),
    Metric(
        (
            "gen_ai_client_operation_duration_seconds",
            "gen_ai_server_request_duration_seconds",
            "gen_ai_client_operation_duration",
            "llm_request_duration_seconds",
        ),
        "histogram",
        "seconds",
        (OPERATION, MODEL, SERVED, ERROR),
        GENAI_SECONDS,
    ),
    Metric(
        ("gen_ai_client_token_usage", "gen_ai_client_token_usage_tokens", "gen_ai_client_token_usage_token"),
        "histogram",
        "tokens",
        (OPERATION, MODEL, SERVED, TOKEN),
        GENAI_TOKENS,
    ),
    Metric(("llm_requests_total", "gen_ai_requests_total"), "counter", "turns", (MODEL, STATUS)),
    Metric(
        ("llm_errors_total", "llm_request_errors_total", "gen_ai_errors_total"), "counter", "errors", (MODEL, ERROR)
    ),
    Metric(("llm_tokens_total", "gen_ai_tokens_total", "llm_token_usage_total"), "counter", "tokens", (MODEL, TOKEN)),
    Metric(
        ("llm_cost_usd_total", "gen_ai_cost_usd_total", "llm_cost_dollars_total"),
        "counter",
        "cost",
        (MODEL,),
    ),
    Metric(("llm_responses_total", "gen_ai_responses_total"), "counter", "turns", (MODEL, FINISH)),
    Metric(("tool_calls_total", "agent_tool_calls_total", "gen_ai_tool_calls_total"), "counter", "tool_calls", (TOOL,)),
    Metric(
        ("tool_errors_total", "agent_tool_errors_total", "gen_ai_tool_errors_total"), "counter", "tool_errors", (TOOL,)
    ),
    Metric(("up",), "up", "up"),
)

PARTS = ("_bucket", "_sum", "_count")
"""The series that a histogram is written as."""


def metric_of(name: str) -> tuple[Metric, str] | None:
    """The metric that a series name belongs to, and the part of it (empty for a counter); None for a name that is not known."""
    for metric in METRICS:
        if metric.kind != "histogram" and name in metric.names:
            return metric, ""
        if metric.kind == "histogram":
            for part in PARTS:
                if name.endswith(part) and name.removesuffix(part) in metric.names:
                    return metric, part
    return None
