"""Whether the process works, and whether it takes traffic in: for supervisors and load balancers."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI, Request, Response

from unquiet.selfwatch import READY
from unquiet.web.backend import Backend
from unquiet.web.documents import Health, Standing, standing
from unquiet.web.guard import reader_of
from unquiet.web.problems import MEDIA_TYPE

MOST_HEARTBEAT_S = 60.0
MOST_LAG_S = 60.0

FAILS = {503: {"model": Health, "description": "it fails"}}


class Probes:
    """The handlers. `now_us` gives the present moment, microseconds since 1970."""

    def __init__(self, backend: Backend, now_us: Callable[[], int]) -> None:
        self._backend = backend
        self._now_us = now_us

    # Not in a thread of the pool: it must answer while all of them wait.
    async def healthz(self, request: Request, response: Response) -> Health:
        """200 while the service's loop goes round and no critical condition fails, else 503."""
        reasons = [*self._stale(), *self._critical()]
        return _health(request, response, reasons, [standing(each) for each in self._backend.conditions()])

    def readyz(self, request: Request, response: Response) -> Health:
        """200 while doors are open and the drain is up to date; 503 else, and where that is not known."""
        found = {condition.name: condition for condition in self._backend.conditions()}
        reasons = self._stale()
        for name in READY:
            condition = found.get(name)
            if condition is None or condition.state != "ok":
                reasons.append(f"{name}: {condition.detail or condition.state if condition else 'unknown'}")
        lag = self._backend.numbers().drain_lag_s
        if lag is None or lag > MOST_LAG_S:
            reasons.append("the lag of the drain is unknown" if lag is None else f"the drain is {lag:.0f} s behind")
        return _health(request, response, reasons, [standing(each) for each in found.values()])

    def _stale(self) -> list[str]:
        beat = self._backend.heartbeat_us()
        if beat is None:
            return ["the service's loop has not gone round yet"]
        age_s = (self._now_us() - beat) / 1e6
        return [f"the service's loop went round last {age_s:.0f} s ago"] if age_s > MOST_HEARTBEAT_S else []

    def _critical(self) -> list[str]:
        return [
            f"{condition.name}: {condition.detail}"
            for condition in self._backend.conditions()
            if condition.state == "failing" and condition.severity == "critical"
        ]


def _health(request: Request, response: Response, reasons: list[str], conditions: list[Standing]) -> Health:
    response.status_code = 503 if reasons else 200
    status = "failing" if reasons else "ok"
    if reader_of(request) is None:
        return Health(status=status)
    return Health(status=status, reasons=reasons, conditions=conditions)


def add_routes(app: FastAPI, backend: Backend, now_us: Callable[[], int]) -> None:
    """/healthz and /readyz."""
    probes = Probes(backend, now_us)
    problem = {"default": {"description": "any other error", "content": {MEDIA_TYPE: {"schema": _REF}}}}
    for path, handler in (("/healthz", probes.healthz), ("/readyz", probes.readyz)):
        app.add_api_route(
            path,
            handler,
            methods=["GET"],
            response_model=Health,
            response_model_exclude_unset=True,
            responses={**FAILS, **problem},
            operation_id=handler.__name__,
            tags=["health"],
        )


_REF = {"$ref": "#/components/schemas/Problem"}
