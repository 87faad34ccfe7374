"""What a door is told: addresses, tokens, TLS files and limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one request, and all of them together, may cost.

    `body_bytes_max` bounds a body after inflation, `attribute_bytes_max` a text or bytes in an attribute,
    `header_bytes_max` all headers of a request. `inflight_bytes_max` bounds what all requests hold in memory together: the
    bytes read so far, inflated, and the estimated size once parsed. A body must arrive within `body_grace_s` and, beyond that,
    at `body_bytes_per_s_min`. `idle_s` is how long a connection may be open without a whole request head.
    `retry_after_s` is what a sender is asked to wait when there is no room.
    """

    body_bytes_max: int = 64 << 20
    attribute_bytes_max: int = 1 << 20
    header_bytes_max: int = 32 << 10
    inflight_bytes_max: int = 256 << 20
    body_grace_s: float = 10.0
    body_bytes_per_s_min: int = 64 << 10
    idle_s: float = 75.0
    retry_after_s: int = 5
    connections_max: int = 900
    threads: int = 16


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A certificate chain and its key, both PEM."""

    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """Where the doors are and who may use them.

    A port of None closes that door; 0 takes any free one. `tokens` maps each token to the name of its source; where it is
    empty, everybody who reaches the address may send. `tls` is for both doors.
    """

    http_host: str = "127.0.0.1"
    http_port: int | None = 4318
    grpc_host: str = "127.0.0.1"
    grpc_port: int | None = 4317
    tokens: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    tls: TlsFiles | None = None
    limits: Limits = field(default_factory=Limits)
