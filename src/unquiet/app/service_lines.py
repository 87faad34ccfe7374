"""What a running service says of itself, as lines: doors, traffic, log, conditions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from unquiet.model.wording import counted, sized

Row = Mapping[str, Any]
Line = tuple[str, str, bool]
"""Name, text and whether it is a warning."""

STILL_S = 60.0
"""A loop that did not go round for so long stands still, as `/healthz` has it."""

DUPLICATE = ("duplicate spans", "duplicate turns")
LATE = ("late spans", "late turns", "late log records")
OTHERS = {
    "traces closed early": "traces were closed before they were quiet: too many were open",
    "damaged records": "records of the log could not be read",
    "unreadable bodies": "bodies could not be read and were put aside",
    "unreadable traces": "traces could not be read and were put aside",
    "unreadable turns": "turns could not be kept and were put aside",
    "spans without an agent": "spans are of no agent and made no turn",
    "log records without a span": "log records belong to no span and made no turn",
}
DEFECTS = ("damaged records", "unreadable bodies", "unreadable traces", "unreadable turns")


def service_lines(service: Row) -> Iterator[Line]:
    """The facts of the `service` part of a status."""
    now = datetime.fromisoformat(service["now"])
    yield _loop(service, now)
    if service["error"]:
        yield "", f"it stands still: {service['error']}", True
    yield from _doors(service["doors"], now)
    yield from _taken(service)
    yield _undrained(service)
    yield from _conditions(service["conditions"], now)


def _loop(service: Row, now: datetime) -> Line:
    started = lasting((now - datetime.fromisoformat(service["started"])).total_seconds())
    said = f"unquiet {service['version']}, up for {started}, {service['doing']}"
    if service["last_round"] is None:
        return "service", f"{said}; it has not gone round yet", True
    age_s = (now - datetime.fromisoformat(service["last_round"])).total_seconds()
    return "service", f"{said}; went round {lasting(age_s)} ago", age_s > STILL_S


def _doors(doors: Row, now: datetime) -> Iterator[Line]:
    ports, dead = doors.get("ports") or {}, doors.get("dead") or ()
    if not ports:
        yield "doors", "unknown: they have not reported yet", True
        return
    names = {"http": "HTTP", "grpc": "gRPC"}
    said = [
        f"{names.get(name, name)} {'does not answer' if name in dead else f'on port {port}'}"
        for name, port in ports.items()
        if port is not None
    ]
    again = doors["starts"] - 1
    yield "doors", ", ".join(said) + (f"; opened again {counted(again, 'time')}" if again else ""), bool(dead)
    if doors["error"]:
        yield "", f"the last failure: {doors['error']}", True
    refused = [f"{count} x {name}" for name, count in (doors.get("bodies") or {}).items() if not name.endswith(" 200")]
    if refused:
        yield "refused", f"requests since they were opened, by door and status: {', '.join(refused)}", True
    problem = doors.get("last_problem")
    if problem:
        ago = lasting(now.timestamp() - problem["at_us"] / 1e6)
        yield "", f"a body could not be made durable {ago} ago: {problem['text']}", True
    arrived = {name or "(no token)": at for name, at in (doors.get("last_arrival_us") or {}).items()}
    for source, at_us in sorted(arrived.items()):
        yield "last arrival", f"{source}: {lasting(now.timestamp() - at_us / 1e6)} ago", False
    if not arrived:
        yield "last arrival", "none since the doors were opened", False


def _taken(service: Row) -> Iterator[Line]:
    counts: Row = service["counts"]
    duplicate, late = (sum(counts.get(name, 0) for name in names) for names in (DUPLICATE, LATE))
    said = (
        f"{counted(counts.get('spans', 0), 'span')}, {counted(counts.get('turns', 0), 'turn')} since the folder began"
    )
    yield "taken", f"{said}; {counted(duplicate, 'duplicate')} dropped, {late} too late to be counted", False
    at_the_door = sum((service["doors"].get("rejected") or {}).values())
    rejected = sum(count for name, count in counts.items() if name.startswith("rejected"))
    if at_the_door or rejected:
        yield "rejected", f"{at_the_door} at the doors since they were opened, {rejected} after", True
    for name, meaning in OTHERS.items():
        if counts.get(name):
            yield "", f"{counts[name]} {meaning}", name in DEFECTS


def _undrained(service: Row) -> Line:
    waiting = service["undrained_bytes"]
    if waiting is None:
        return "not drained", "unknown: the log does not report", True
    if not waiting:
        return "not drained", "nothing: all that was acknowledged is in the folder", False
    return (
        "not drained",
        f"{sized(waiting)} of the log: what has just come, and traces that are not complete",
        False,
    )


def _conditions(conditions: list[Row], now: datetime) -> Iterator[Line]:
    if not conditions:
        yield "conditions", "unknown: nothing was looked at yet; ask again in a few seconds", True
        return
    fine = sum(each["state"] == "ok" for each in conditions)
    yield "conditions", f"{fine} of {len(conditions)} are ok", fine < len(conditions)
    for state in ("failing", "unknown"):
        for each in (each for each in conditions if each["state"] == state):
            since = lasting(now.timestamp() - each["since_us"] / 1e6)
            severity = f" ({each['severity']})" if state == "failing" else ""
            said = f"{each['name']}{severity} for {since}: {each['detail']}".rstrip(".")
            yield state, f"{said}. {each['todo']}".rstrip(), True


def lasting(seconds: float) -> str:
    """A length of time in words, in its largest unit: `12 s`, `5 minutes`, `3 hours`, `2 days`; 0 where it is negative."""
    if seconds < 120:
        return f"{max(0, round(seconds))} s"
    for unit, size in (("day", 86_400), ("hour", 3600)):
        if seconds >= 2 * size:
            return counted(round(seconds / size), unit)
    return counted(round(seconds / 60), "minute")
