"""JSON without what identifies people: OTLP/JSON documents and rows of the turn table, cleaned in place."""

from __future__ import annotations

from typing import Any, cast

import orjson

from unquiet.conventions.messages import from_json
from unquiet.conventions.privacy import FINGERPRINT, Cleaner, is_prose
from unquiet.conventions.private_names import CONTENT_EVENTS, MESSAGE_FIELDS, Kind, kind_within
from unquiet.conventions.steps import short_hash

Node = dict[str, Any]

_AS_IS = frozenset(
    {
        "traceId",
        "spanId",
        "parentSpanId",
        "startTimeUnixNano",
        "endTimeUnixNano",
        "timeUnixNano",
        "observedTimeUnixNano",
    }
)
_SPOKEN, _TOOLS = ("input", "output"), "tool_calls"
_IDS = ("turn_id", "session_id", "visit_id")
_TOOL_CONTENT = ("arguments", "result")


def clean_json_spans(document: Node, cleaner: Cleaner) -> bool:
    """Clean an OTLP/JSON document of spans in place, fields that no version knows too; whether anything changed."""
    return _message(document, cleaner)


def clean_json_logs(document: Node, cleaner: Cleaner) -> bool:
    """Clean an OTLP/JSON document of log records in place; whether anything changed."""
    changed = False
    for part in _listed(document, "resourceLogs"):
        for scoped in _listed(part, "scopeLogs"):
            for record in _listed(scoped, "logRecords"):
                changed |= _record(record, cleaner)
    return _message(document, cleaner) | changed


def clean_turn(row: Node, cleaner: Cleaner) -> bool:
    """Clean a row of the turn table in place; whether anything changed.

    With content off, `input`, `output` and what was passed to tools and back are null. Columns that the table does not have
    are facets; where content is off, those too long to be one are null.
    """
    changed = False
    for name, value in list(row.items()):
        cleaned = _column(name, value, cleaner)
        if cleaned is not value:
            row[name] = cleaned
            changed = True
    return changed


def _listed(node: Node, name: str) -> list[Node]:
    value = node.get(name)
    return [cast("Node", item) for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _record(record: Node, cleaner: Cleaner) -> bool:
    """What is told of a log record by its place: every attribute may be part of a message, the body is content."""
    if not cleaner.content:
        gone = record.pop("body", None) is not None
        return _pairs(record.get("attributes"), cleaner, spoken=True) | gone
    body = record.get("body")
    return _any_value(cast("Node", body), Kind.HOLDER, cleaner) if isinstance(body, dict) else False


def _message(node: Node, cleaner: Cleaner) -> bool:
    """Clean a part of a document: attributes by their names, every other text as it stands."""
    changed = False
    spoken = CONTENT_EVENTS.fullmatch(str(node.get("name") or node.get("eventName") or "")) is not None
    for name, value in list(node.items()):
        if name in _AS_IS:
            continue
        if name == "attributes":
            changed |= _pairs(value, cleaner, spoken=spoken)
        elif isinstance(value, str):
            cleaned = cleaner.string(value)
            node[name] = cleaned
            changed |= cleaned is not value
        elif isinstance(value, dict):
            changed |= _message(cast("Node", value), cleaner)
        elif isinstance(value, list):
            changed |= _items(cast("list[Any]", value), cleaner)
    return changed


def _items(items: list[Any], cleaner: Cleaner) -> bool:
    changed = False
    for place, item in enumerate(items):
        if isinstance(item, dict):
            changed |= _message(cast("Node", item), cleaner)
        elif isinstance(item, list):
            changed |= _items(cast("list[Any]", item), cleaner)
        elif isinstance(item, str):
            items[place] = cleaner.string(item)
            changed |= items[place] is not item
    return changed


def _pairs(pairs: Any, cleaner: Cleaner, *, spoken: bool) -> bool:
    """Clean a list of attributes."""
    if not isinstance(pairs, list):
        return False
    changed = False
    kept: list[Any] = []
    for pair in cast("list[Any]", pairs):
        if not isinstance(pair, dict):
            kept.append(pair)
            continue
        name, value = str(pair.get("key") or ""), pair.get("value")
        kind = cleaner.kinds[name]
        if not cleaner.content and _is_said(cast("Node", pair), name, kind, spoken=spoken):
            continue
        kept.append(pair)
        changed |= _renamed(cast("Node", pair), cleaner)
        if kind == Kind.PRINTED and not cleaner.content:
            changed |= _print(cast("Node", pair))
        elif isinstance(value, dict):
            changed |= _any_value(cast("Node", value), kind, cleaner)
    changed |= len(kept) != len(pairs)
    pairs[:] = kept
    return changed


def _renamed(pair: Node, cleaner: Cleaner) -> bool:
    name = pair.get("key")
    cleaned = cleaner.string(name) if isinstance(name, str) else name
    pair["key"] = cleaned
    return cleaned is not name


def _is_said(pair: Node, name: str, kind: Kind, *, spoken: bool) -> bool:
    """Whether an attribute must go where content is off."""
    if kind == Kind.CONTENT or (spoken and name in MESSAGE_FIELDS):
        return True
    return kind == Kind.PLAIN and _holds_prose(pair.get("value"))


def _print(pair: Node) -> bool:
    """Leave a fingerprint in place of a value."""
    value = pair.get("value")
    if isinstance(value, dict) and FINGERPRINT.fullmatch(str(value.get("stringValue"))):
        return False
    pair["value"] = {"stringValue": short_hash(orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode())}
    return True


def _holds_prose(value: Any) -> bool:
    if isinstance(value, str):
        return is_prose(value)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_holds_prose(item) for item in inner)


def _any_value(value: Node, kind: Kind, cleaner: Cleaner) -> bool:
    """Clean an AnyValue."""
    changed = False
    for name, inner in list(value.items()):
        if isinstance(inner, str) and name != "intValue":
            cleaned = cleaner.held(inner) if kind == Kind.HOLDER and cleaner.user else cleaner.string(inner, kind)
            value[name] = cleaned
            changed |= cleaned is not inner
        elif kind == Kind.USER and cleaner.user is not None and name in ("intValue", "doubleValue"):
            del value[name]
            value["stringValue"] = cleaner.user(str(inner))
            changed = True
        elif isinstance(inner, dict):
            for item in _listed(cast("Node", inner), "values"):
                changed |= _named(item, kind, cleaner) if "key" in item else _any_value(item, kind, cleaner)
    return changed


def _named(pair: Node, kind: Kind, cleaner: Cleaner) -> bool:
    """Clean a name and its value inside of a value; in metadata the name may tell a user."""
    inner = kind_within(str(pair.get("key"))) if kind == Kind.HOLDER else kind
    value = pair.get("value")
    changed = False
    if isinstance(value, dict):
        own = Kind.HOLDER if kind == Kind.HOLDER and inner == Kind.PLAIN else inner
        changed = _any_value(cast("Node", value), own, cleaner)
    return _renamed(pair, cleaner) | changed


def _column(name: str, value: Any, cleaner: Cleaner) -> Any:
    """A value of a turn, cleaned; the same object where nothing is to be done."""
    if value is None:
        return None
    if name in _SPOKEN:
        return cleaner.named(value) if cleaner.content else None
    if name == _TOOLS:
        return _tool_calls(value, cleaner)
    if name in _IDS:
        return cleaner.string(value, Kind.ID) if isinstance(value, str) else value
    if name == "facets":
        return _facets(value, cleaner)
    return _facet(name, value, cleaner) if name != "error" else cleaner.named(value)


def _facet(name: str, value: Any, cleaner: Cleaner) -> Any:
    kind = cleaner.kinds[name]
    if (
        kind == Kind.USER
        and cleaner.user is not None
        and isinstance(value, int | float)
        and not isinstance(value, bool)
    ):
        return cleaner.user(str(value))
    if not cleaner.content and (kind == Kind.CONTENT or (kind == Kind.PLAIN and _holds_prose(value))):
        return None
    if isinstance(value, str):
        return cleaner.held(value) if kind == Kind.HOLDER else cleaner.string(value, kind)
    return cleaner.named(value)


def _facets(value: Any, cleaner: Cleaner) -> Any:
    """Facets as an object, or as a list of pairs."""
    pairs = list(value.items()) if isinstance(value, dict) else value
    if not isinstance(pairs, list) or not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        return cleaner.named(value)
    made = [(key, _facet(str(key), item, cleaner)) for key, item in pairs]
    if all(new is old for (_, new), (_, old) in zip(made, pairs, strict=True)):
        return value
    kept = [(key, item) for key, item in made if item is not None]
    return dict(kept) if isinstance(value, dict) else kept


def _tool_calls(value: Any, cleaner: Cleaner) -> Any:
    """Tool calls: a list of them, or its JSON; with content off only what was called, and whether it failed."""
    if cleaner.content:
        return cleaner.named(value)
    calls = from_json(value)
    if not isinstance(calls, list):
        return None
    bare = [_bare(cast("Node", call), cleaner) for call in calls if isinstance(call, dict)]
    return orjson.dumps(bare).decode() if isinstance(value, str) else bare


def _bare(call: Node, cleaner: Cleaner) -> Node:
    named = call.get("function") if isinstance(call.get("function"), dict) else call
    name, error = cast("Node", named).get("name"), call.get("error")
    return {
        "name": cleaner.string(name) if isinstance(name, str) else None,
        **dict.fromkeys(_TOOL_CONTENT),
        "error": cleaner.named(error),
    }
