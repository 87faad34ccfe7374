"""Every recorded export of ../shared/data/trace_fixtures reads, and its turns hold what it recorded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from unquiet.sources import read_files

NOW = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Expected:
    """What a fixture holds: how many turns, and of its first one the beginnings of the texts and some fields."""

    turns: int
    request: str = ""
    answer: str | None = ""
    tools: tuple[str, ...] | None = ()
    fields: tuple[tuple[str, Any], ...] = ()


POPULARITY = "Is the following statement something you would say?"
FIXTURES: dict[str, Expected] = {
    "langfuse/agno-2025-06-11.trace.json": Expected(
        1, "What is currently trending on Twitter?", "To find out what's", ("duckduckgo_search",),
        (("session_id", "35cc6c90-b657-4819-b66c-c931c03ad569"), ("model", "gpt-4o-mini"), ("latency_ms", 6991.0)),
    ),
    "langfuse/autogen-2025-06-06.trace.json": Expected(
        1, "Say 'Hello World!'", "Hello World!", None,
        (("session_id", "session_abc"), ("user_id", "user_123"), ("input_tokens", 41), ("output_tokens", 3)),
    ),
    "langfuse/beeai-2025-08-01.trace.json": Expected(1, "I'm planning a trip to Barcelona", "Barcelona is a vibrant", None),
    "langfuse/claude-agent-2025-12-22.trace.json": Expected(
        1, "What's the weather like in Berlin", "Great! Here's the current weather",
        ("mcp__weather__get_weather", "mcp__weather__get_weather"),
        (("session_id", "6fb9b4b8-dd4d-4d41-8d4f-c0c0799a6559"), ("model", "claude-sonnet-4-5-20250929")),
    ),
    "langfuse/crewai-2025-07-11.trace.json": Expected(1, "\nCurrent Task: Define the HTML", "```html", ()),
    "langfuse/google-gemini-2025-08-01.trace.json": Expected(
        1, "What is Langfuse?", "**Langfuse**", (), (("finish_reason", "STOP"), ("output_tokens", 2055))
    ),
    "langfuse/langgraph-js-2025-10-30.trace.json": Expected(
        1, "What's the weather in San Francisco?", "It's always sunny", ("get_weather",),
        (("finish_reason", "stop"), ("input_tokens", 321), ("output_tokens", 59)),
    ),
    "langfuse/openai-agents-2025-09-30.trace.json": Expected(
        1, "What's the weather in Tokyo?", "The weather in Tokyo", ("get_weather",), (("input_tokens", 140),)
    ),
    "langfuse/pydantic-ai-2025-06-06.trace.json": Expected(
        1, "What is Langfuse?", "Langfuse is a tool", (),
        (("served_model", "gpt-4o-2024-08-06"), ("input_tokens", 31), ("output_tokens", 96)),
    ),
    "langfuse/pydantic-ai-tools-2025-06-06.trace.json": Expected(1, "What is Langfuse?", "Langfuse is a tool", ()),
    "langfuse/pydantic-ai-with-gemini-2025-12-24.trace.json": Expected(
        1, "what is 1+1?", '{"answer": "2"', (), (("finish_reason", "stop"),)
    ),
    "langfuse/vercel-aisdk-2025-11-17.trace.json": Expected(
        1, "What is the weather like today", None, ("getWeather",), (("finish_reason", "tool-calls"), ("input_tokens", 62))
    ),
    "langfuse/vertex-ai-2025-08-01.trace.json": Expected(
        1, "What is Langfuse?", "**Langfuse**", (), (("finish_reason", "STOP"), ("input_tokens", 5))
    ),
    "langsmith/langsmith_py_wrap_openai_.json": Expected(
        1, "howdy", "Howdy! How can I", (), (("served_model", "gpt-4o-mini-2024-07-18"), ("input_tokens", 9))
    ),
    "langsmith/langsmith_py_wrap_openai_reasoning.json": Expected(
        1, "Write a bash script", "Certainly!", (), (("output_tokens", 2497), ("latency_ms", 15138.093))
    ),
    "langsmith/langsmith_py_wrap_openai_stream.json": Expected(1, "howdy", "Howdy!", (), (("input_tokens", 9),)),
    "langsmith/langsmith_py_wrap_openai_stream_no_usage.json": Expected(1, "howdy", "Howdy!", (), (("input_tokens", None),)),
    "inspect_ai/2025-02-11T15-18-04-05-00_popularity_mj7khqpMM4GBCfVQozKgzB.eval": Expected(
        10, POPULARITY, "No", (), (("served_model", "gpt-4o-mini-2024-07-18"),)
    ),
    "inspect_ai/2025-05-12T20-27-36-04-00_browser.json": Expected(
        1, "Use the web browser tool", "The AI Security Institute",
        ("web_browser_go", "web_browser_click", "web_browser_click", "web_browser_click"),
        (("input_tokens", 15235), ("output_tokens", 281)),
    ),
    "inspect_ai/2025-05-12T20-28-13-04-00_popularity.json": Expected(3, POPULARITY, "Yes", ()),
    "inspect_ai/2025-05-12T20-28-26-04-00_security-guide.json": Expected(3, "How do I prevent SQL", "Use parameterized", ()),
    "inspect_scout/openhands_hello-world.trajectory.json": Expected(
        1, "Create a file called hello.txt", "All done!", ("str_replace_editor", "finish"), (("input_tokens", 220),)
    ),
    "inspect_scout/terminus_2_hello-world-context-summarization-linear-history.trajectory.json": Expected(
        1, "You are an AI assistant tasked", "{", (), (("served_model", "gpt-4o"), ("output_tokens", 160))
    ),
    "inspect_scout/sample-telemetry.jsonl": Expected(10, "hey can you run echo whoami", None, ("exec", "exec")),
}  # fmt: skip
NO_AGENT = {
    "otlp_json/trace.json": "1 spans, none of an agent",
    "otlp_json/logs.json": "1 log records, none of an agent",
    "otlp_json/events.json": "1 log records, none of an agent",
    "otlp_json/metrics.json": "4 metrics, none of an agent",
}


@pytest.fixture(scope="session")
def fixtures(shared: Path) -> Path:
    return shared / "data" / "trace_fixtures"


def test_no_fixture_is_forgotten(fixtures: Path) -> None:
    files = {path.relative_to(fixtures).as_posix() for path in fixtures.rglob("*") if path.is_file()} - {"README.md"}
    assert files == {*FIXTURES, *NO_AGENT}


@pytest.mark.parametrize("name", FIXTURES)
def test_fixture(fixtures: Path, name: str) -> None:
    expected = FIXTURES[name]
    ((_, tables, report),) = read_files([fixtures / name], now=NOW)
    rows = [row for table in tables for row in table.to_pylist()]
    assert report.rejected == {}
    assert report.turns == len(rows) == expected.turns
    assert len({row["turn_id"] for row in rows}) == len(rows)
    first = rows[0]
    assert first["input"].startswith(expected.request)
    assert first["output"] is None if expected.answer is None else first["output"].startswith(expected.answer)
    if expected.tools is not None:
        assert tuple(call["name"] for call in first["tool_calls"]) == expected.tools
    for field, value in expected.fields:
        assert first[field] == value, field


@pytest.mark.parametrize("name", NO_AGENT)
def test_telemetry_of_something_else_is_noted(fixtures: Path, name: str) -> None:
    ((_, tables, report),) = read_files([fixtures / name], now=NOW)
    assert list(tables) == []
    assert report.rejected == {}
    assert any(NO_AGENT[name] in note for note in report.notes)


def test_the_whole_folder_reads_at_once(fixtures: Path) -> None:
    reports = []
    for _, tables, report in read_files([fixtures], now=NOW):
        list(tables)
        reports.append(report)
    assert sum(report.turns for report in reports) == sum(expected.turns for expected in FIXTURES.values())
    assert not any(report.rejected for report in reports)
