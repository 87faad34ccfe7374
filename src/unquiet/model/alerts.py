"""The alert: one message about one thing, as every sink takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Phase = Literal["opened", "updated", "resolved", "test"]


@dataclass(frozen=True, slots=True)
class Notice:
    """What a sink sends.

    `key` is the dedup key: all notices of an incident (`incident/ID`) or of a condition (`condition/NAME`) share it.
    `id` is unique to the notice and stays the same over retries. `at_us` is when it was decided, microseconds since
    1970. `title` is one sentence, `lines` the evidence in a few more, plain text; `url` leads to the page, None where the
    service has no address for people. `labels` are short texts to route by (signal, slice, direction). `document` is the
    incident or the condition as JSON.
    """

    id: str
    key: str
    phase: Phase
    severity: Literal["critical", "error", "warning", "info"]
    at_us: int
    title: str
    lines: tuple[str, ...] = ()
    url: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    document: Mapping[str, Any] = field(default_factory=dict[str, Any])


class DeliveryError(Exception):
    """A notice was not delivered; the text says why and what to do, without any secret.

    `permanent`: trying again cannot help (wrong key, unknown channel, a malformed message). `retry_after_s` is how long
    the receiver asked to wait, None where it did not say.
    """

    def __init__(self, text: str, *, permanent: bool = False, retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.permanent = permanent
        self.retry_after_s = retry_after_s


class AlertSink(Protocol):
    """Where notices go. One folder in `unquiet.alerts` each."""

    @property
    def name(self) -> str:
        """What the sink is called in the configuration; unique."""
        ...

    def send(self, notice: Notice) -> None:
        """Deliver one notice; the same `notice.id` twice must not make two messages where the receiver can tell.

        Raises:
            DeliveryError: it was not delivered.
        """
        ...
