"""The agent's tools: what it passes to them and what they return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unquiet.demo.visits import Visit

ToolCall = dict[str, Any]
"""`name`, `arguments`, `result` and `error`, as in the turn table."""

_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "lookup_order": ("order",),
    "track_shipment": ("order", "carrier"),
    "refund": ("order", "cents"),
    "cancel_order": ("order",),
    "update_address": ("order", "street"),
    "create_ticket": ("order", "ticket"),
    "send_invoice": ("order",),
    "search_help": ("query",),
    "apply_discount": ("code",),
    "send_reset_link": (),
    "transfer_to_human": (),
}

_STATUS: Mapping[str, str] = {
    "order_status": "in_transit",
    "cancel_order": "processing",
    "change_address": "processing",
}


def called(
    name: str,
    slots: Mapping[str, Any],
    visit: Visit,
    result: Mapping[str, Any] | None = None,
    *,
    error: str | None = None,
) -> ToolCall:
    """A call of a tool with its usual result, or with the given one, or with an error and no result."""
    arguments: dict[str, Any] = {key: slots[key] for key in _ARGUMENTS[name] if key != "ticket"}
    if name in ("send_reset_link", "transfer_to_human"):
        arguments["user_id"] = visit.user_id
    if error is not None:
        return {"name": name, "arguments": arguments, "result": None, "error": error}
    usual = _result(name, slots, visit) if result is None else result
    return {"name": name, "arguments": arguments, "result": usual, "error": None}


def _result(name: str, slots: Mapping[str, Any], visit: Visit) -> Mapping[str, Any]:
    if name == "lookup_order":
        status = _STATUS.get(visit.intent, "delivered")
        return {"order": slots["order"], "status": status, "item": slots["item"], "total_cents": slots["cents"]}
    if name == "track_shipment":
        status = "delivered" if visit.intent == "delivery_problem" else "in_transit"
        return {"carrier": slots["carrier"], "status": status, "eta_days": slots["days"]}
    if name == "refund":
        return {"status": "refunded", "amount_cents": slots["cents"], "days": slots["days"]}
    if name == "create_ticket":
        return {"ticket": slots["ticket"], "status": "open"}
    if name == "search_help":
        return {"hits": [{"page": visit.intent.replace("_", "-"), "score": 0.8}]}
    return {"status": "ok"}
