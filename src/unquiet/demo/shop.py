"""The fictional web shop: what its customers ask for, who they are, and what its agent can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["done", "denied", "handoff", "tool_error", "left", "quiet"]


@dataclass(frozen=True, slots=True)
class Script:
    """How the agent handles one kind of request.

    `weekday` and `weekend` are shares of the traffic. `act` is the tool that does what was asked for, `look` the
    one that is asked before. `otherwise` holds the probabilities of the outcomes that are not "done"; who "left" was
    asked for the number of the order and did not come back with it.
    """

    weekday: float
    weekend: float
    act: str | None
    look: str | None = "lookup_order"
    needs_order: bool = True
    apologises: bool = False
    otherwise: Mapping[Outcome, float] = field(default_factory=dict[Outcome, float])

    @property
    def call_count(self) -> int:
        """How many tools are called when all goes well."""
        return (self.look is not None) + (self.act is not None)


SCRIPTS: Mapping[str, Script] = {
    "order_status": Script(
        0.22, 0.185, "track_shipment", otherwise={"handoff": 0.02, "tool_error": 0.02, "left": 0.05}
    ),
    "refund": Script(
        0.075, 0.065, "refund", otherwise={"denied": 0.02, "handoff": 0.03, "tool_error": 0.015, "left": 0.05}
    ),
    "cancel_order": Script(
        0.09, 0.075, "cancel_order", otherwise={"denied": 0.12, "handoff": 0.02, "tool_error": 0.015, "left": 0.03}
    ),
    "change_address": Script(
        0.08, 0.065, "update_address", otherwise={"denied": 0.09, "handoff": 0.02, "tool_error": 0.02, "left": 0.03}
    ),
    "damaged_item": Script(
        0.08,
        0.07,
        "create_ticket",
        apologises=True,
        otherwise={"denied": 0.04, "handoff": 0.09, "tool_error": 0.01, "left": 0.02},
    ),
    "invoice": Script(
        0.09, 0.05, "send_invoice", otherwise={"denied": 0.03, "handoff": 0.01, "tool_error": 0.02, "left": 0.05}
    ),
    "delivery_problem": Script(
        0.09,
        0.24,
        "create_ticket",
        look="track_shipment",
        apologises=True,
        otherwise={"denied": 0.03, "handoff": 0.42, "tool_error": 0.015, "left": 0.02},
    ),
    "product_question": Script(
        0.14, 0.13, None, look="search_help", needs_order=False, otherwise={"denied": 0.08, "handoff": 0.01}
    ),
    "discount_code": Script(
        0.07,
        0.065,
        "apply_discount",
        look=None,
        needs_order=False,
        otherwise={"denied": 0.28, "handoff": 0.01, "tool_error": 0.01},
    ),
    "account_login": Script(
        0.065,
        0.055,
        "send_reset_link",
        look=None,
        needs_order=False,
        otherwise={"denied": 0.06, "handoff": 0.08, "tool_error": 0.015},
    ),
}
"""At weekends parcels go astray: a topic that human colleagues often take over grows, and everything else shrinks."""

LOOKUP_FAILS = 0.04
"""How often a customer gives an order number that does not exist."""


@dataclass(frozen=True, slots=True)
class Market:
    """A locale: its wording, its share of the traffic, its clock and how it writes money and parcels."""

    language: str
    share: float
    utc_offset_h: int
    money: str
    comma: bool = True
    parcel: str = ""


MARKETS: Mapping[str, Market] = {
    "en-US": Market("en", 0.34, -6, "${}", comma=False, parcel="package"),
    "en-GB": Market("en", 0.20, 0, "£{}", comma=False, parcel="parcel"),
    "de-DE": Market("de", 0.17, 1, "{} €"),
    "fr-FR": Market("fr", 0.15, 1, "{} €"),
    "es-ES": Market("es", 0.14, 1, "{} €"),
}

TENANTS: Mapping[str, float] = {
    "fernhill": 0.34,
    "lumenhaus": 0.24,
    "kaskade": 0.18,
    "petit-atelier": 0.14,
    "rioverde": 0.10,
}

CHANNELS: Mapping[str, float] = {"web": 0.48, "app": 0.32, "whatsapp": 0.12, "email": 0.08}

MODEL = "aurora-large-2"

HOURLY = (2, 1, 1, 1, 1, 2, 4, 7, 11, 14, 15, 14, 12, 13, 14, 14, 14, 15, 17, 19, 18, 14, 8, 4)
"""Relative traffic by the hour of the customers' own clock."""

DAILY = (1.08, 1.04, 1.02, 1.02, 1.06, 0.92, 0.86)
"""Relative traffic by day, Monday first."""


@dataclass(frozen=True, slots=True)
class Release:
    """Something was released: `at` as a share of the story's days plus an hour of the day."""

    kind: str
    before: str
    after: str
    day_share: float
    hour: float


RELEASES = (
    Release("app", "5.2.0", "5.3.0", 2 / 14, 9.5),
    Release("prompt", "v40", "v41", 5 / 14, 10.25),
    Release("app", "5.3.0", "5.3.1", 7 / 14, 16.75),
    Release("prompt", "v41", "v42", 8 / 14, 14.0 + 7 / 60),
)
"""Harmless ones, but for the second prompt."""

FAULT = RELEASES[3]
"""The release that the failure comes with."""

FAULT_SLICE: Mapping[str, str] = {"intent": "refund", "locale": "de-DE"}
"""Whom the failure meets."""

FAULT_DOSE = 0.75
"""The share of the sessions in `FAULT_SLICE` that it meets."""
