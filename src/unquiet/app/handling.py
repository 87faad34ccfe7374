"""What people did about incidents: acknowledged, accepted as the new normal, muted. Kept beside what unquiet says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from unquiet.app.replaying import keep_incidents
from unquiet.model.handling import Action, NotPossible, UnknownIncident
from unquiet.store import Store

HANDLING = "handling"
Document = Mapping[str, Any]


def shown(documents: Sequence[Document], store: Store, now_us: int) -> list[dict[str, Any]]:
    """The documents with what people did: `handling`, `mute` while it lasts, `handled` (the log of actions).

    The status of one that goes on is "accepted", "muted" or "acknowledged" where it is that.
    """
    known: Mapping[str, dict[str, Any]] = store.get_setting(HANDLING) or {}
    return [_shown(document, known.get(str(document["id"]), {}), now_us) for document in documents]


def handled(documents: Sequence[Document], store: Store) -> list[dict[str, Any]]:
    """The documents with what people did, their status as unquiet says it: what notices are decided from."""
    known: Mapping[str, dict[str, Any]] = store.get_setting(HANDLING) or {}
    return [_with(document, known.get(str(document["id"]), {})) for document in documents]


def _with(document: Document, said: Mapping[str, Any]) -> dict[str, Any]:
    return {**document, "handling": said.get("handling"), "mute": said.get("mute"), "handled": said.get("log", [])}


def _shown(document: Document, said: Mapping[str, Any], now_us: int) -> dict[str, Any]:
    told = _with(document, said)
    if told["mute"] is not None and _us(told["mute"]["until"]) <= now_us:
        told["mute"] = None
    return told | {"status": standing(told)}


def standing(document: Document) -> str:
    """The status for people, of a document that says what they did."""
    if document["handling"] == "accepted" or document["status"] == "resolved":
        return "accepted" if document["handling"] == "accepted" else "resolved"
    return "muted" if document["mute"] else document["handling"] or document["status"]


def handle(store: Store, incident_id: str, action: Action, now_us: int) -> dict[str, Any]:
    """Do it durably; the document afterwards.

    Raises:
        UnknownIncident, NotPossible: nothing was done.
    """
    document = store.incident(incident_id)
    if document is None:
        raise UnknownIncident(f"there is no incident {incident_id}; `unquiet incidents` lists those that there are")
    known: dict[str, dict[str, Any]] = store.get_setting(HANDLING) or {}
    said = dict(known.get(incident_id, {}))
    _check(document, said, action, now_us)
    if action.verb in ("mute", "unmute"):
        muted = {"until": _iso(action.until_us or 0), "reason": action.reason, "who": action.who}
        said["mute"] = muted if action.verb == "mute" else None
    else:
        said["handling"] = {"acknowledge": "acknowledged", "unacknowledge": None, "accept": "accepted"}[action.verb]
    entry = {"at": _iso(now_us), "who": action.who, "verb": action.verb, "note": action.note, "reason": action.reason}
    said["log"] = [*said.get("log", []), {key: value for key, value in entry.items() if value is not None}]
    with store.transaction():
        store.put_setting(HANDLING, known | {incident_id: said})
        keep_incidents(store, [document])
    return _shown(document, said, now_us)


def _check(document: Document, said: Mapping[str, Any], action: Action, now_us: int) -> None:
    state = said.get("handling")
    if state == "accepted":
        raise NotPossible("the incident was accepted as the new normal, and a new baseline began with that: it is over")
    if action.verb == "accept" and document["status"] == "resolved":
        raise NotPossible("the incident is resolved: behaviour went back to what it was, so there is nothing to accept")
    if action.verb == "unacknowledge" and state != "acknowledged":
        raise NotPossible("the incident is not acknowledged")
    if action.verb == "mute" and (action.until_us is None or action.until_us <= now_us):
        raise NotPossible("a mute needs an end that lies in the future")
    if action.verb == "mute" and not (action.reason or "").strip():
        raise NotPossible("a mute needs a reason, for those who find it later")
    if action.verb == "unmute" and said.get("mute") is None:
        raise NotPossible("the incident is not muted")


def _us(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1e6)


def _iso(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).isoformat().replace("+00:00", "Z")
