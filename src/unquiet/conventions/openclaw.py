"""OpenClaw's telemetry -> spans."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from unquiet.conventions.messages import Json, as_text, first, text_or_none
from unquiet.conventions.steps import pick
from unquiet.conventions.trajectories import micros
from unquiet.model.spans import Span


@dataclass(slots=True)
class _Run:
    session: str
    prompt: str
    start_us: int
    end_us: int
    number: int
    answer: str | None = None
    tools: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class OpenClaw:
    """OpenClaw's telemetry, event by event: a run begins with `agent.start` and gathers its tools.

    Only some events bear a time; the others take the last one seen. Answers are messages that go out after a
    run of the main session began.
    """

    at_us: int | None = None
    _runs: dict[str, _Run] = field(default_factory=dict[str, _Run])
    _main: str | None = None
    _counts: dict[str, int] = field(default_factory=dict[str, int])

    def take(self, event: Json) -> Iterator[Span]:
        """Take in an event; gives the run that it ends.

        Raises:
            ValueError: no event so far bore a time.
        """
        self.at_us = micros(pick(event, "timestamp", "ts", "time")) or self.at_us
        if self.at_us is None:
            raise ValueError("neither this event nor one before it bears a time")
        kind = str(event.get("type"))
        if kind == "agent.start":
            yield from self._begin(event, self.at_us)
        elif kind in ("tool.start", "tool.end"):
            self._tool(event, kind, self.at_us)
        elif kind in ("message.sending", "message.out") and self._main in self._runs:
            run = self._runs[self._main]
            run.answer, run.end_us = text_or_none(event.get("content")), self.at_us
            run.attributes["channel"] = event.get("channel")

    def rest(self) -> Iterator[Span]:
        """The runs that are still going on."""
        yield from (_claw_span(run) for run in self._runs.values())
        self._runs.clear()

    def _begin(self, event: Json, at: int) -> Iterator[Span]:
        session = str(event.get("sessionKey") or "")
        prompt = str(event.get("prompt") or "")
        known = self._runs.get(session)
        if known is not None and known.prompt == prompt and not known.tools and known.answer is None:
            return
        if known is not None:
            yield _claw_span(known)
        self._counts[session] = self._counts.get(session, 0) + 1
        self._runs[session] = _Run(
            session, prompt, at, at, self._counts[session], attributes={"agent": event.get("agentId")}
        )
        if ":subagent:" not in session:
            self._main = session

    def _tool(self, event: Json, kind: str, at: int) -> None:
        session = str(event.get("sessionKey") or "")
        run = self._runs.get(session if session in self._runs else self._main or "")
        if run is None:
            return
        run.end_us = at
        name = event.get("toolName")
        if kind == "tool.start":
            run.tools.append({"name": name, "arguments": event.get("params")})
            return
        for tool in run.tools:
            if tool["name"] == name and "done" not in tool:
                tool["done"] = True
                tool["error"] = None if event.get("success") is not False else as_text(event.get("error")) or "failed"
                tool["result"] = as_text(first(event, "result", "output"))
                break


def _claw_span(run: _Run) -> Span:
    parts: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for number, tool in enumerate(run.tools):
        parts.append({"type": "tool_call", "id": str(number), "name": tool["name"], "arguments": tool["arguments"]})
        shown = tool.get("error") or tool.get("result")
        if shown is not None:
            results.append(
                {
                    "type": "tool_result",
                    "tool_use_id": str(number),
                    "content": shown,
                    "is_error": bool(tool.get("error")),
                }
            )
    answer = {
        "role": "assistant",
        "parts": parts + ([{"type": "text", "text": run.answer}] if run.answer else []),
    }
    attributes = {
        **run.attributes,
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.conversation.id": run.session,
        "gen_ai.input.messages": [{"role": "user", "content": run.prompt}],
        "gen_ai.output.messages": [answer, {"role": "tool", "parts": results}] if results else [answer],
    }
    end = run.end_us if run.end_us > run.start_us else None
    return Span(
        run.session,
        f"run:{run.number}:{run.start_us}",
        None,
        "agent",
        run.start_us,
        end,
        attributes=attributes,
    )
