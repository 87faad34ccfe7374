"""Signals that no drill moves, each with the reason."""

from __future__ import annotations

from collections.abc import Mapping

UNDRILLED: Mapping[str, str] = {
    "measurement_failure": "It tells that a signal of unquiet itself failed, which no traffic can do.",
}
