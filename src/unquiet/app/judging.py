"""A judge: any OpenAI-compatible endpoint as a labeller, behind the same queue as a person, with a cost cap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from unquiet.app.labelling import Queue
from unquiet.app.surveying import Candidate
from unquiet.labelling.endpoint import Dead, Endpoint, Patience, Reply, Unreachable
from unquiet.labelling.question import label_in, messages
from unquiet.labelling.spending import Spending
from unquiet.model.signals import SignalInfo
from unquiet.store import Store

CONDITIONS = "judges"
"""The setting that holds, by labeller, how the last run of each judge ended."""

OF_SAMPLE = 200
ROW_OF_FAILURES = 10
"""So many answers in a row without a label are the end: each may cost, and the next will not be better."""

NEVER_BETTER = (401, 403, 404, 405)
"""Statuses that mean the same for every turn."""

_OFTEN_REFUSED = (b"max_tokens", b"temperature")
"""Fields that some models do not take: they are asked again without."""

Ended = Literal["done", "cost cap", "dead", "interrupted"]


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """How a judge is asked: the name of its model, how many turns, seconds and tokens of an answer, and the endpoint's host."""

    model: str
    count: int
    timeout_s: float
    answer_tokens: int
    host: str


@dataclass(slots=True)
class Outcome:
    """What a run of a judge came to; `why` says more where it did not go to its end."""

    ended: Ended = "done"
    why: str = ""
    asked: int = 0
    labelled: int = 0
    malformed: int = 0
    refused: int = 0
    retried: int = 0
    cost_usd: float = 0.0
    sample: str = ""
    """The first answer that was no label, cut; for the eyes of who runs it, and kept nowhere."""


class CapReached(Exception):
    """The next call could go beyond the cost cap."""


class Hopeless(Exception):
    """The endpoint answers, but there is no use in asking on; the text says why."""


@dataclass(slots=True)
class Judge:
    """One run of a judge over a queue."""

    queue: Queue
    info: SignalInfo
    settings: JudgeSettings
    endpoint: Endpoint
    spending: Spending
    patience: Patience
    outcome: Outcome = field(default_factory=Outcome)
    _row: int = 0
    _plain: bool = False

    def run(self, progress: Callable[[str, float], None]) -> Outcome:
        """Ask about up to `count` turns; how it ended is in the outcome and, whatever happens, in the store."""
        try:
            while self.outcome.asked < self.settings.count and (candidate := self.queue.next()) is not None:
                progress(f"asking {self.settings.model}", self.outcome.asked / self.settings.count)
                self._ask(candidate)
        except CapReached as error:
            self._end("cost cap", str(error))
        except (Dead, Hopeless) as error:
            self._end("dead", str(error))
        except KeyboardInterrupt:
            self._end("interrupted", "stopped by hand")
        self.outcome.cost_usd, self.outcome.retried = self.spending.spent_usd, self.patience.retried
        keep_condition(self.queue.store, self.queue.labeller, self._condition())
        return self.outcome

    def _end(self, ended: Ended, why: str) -> None:
        self.outcome.ended, self.outcome.why = ended, why

    def _ask(self, candidate: Candidate) -> None:
        asked = messages(self.info, self.queue.turn(candidate))
        reply = self._reply(asked)
        if reply.status == 400 and not self._plain and any(name in reply.body for name in _OFTEN_REFUSED):
            self._plain = True
            reply = self._reply(asked)
        self.outcome.asked += 1
        if reply.status in NEVER_BETTER or 300 <= reply.status < 400:
            raise Hopeless(
                f"status {reply.status}: {_HINTS.get(reply.status, 'the address leads elsewhere')}{_said(reply)}"
            )
        if reply.status != 200:
            self.outcome.refused += 1
            self._fail(f"status {reply.status}{_said(reply)}")
            return
        content = _content(_json(reply))
        label = label_in(content)
        if label is None:
            self.outcome.malformed += 1
            text = content if isinstance(content, str) else reply.body.decode("utf-8", "replace")
            self.outcome.sample = self.outcome.sample or text[:OF_SAMPLE]
            self._fail("no JSON object with a label that is true or false")
            return
        self._row = 0
        self.queue.put(candidate, "yes" if label else "no")
        self.outcome.labelled += 1

    def _reply(self, asked: list[dict[str, str]]) -> Reply:
        """The answer of the endpoint, its cost counted."""
        worst = self.spending.worst_usd(asked, self.settings.answer_tokens)
        limit = self.settings.answer_tokens
        usual = {"max_completion_tokens": limit} if self._plain else {"temperature": 0, "max_tokens": limit}
        payload = orjson.dumps({"model": self.settings.model, "messages": asked, **usual})

        def call(timeout_s: float) -> Reply:
            if not self.spending.allows(worst):
                spent, cap = self.spending.spent_usd, self.spending.cap_usd
                raise CapReached(
                    f"{spent:.4f} USD are spent, and the next call may cost {worst:.4f}; the cap is {cap:g}"
                )
            try:
                reply = self.endpoint.post(payload, timeout_s)
            except Unreachable as error:
                if error.sent:
                    # It may have been answered, and charged, all the same.
                    self.spending.add(None, worst)
                raise
            if reply.status == 200:
                self.spending.add(_json(reply).get("usage"), worst)
            return reply

        return self.patience.ask(call, self.settings.timeout_s)

    def _fail(self, why: str) -> None:
        self._row += 1
        if self._row >= ROW_OF_FAILURES:
            raise Hopeless(f"{self._row} answers in a row were of no use, the last: {why}")

    def _condition(self) -> dict[str, object]:
        done = self.outcome
        counts = {name: getattr(done, name) for name in ("asked", "labelled", "malformed", "refused", "retried")}
        return {
            "signal": self.info.name,
            "ended": done.ended,
            "why": done.why,
            "at": self.queue.clock().isoformat(),
            "host": self.settings.host,
            **counts,
            "cost_usd": round(done.cost_usd, 6),
        }


_HINTS = {
    401: "the key is not accepted; give it in UNQUIET_JUDGE_KEY or with --key-file",
    403: "the key may not use this model",
    404: "no such address or model; check --endpoint (it ends in /v1 with most servers) and --model",
    405: "the address takes no questions; check --endpoint (it ends in /v1 with most servers)",
}


def keep_condition(store: Store, labeller: str, condition: dict[str, object]) -> None:
    """Remember how the last run of a judge ended."""
    store.put_setting(CONDITIONS, conditions(store) | {labeller: condition})


def conditions(store: Store) -> dict[str, dict[str, Any]]:
    """How the last run of each judge ended, by labeller; empty where none was asked."""
    return store.get_setting(CONDITIONS) or {}


def _json(reply: Reply) -> dict[str, Any]:
    try:
        found = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _content(document: dict[str, Any]) -> object:
    """The text of the first choice of a chat completion; None where there is none."""
    choices = document.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    return message.get("content") if isinstance(message, dict) else None


def _said(reply: Reply) -> str:
    """What the endpoint gives as a reason, in one short line."""
    error = _json(reply).get("error")
    text = error.get("message") if isinstance(error, dict) else error
    if not isinstance(text, str) or not text:
        return ""
    return " (" + "".join(c if c.isprintable() else " " for c in text[:160]) + ")"
