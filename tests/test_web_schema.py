"""The API keeps what its OpenAPI document says, whatever is sent to it."""

from __future__ import annotations

from datetime import UTC, datetime

import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import unsupported_method

from unquiet.web.access import Access
from web_backends import FORM, FakeBackend, app_of, place, takes_forms

TOKENS = Access(read_tokens={"grafana": "read-me"}, act_tokens={"ops": "act-please"}, hosts=("testserver",))
HEADERS = {"Authorization": "Bearer act-please"}
BOUNDED = settings(
    max_examples=15,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)

# Moments before 1970 are refused, which a schema cannot say.
schemathesis.openapi.format(
    "date-time",
    st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9998, 1, 1), timezones=st.just(UTC)).map(
        datetime.isoformat
    ),
)

PAGES = ("now", "changes", "status", "incidents/{incident_id}")
"""They are told of by their twins."""

APP: FastAPI = app_of(FakeBackend(), TOKENS)
SCHEMA = schemathesis.openapi.from_asgi("/api/openapi.json", APP, headers=HEADERS)
SCHEMA.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
CLIENT = TestClient(APP, headers=HEADERS)


@SCHEMA.parametrize()
@seed(20260302)
@BOUNDED
def test_every_operation_keeps_its_document(case: schemathesis.Case) -> None:
    """No 5xx; status, media type, headers and body as declared; what the schema forbids is refused, what it allows taken."""
    # An undeclared method is refused by the guard already where it has no content type; see the test below.
    case.call_and_validate(headers=HEADERS, excluded_checks=[unsupported_method])


def test_the_document_is_openapi_3_1_and_names_every_route() -> None:
    document = CLIENT.get("/api/openapi.json").json()
    assert document["openapi"].startswith("3.1.")
    operations = {(m.upper(), path) for path, item in document["paths"].items() for m in item}
    routes = {(m, r.path) for r in APP.routes for m in r.methods if m != "HEAD"}
    hidden = {(method, path) for method, path in routes - operations if not takes_forms(path) and path[1:] not in PAGES}
    assert hidden == {("GET", path) for path in ("/api/openapi.json", "/metrics", "/", "/static/{mark}/{name}")}
    assert {("GET", f"/{page}.json") for page in PAGES} <= operations
    assert operations <= routes
    for path, item in document["paths"].items():
        for operation in item.values():
            assert operation["description"], path
            assert "application/problem+json" in operation["responses"]["default"]["content"]
    media = document["paths"]["/api/v1/changes"]["post"]["requestBody"]["content"]
    assert media["application/cloudevents-batch+json"]["schema"]["type"] == "array"
    assert media["application/cloudevents+json"]["schema"] == {"$ref": "#/components/schemas/CloudEvent"}


def test_undeclared_methods_are_told_the_allowed_ones() -> None:
    for path in {route.path for route in APP.routes}:
        headers = FORM if takes_forms(path) else {"Content-Type": "application/json"}
        answer = CLIENT.put(place(path), content=b"{}", headers=headers)
        declared = {m for r in APP.routes if r.path == path for m in r.methods}
        assert answer.status_code == 405, path
        assert set(answer.headers["allow"].split(", ")) == declared
        assert answer.json()["status"] == 405


@seed(7)
@settings(BOUNDED, max_examples=150)
@given(
    body=st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
            max_leaves=8,
        ),
    ),
    path=st.sampled_from(sorted({r.path for r in APP.routes if "POST" in r.methods})),
)
def test_no_body_breaks_it(body: object, path: str) -> None:
    import json

    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = FORM if takes_forms(path) else {"Content-Type": "application/json"}
    answer = CLIENT.post(path.replace("{incident_id}", "x"), content=raw, headers=headers)
    assert answer.status_code < 500
    if answer.status_code >= 400:
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["status"] == answer.status_code
        assert problem["detail"]
        assert problem["next"]
