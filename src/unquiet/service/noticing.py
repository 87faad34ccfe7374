"""What to tell people, decided from documents alone: one opening, few updates, one resolution an incident.

Nothing is sent and nothing is kept here. What was told already comes from the outbox.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from unquiet.incidents.wording import percent
from unquiet.model.alerts import Notice, Phase
from unquiet.model.conditions import Condition
from unquiet.model.wording import counted
from unquiet.store import Told

SECOND_US: Final = 1_000_000
UPDATE_EVERY_US: Final = 6 * 3600 * SECOND_US
"""At most one update per incident in this time."""

CONDITION_EVERY_US: Final = 15 * 60 * SECOND_US
"""At most one notice per condition in this time, however it flaps."""

GRACE_US: Final = 60 * SECOND_US
"""How long a condition fails before it is told, where nothing else is said."""

RECENT_US: Final = 3 * 24 * 3600 * SECOND_US
"""An incident that opened and was over between two looks is told, once, if it was raised no longer ago than this."""

GROWN: Final = 2.0
EVIDENCE_IDS: Final = 3

KEPT: Final = (
    "id",
    "title",
    "status",
    "signal",
    "event",
    "direction",
    "slice",
    "also_in",
    "onset",
    "raised_at",
    "resolved_at",
    "told_at",
    "before",
    "after",
    "excess_sessions",
    "users_reached",
    "suspects",
    "evidence",
    "handling",
    "mute",
)
"""What a notice holds of an incident's document: numbers and ids, not what users and the agent said."""

Document = Mapping[str, Any]


def notices_for(
    before: Mapping[str, Document],
    after: Iterable[Document],
    already: Mapping[str, Told],
    now_us: int,
    url_base: str | None,
) -> list[Notice]:
    """The notices that a step of the judgement makes due, in the order of the documents.

    Args:
        before: all incidents as they were kept before the step, by id. What is over there and was never told is history.
        after: all incidents as they are now. What was told and is not among them is resolved as withdrawn.
        already: what was told last, by key, as `Outbox.told()` gives it.
        now_us: the present, microseconds since 1970.
        url_base: where people find the pages, such as https://unquiet.example; None where they do not.
    """
    found: list[Notice] = []
    seen: set[str] = set()
    for document in after:
        seen.add(str(document["id"]))
        told = already.get(key_of(document))
        decided = _decided(document, before.get(str(document["id"])), told, now_us)
        if decided is not None:
            phase, reason = decided
            found.append(incident_notice(document, phase, reason, now_us, url_base))
    for key, told in already.items():
        kind, _, incident_id = key.partition("/")
        if kind == "incident" and incident_id not in seen and told.last.phase != "resolved":
            why = "Withdrawn: the traffic was judged anew and this is no incident any more."
            found.append(incident_notice(told.last.document, "resolved", why, now_us, url_base))
    return found


def key_of(document: Document) -> str:
    """The key of an incident's notices."""
    return f"incident/{document['id']}"


def is_muted(document: Document, now_us: int) -> bool:
    """Whether an incident is muted now. A mute without an end that can be read does not mute: it would never end."""
    until_us = _mute_end_us(document)
    return until_us is not None and now_us < until_us


def incident_notice(document: Document, phase: Phase, reason: str, now_us: int, url_base: str | None) -> Notice:
    """The notice of an incident. Its labels are those of the moment it was raised, the same in every phase."""
    key = key_of(document)
    where: Mapping[str, str] = document.get("slice") or {}
    name = ", ".join(f"{facet}={value}" for facet, value in sorted(where.items())) or "all traffic"
    kept = {field: document[field] for field in KEPT if field in document}
    return Notice(
        id=f"{key}/opened" if phase == "opened" else f"{key}/{phase}/{now_us}",
        key=key,
        phase=phase,
        severity="error",
        at_us=now_us,
        title=str(document["title"]),
        lines=tuple([reason, *incident_lines(document)] if reason else incident_lines(document)),
        url=f"{url_base.rstrip('/')}/incidents/{document['id']}" if url_base else None,
        labels={"signal": str(document["signal"]), "direction": str(document["direction"]), "slice": name},
        document=kept,
    )


def incident_lines(document: Document) -> list[str]:
    """The evidence: since when, whom it reached, rates, the first suspect, ids of sessions, and where to read on."""
    onset, before, after, excess = (document[name] for name in ("onset", "before", "after", "excess_sessions"))
    users = document.get("users_reached")
    reached = f"{excess['estimate']:.0f} sessions beyond expected ({excess['low']:.0f} to {excess['high']:.0f})"
    was, now = (f"{percent(each['rate'])} of {counted(each['n'], 'session')}" for each in (before, after))
    lines = [
        f"since: {_moment(onset['at'])} (between {_moment(onset['earliest'])} and {_moment(onset['latest'])})",
        f"reached: {reached}, " + (f"about {counted(users, 'user')}" if users else "users unknown"),
        f"rate: {was} before, {now} since",
    ]
    if document.get("resolved_at"):
        lines.append(f"back to before since: {_moment(document['resolved_at'])}")
    suspects: Sequence[Mapping[str, Any]] = document.get("suspects") or []
    if suspects:
        first = suspects[0]
        lines.append(
            f"first of {counted(len(suspects), 'change')} near the onset (not proof of a cause): {first['kind']} "
            f"{first['from']} -> {first['to']} at {_moment(first['at'])}"
        )
    evidence: Mapping[str, Any] = document.get("evidence") or {}
    for side in ("before", "after"):
        ids = [str(each) for each in evidence.get(side) or []][:EVIDENCE_IDS]
        if ids:
            lines.append(f"sessions {side}: {', '.join(ids)}")
    return [*lines, f"read on: unquiet incident {document['id']}"]


def condition_notices(
    conditions: Iterable[Condition],
    already: Mapping[str, Told],
    grace_us: Mapping[str, int],
    now_us: int,
    url_base: str | None,
) -> list[Notice]:
    """The notices that conditions make due: one when it fails for longer than its grace, one when it is ok again.

    What is unknown is neither. `grace_us` is by name, GRACE_US where a name is not in it. A condition is told at most once
    in CONDITION_EVERY_US; what it is after that counts.
    """
    found: list[Notice] = []
    for condition in conditions:
        told = already.get(f"condition/{condition.name}")
        is_open = told is not None and told.last.phase != "resolved"
        if told is not None and now_us - told.last.at_us < CONDITION_EVERY_US:
            continue
        lasted_us = now_us - condition.since_us
        if condition.state == "failing" and not is_open and lasted_us > grace_us.get(condition.name, GRACE_US):
            found.append(_condition_notice(condition, "opened", condition.since_us, now_us, url_base))
        elif condition.state == "ok" and told is not None and is_open:
            failing_us = int(told.last.document.get("failing_since_us") or told.last.at_us)
            found.append(_condition_notice(condition, "resolved", failing_us, now_us, url_base))
    return found


def _condition_notice(condition: Condition, phase: Phase, failing_us: int, now_us: int, url_base: str | None) -> Notice:
    readable = condition.name.replace("-", " ")
    lines = (condition.detail, condition.todo) if phase == "opened" else ("It is ok again.",)
    return Notice(
        id=f"condition/{condition.name}/{phase}/{now_us}",
        key=f"condition/{condition.name}",
        phase=phase,
        severity=condition.severity,
        at_us=now_us,
        title=f"unquiet itself: {readable}",
        lines=(*(line for line in lines if line), "read on: unquiet status"),
        url=f"{url_base.rstrip('/')}/status" if url_base else None,
        labels={"condition": condition.name},
        document={
            "name": condition.name,
            "state": condition.state,
            "severity": condition.severity,
            "detail": condition.detail,
            "todo": condition.todo,
            "since_us": condition.since_us,
            "failing_since_us": failing_us,
        },
    )


def _decided(document: Document, earlier: Document | None, told: Told | None, now_us: int) -> tuple[Phase, str] | None:
    """What is due for an incident, and why it is told; None for nothing."""
    if is_muted(document, now_us):
        return None
    over, accepted = document["status"] == "resolved", document.get("handling") == "accepted"
    if told is None:
        if accepted or (over and not _passed_by(document, earlier, now_us)):
            return None
        return ("resolved", "") if over else ("opened", "")
    if told.last.phase == "resolved":
        if over or document.get("handling"):
            return None
        return _update("It is back after it was resolved.", told, now_us)
    if accepted:
        # It will not go back by itself, and a receiver would show it as open for ever.
        return "resolved", "Accepted as the new normal."
    if over:
        return "resolved", ""
    reason = None if document.get("handling") else _news(document, earlier, told, now_us)
    return _update(reason, told, now_us) if reason else None


def _passed_by(document: Document, earlier: Document | None, now_us: int) -> bool:
    """Whether an incident came and went since the last look, and not long ago."""
    return earlier is None and now_us - _us(document["raised_at"]) <= RECENT_US


def _update(reason: str, told: Told, now_us: int) -> tuple[Phase, str] | None:
    if told.updated_us is not None and now_us - told.updated_us < UPDATE_EVERY_US:
        return None
    return "updated", reason


def _news(document: Document, earlier: Document | None, told: Told, now_us: int) -> str | None:
    """What makes an open incident materially different from what was told last; None if nothing does."""
    last = told.last.document
    until_us = _mute_end_us(document)
    ended = until_us is not None and told.last.at_us < until_us <= now_us
    unmuted = until_us is None and earlier is not None and is_muted(earlier, now_us)
    if ended or unmuted:
        return "Still open after its mute ended."
    if document["status"] == "reopened" and last.get("status") != "reopened":
        return "It is back after it was resolved."
    known = [*(last.get("also_in") or []), last.get("slice")]
    if any(where not in known for where in document.get("also_in") or []):
        return "It is seen in more of the traffic."
    was, now = (float(each["excess_sessions"]["estimate"]) for each in (last, document))
    if now >= GROWN * max(was, 1.0):
        return f"It has grown: {now:.0f} sessions beyond expected, {was:.0f} when it was last told."
    return None


def _mute_end_us(document: Document) -> int | None:
    mute = document.get("mute")
    if not mute:
        return None
    try:
        return _us(mute["until"])
    except (KeyError, TypeError, ValueError):
        return None


def _us(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e6)


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text):%a %d %b %H:%M} UTC"
