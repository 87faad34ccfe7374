"""Forms that pages send."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal
from urllib.parse import parse_qsl

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

FORM_TYPE = "application/x-www-form-urlencoded"
MOST_FIELDS = 10

Time = Literal["4h", "1d", "7d", "30d"]
TIMES: dict[Time, tuple[str, timedelta]] = {
    "4h": ("4 hours", timedelta(hours=4)),
    "1d": ("1 day", timedelta(days=1)),
    "7d": ("7 days", timedelta(days=7)),
    "30d": ("30 days", timedelta(days=30)),
}
"""How long an incident is muted from a page."""

_OURS = re.compile(r"/(?![/\\])[\x21-\x7e]*")


class DeedForm(BaseModel):
    """A deed about an incident."""

    model_config = ConfigDict(extra="forbid")

    who: Annotated[str, Field(max_length=200)] = ""
    note: Annotated[str, Field(max_length=2000)] = ""
    reason: Annotated[str, Field(max_length=2000)] = ""
    time: Time = "1d"


class LoginForm(BaseModel):
    """A token, and where to go on."""

    model_config = ConfigDict(extra="forbid")

    token: Annotated[str, Field(max_length=4096)] = ""
    goal: Annotated[str, Field(max_length=4096)] = "/"


def fields_of(body: bytes) -> dict[str, str]:
    """The fields of a form.

    Raises:
        RequestValidationError: it is none, or has a field twice.
    """
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except ValueError as error:
        raise _flawed("", f"a form of at most {MOST_FIELDS} fields is needed") from error
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _flawed("", "every field once")
    return {name: value.strip() for name, value in found.items()}


def deed_of(body: bytes) -> DeedForm:
    """The form of a deed. RequestValidationError where a field is not allowed."""
    try:
        return DeedForm.model_validate(fields_of(body) if body else {})
    except ValidationError as error:
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in error.errors()]) from error


def login_of(body: bytes) -> LoginForm:
    """The form of a login; its goal is a path of ours. RequestValidationError where a field is not allowed."""
    try:
        form = LoginForm.model_validate(fields_of(body))
    except ValidationError as error:
        raise _flawed("token", "a token of at most 4096 characters") from error
    return form if _OURS.fullmatch(form.goal) else form.model_copy(update={"goal": "/"})


def _flawed(field: str, allowed: str) -> RequestValidationError:
    return RequestValidationError([{"type": "value_error", "loc": ("body", field), "msg": allowed, "input": {}}])
