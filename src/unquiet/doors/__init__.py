"""The live doors: OTLP over HTTP and gRPC, and turns as JSON lines; a body is in the log before it is acknowledged."""

from __future__ import annotations

from unquiet.doors.answers import Answer, Signal
from unquiet.doors.counters import DoorCounters
from unquiet.doors.intake import Intake
from unquiet.doors.opening import Doors, run_doors
from unquiet.doors.settings import DoorSettings, Limits, TlsFiles

__all__ = ["Answer", "DoorCounters", "DoorSettings", "Doors", "Intake", "Limits", "Signal", "TlsFiles", "run_doors"]
