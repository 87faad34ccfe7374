"""CloudEvents in binary mode: attributes in headers `ce-*`, the data as body. They are made structured before they are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import unquote

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

MARK = "ce-specversion"
PREFIX = "ce-"


class BinaryEvent(Request):
    """A request whose body is read as the structured event that its headers and data make."""

    async def body(self) -> bytes:
        """The event as JSON; the body as it is where it is no JSON: then it is refused with its place."""
        data = await super().body()
        event: dict[str, Any] = {
            name.removeprefix(PREFIX): unquote(value) for name, value in self.headers.items() if name.startswith(PREFIX)
        }
        try:
            event["data"] = json.loads(data) if data else None
        except (ValueError, RecursionError):
            return data
        return json.dumps(event).encode()


class EventRoute(APIRoute):
    """A route that takes binary events beside its usual bodies."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of every request."""
        usual = super().get_route_handler()

        async def handler(request: Request) -> Response:
            if MARK in request.headers:
                request = BinaryEvent(request.scope, request.receive)
            return await usual(request)

        return handler
