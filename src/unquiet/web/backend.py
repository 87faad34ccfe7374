"""What the service must offer for the web to show it: one protocol, called from many threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from unquiet.model.changes import Change
from unquiet.model.conditions import Condition
from unquiet.model.handling import Action, NotPossible, UnknownIncident, Verb
from unquiet.report import Facts
from unquiet.web.numbers import Numbers

Document = Mapping[str, Any]

__all__ = ["Action", "Backend", "Document", "NotPossible", "Shown", "UnknownIncident", "Verb"]


class Shown(Protocol):
    """What pages show, of a running service or of a folder. Every method may be called from any thread, several at a time."""

    def looking(self) -> AbstractContextManager[None]:
        """Around several looks of one thread, so that they see the same and what has to be opened is opened once."""
        ...

    def conditions(self) -> Sequence[Condition]:
        """How the service itself is, as of the last look; empty where none runs. Never waits."""
        ...

    def status(self) -> Document:
        """What was read, judged and is visible; `open_incidents` is there always."""
        ...

    def incidents(self, status: str | None) -> Sequence[Document]:
        """The documents of all incidents, or those of one status, in the order in which they were raised."""
        ...

    def facts(self, incident_id: str) -> Facts | None:
        """All that is known of an incident, its dashboards, evals and voices too; None where there is none."""
        ...

    def gap(self) -> Document | None:
        """The gap over the last 28 days, schema unquiet.gap/1; None where there is no traffic."""
        ...

    def unable(self) -> Mapping[Verb, str]:
        """What cannot be done about incidents here, and why."""
        ...

    def handle(self, incident_id: str, action: Action) -> Document:
        """Do it durably; the document afterwards.

        Raises:
            UnknownIncident: no such incident.
            NotPossible: the incident's state does not allow it.
        """
        ...

    def changes(self) -> Sequence[Change]:
        """The announced changes, in order of their times."""
        ...

    def ledger(self) -> Document:
        """What the traffic showed by itself: `seen` changes, `sightings`, and how routine all `kinds` are."""
        ...

    def evals(self) -> Document:
        """The runs of evaluation suites, schema unquiet.evals/1."""
        ...

    def voices(self) -> Document:
        """How many voices there are, how they were joined to sessions, and what they alone would have told."""
        ...


class Backend(Shown, Protocol):
    """The running service."""

    def heartbeat_us(self) -> int | None:
        """When the service's loop went round last, microseconds since 1970, None before it did. Never waits."""
        ...

    def numbers(self) -> Numbers:
        """The figures for metrics."""
        ...

    def incident(self, incident_id: str) -> Document | None:
        """One document; None where there is none."""
        ...

    def turns(self, session_id: str) -> Sequence[Document]:
        """The turns of a session in order of time; none where it is not known."""
        ...

    def mark(self, change: Change) -> None:
        """Remember an announced change durably; the same one twice counts once."""
        ...

    def add_evals(self, name: str, content: bytes) -> Document:
        """Add a report of an evaluation suite durably: the runs, how many results were new, and what was read.

        Raises:
            UnreadableSource: the report as a whole cannot be understood.
        """
        ...

    def add_voices(self, voices: Sequence[Document], *, more: bool) -> Mapping[str, int]:
        """Keep voices durably, their `time` in microseconds since 1970; how many were `added`, and `known` already.

        Unless `more` are to come at once, all voices are joined to sessions anew.
        """
        ...

    def forget(self, user: str | None, session: str | None) -> Mapping[str, int]:
        """Delete everything of a user, a session, or of both, everywhere; how many of what were deleted, by kind."""
        ...

    def alerts_test(self) -> Sequence[Document]:
        """Send a test notice to every sink now: `sink`, `delivered` and `error` (a text, None where delivered) of each."""
        ...

    def alert_log(self) -> Sequence[Document]:
        """What was sent, waits, or failed, the latest first: `id`, `key`, `sink`, `phase`, `state`, `at` and further fields."""
        ...
