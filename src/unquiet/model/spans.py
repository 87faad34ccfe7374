"""The span: one timed step of a program, as telemetry exporters write it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened at a moment: an event on a span, or a log record that names the span.

    `body` is the log record's body; events on spans have none.
    """

    name: str
    time_us: int
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    body: Any = None


@dataclass(slots=True)
class Span:
    """One span, never changed once made. Times are microseconds since 1970; `end_us` is None where it never ended.

    Ids are lower-case texts, `parent_id` None for a root; `remote_parent` where its parent is in another program, which may
    never tell of it. `error` is None unless the status says error, then
    its message (maybe empty). Attribute values are texts, numbers, booleans, lists or objects. `scope` names
    the instrumentation.

    Not frozen: that would take six times as long to make, and there is one for every span received.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    start_us: int
    end_us: int | None
    error: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    events: tuple[SpanEvent, ...] = ()
    resource: Mapping[str, Any] = field(default_factory=dict[str, Any])
    scope: str = ""
    remote_parent: bool = False
