"""Cleaning of traffic: in every place of a request nothing of a person stays, and what detection needs is still there."""

from __future__ import annotations

import copy
import random
from typing import Any

import orjson
import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from unquiet.app.cleaning import Cleaning
from unquiet.conventions.otlp import read_json, read_resource_logs, read_resource_spans
from unquiet.conventions.privacy import Cleaner, Walk
from unquiet.conventions.private_names import Kind, kind_of, kind_within
from unquiet.conventions.private_spans import clean_spans
from unquiet.conventions.raw_attributes import RawTraceRequest
from unquiet.conventions.span_turns import turns_of
from unquiet.model.privacy import PrivacySettings
from unquiet.privacy import Redactor, UserHasher

KEY = b"k" * 32
HASH = UserHasher(KEY)
MAIL = "anna@example.com"

USER_NAMES = [
    "user.id", "enduser.id", "gen_ai.user.id", "langfuse.user.id", "user_id", "userId", "user.email", "user.name", "app.userId",
    "langfuse.trace.metadata.user_id", "langfuse.trace.metadata.end_user", "langfuse.observation.metadata.userEmail",
    "langsmith.metadata.user_id", "ai.telemetry.metadata.userId", "traceloop.association.properties.user_id",
    "traceloop.association.properties.customer_id", "metadata.user_id",
]  # fmt: skip
CONTENT_NAMES = [
    "gen_ai.prompt", "gen_ai.completion", "gen_ai.prompt.0.content", "gen_ai.completion.0.tool_calls.0.arguments",
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "input.value",
    "output.value", "llm.input_messages.0.message.content", "llm.output_messages.1.message.contents.0.message_content.text",
    "traceloop.entity.input", "langfuse.observation.output", "langsmith.inputs", "ai.prompt.messages", "ai.response.text",
    "gcp.vertex.agent.llm_request", "mlflow.spanInputs", "pydantic_ai.all_messages", "retrieval.documents.0.document.content",
]  # fmt: skip
KEPT_NAMES = [
    "gen_ai.prompt.name", "gen_ai.prompt.version", "gen_ai.request.model", "gen_ai.tool.name", "llm.output_messages.0.message.role",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.name", "gen_ai.completion.0.finish_reason",
    "tenant", "gen_ai.tool.definitions",
]  # fmt: skip


def any_value(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=map(any_value, value)))
    if isinstance(value, dict):
        return AnyValue(kvlist_value=KeyValueList(values=pairs(value)))
    return AnyValue(string_value=value)


def pairs(values: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=name, value=any_value(value)) for name, value in values.items()]


def traces(attributes: dict[str, Any], **more: Any) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    scoped = request.resource_spans.add().scope_spans.add()
    span = scoped.spans.add(
        trace_id=b"\x01" * 16, span_id=b"\x02" * 8, name="chat", start_time_unix_nano=10**18, **more
    )
    span.attributes.extend(pairs(attributes))
    return request


def cleaned(clean: Cleaning, request: ExportTraceServiceRequest, source: str) -> bool:
    """Clean a request in place; whether anything changed."""
    raw = request.SerializeToString()
    made = clean.traces(raw, source)
    request.ParseFromString(made)
    return made is not raw


def logs(body: Any, attributes: dict[str, Any], name: str = "") -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    scoped = request.resource_logs.add().scope_logs.add()
    record = scoped.log_records.add(trace_id=b"\x01" * 16, span_id=b"\x02" * 8, event_name=name, time_unix_nano=10**18)
    record.body.CopyFrom(any_value(body))
    record.attributes.extend(pairs(attributes))
    return request


def as_json(request: Any) -> dict[str, Any]:
    """The document that an exporter would send: ids in hexadecimal digits."""
    document = MessageToDict(request)
    for name in ("traceId", "spanId"):
        swap_ids(document, name)
    return document


def swap_ids(node: Any, name: str) -> None:
    import base64

    for item in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        swap_ids(item, name)
    if isinstance(node, dict) and isinstance(node.get(name), str):
        node[name] = base64.b64decode(node[name]).hex()


def attributes_of(request: ExportTraceServiceRequest) -> dict[str, Any]:
    return dict(read_resource_spans(request.resource_spans).spans[0].attributes)


def everywhere(text: str) -> ExportTraceServiceRequest:
    """A request with a text in every place that holds one."""
    request = traces(
        {"plain": text, "list": ["a", [text]], "object": {"in": {"deep": text}, text: 1},
         "json": orjson.dumps({"a": [text]}).decode(),
         "bytes": text.encode(), text: "name"}
    )  # fmt: skip
    part = request.resource_spans[0]
    part.resource.attributes.extend(pairs({"host.owner": text}))
    scoped = part.scope_spans[0]
    scoped.scope.name = f"scope {text}"
    scoped.scope.attributes.extend(pairs({"x": text}))
    span = scoped.spans[0]
    span.name, span.trace_state, span.status.message = f"for {text}", f"a={text}", f"failed for {text}"
    event = span.events.add(name=f"event {text}", time_unix_nano=10**18)
    event.attributes.extend(pairs({"exception.message": text}))
    span.links.add(trace_id=b"\x03" * 16, span_id=b"\x04" * 8).attributes.extend(pairs({"why": text}))
    return request


def test_a_text_goes_from_every_place() -> None:
    request = everywhere(MAIL)
    clean = Cleaning(PrivacySettings(), KEY)
    assert cleaned(clean, request, "s")
    data = request.SerializeToString()
    assert MAIL.encode() not in data
    assert data.count(b"[email]") == everywhere("[email]").SerializeToString().count(b"[email]")
    assert not cleaned(clean, request, "s"), "a second time there is nothing to do"


def test_a_text_goes_from_every_place_of_a_document() -> None:
    document = as_json(everywhere(MAIL))
    document["later"] = {"version": ["knows", MAIL]}
    clean = Cleaning(PrivacySettings(), KEY)
    ids = (span := document["resourceSpans"][0]["scopeSpans"][0]["spans"][0])["traceId"], span["spanId"]
    assert clean.json_spans(document, "s")
    assert MAIL not in orjson.dumps(document).decode()
    assert (span["traceId"], span["spanId"]) == ids
    assert len(read_json(document).spans) == 1
    assert not clean.json_spans(document, "s")


def test_fields_of_a_later_version_do_not_bring_it_in() -> None:
    later = b"\xfa\x3e" + bytes([len(MAIL)]) + MAIL.encode()
    request = ExportTraceServiceRequest.FromString(traces({"a": "b"}).SerializeToString() + later)
    assert MAIL.encode() in request.SerializeToString()
    assert cleaned(Cleaning(PrivacySettings(), KEY), request, "s")
    assert MAIL.encode() not in request.SerializeToString()


def test_clean_traffic_stays_as_it_is() -> None:
    values = {"a": "order 1234567890", "n": 1, "l": ["x", 2, True], "session.id": "call-1234567890", "tenant.id": "t-1"}
    request, document = traces(values), as_json(traces(values))
    before, told = request.SerializeToString(), copy.deepcopy(document)
    clean = Cleaning(PrivacySettings(), KEY)
    assert not cleaned(clean, request, "s")
    assert not clean.json_spans(document, "s")
    assert request.SerializeToString() == before
    assert document == told


@pytest.mark.parametrize("name", USER_NAMES)
def test_users_are_hashed_under_every_name(name: str) -> None:
    clean = Cleaning(PrivacySettings(redact=()), KEY)
    for value in ("u-17", 17, MAIL):
        request = traces({name: value, "tenant": "acme"})
        document = as_json(request)
        assert cleaned(clean, request, "s")
        assert clean.json_spans(document, "s")
        for found in (attributes_of(request), read_json(document).spans[0].attributes):
            assert found == {name: HASH(str(value)), "tenant": "acme"}


def test_users_in_metadata_are_hashed() -> None:
    clean = Cleaning(PrivacySettings(redact=()), KEY)
    told = {"user_id": "u-17", "plan": "paid", "nested": {"userId": 17}, "sessions": [1]}
    hidden = {"user_id": HASH("u-17"), "plan": "paid", "nested": {"userId": HASH("17")}, "sessions": [1]}
    for value in (orjson.dumps(told).decode(), repr(told)):
        request = traces({"metadata": value})
        assert cleaned(clean, request, "s")
        assert orjson.loads(attributes_of(request)["metadata"]) == hidden
    request = traces({"langfuse.trace.metadata": told})
    document = as_json(request)
    assert cleaned(clean, request, "s")
    assert clean.json_spans(document, "s")
    assert attributes_of(request)["langfuse.trace.metadata"] == hidden
    assert read_json(document).spans[0].attributes["langfuse.trace.metadata"] == hidden
    same = traces({"metadata": '{"plan":  "user of a plan"}'})
    assert not cleaned(clean, same, "s"), "the text stays as it was written"


def test_users_of_events_and_resources_are_hashed() -> None:
    request = traces({})
    part = request.resource_spans[0]
    part.resource.attributes.extend(pairs({"user.id": "anna"}))
    part.scope_spans[0].spans[0].events.add(name="e").attributes.extend(pairs({"enduser.id": "anna"}))
    assert cleaned(Cleaning(PrivacySettings(redact=()), KEY), request, "s")
    assert b"anna" not in request.SerializeToString()


def test_the_turns_of_hashed_users_are_told_apart() -> None:
    """What is read from cleaned spans is what was read before, but for the users."""
    request = traces(
        {"gen_ai.operation.name": "chat", "user.id": "anna", "gen_ai.prompt": "Hi", "gen_ai.completion": "Hello"}
    )
    (before,) = turns_of(read_resource_spans(request.resource_spans).spans)
    assert cleaned(Cleaning(PrivacySettings(), KEY), request, "s")
    (after,) = turns_of(read_resource_spans(request.resource_spans).spans)
    assert (before.user_id, after.user_id) == ("anna", HASH("anna"))
    assert (after.input, after.output, after.turn_id) == (before.input, before.output, before.turn_id)


def test_ids_that_hold_something_stay_apart() -> None:
    """With an e-mail address as id, two conversations would become one `[email]`."""
    clean = Cleaning(PrivacySettings(hash_users=False), KEY)
    request = traces({"session.id": f"chat {MAIL}", "user.id": MAIL, "gen_ai.conversation.id": "c-1"})
    row = {"session_id": f"chat {MAIL}", "turn_id": "t", "user_id": MAIL}
    assert cleaned(clean, request, "s")
    assert clean.turn(row, "s")
    hidden = HASH(f"chat {MAIL}")
    assert attributes_of(request) == {"session.id": hidden, "user.id": HASH(MAIL), "gen_ai.conversation.id": "c-1"}
    assert row == {"session_id": hidden, "turn_id": "t", "user_id": HASH(MAIL)}
    plain = traces({"user.id": "anna"})
    assert not cleaned(clean, plain, "s")


OFF = PrivacySettings(content={"quiet": False})


@pytest.mark.parametrize("name", CONTENT_NAMES)
def test_content_of_a_source_is_not_taken(name: str) -> None:
    clean = Cleaning(OFF, KEY)
    for value in ("where is my parcel", ["where is my parcel"], {"q": "where is my parcel"}):
        request = traces({name: value, "gen_ai.request.model": "m"})
        document = as_json(request)
        assert not cleaned(clean, request, "loud")
        assert cleaned(clean, request, "quiet")
        assert clean.json_spans(document, "quiet")
        assert attributes_of(request) == {"gen_ai.request.model": "m"} == read_json(document).spans[0].attributes


@pytest.mark.parametrize("name", KEPT_NAMES)
def test_what_is_no_content_stays(name: str) -> None:
    request = traces({name: "value"})
    document = as_json(request)
    clean = Cleaning(OFF, KEY)
    assert not cleaned(clean, request, "quiet")
    assert not clean.json_spans(document, "quiet")


def test_prose_under_any_name_is_not_taken() -> None:
    """Nobody knows all names: what is too long to be a facet is of no use without its content."""
    clean = Cleaning(OFF, KEY)
    long = {
        "question": "x" * 121,
        "lines": "a\nb",
        "list": ["y" * 200],
        "short": "gold",
        "exception.stacktrace": "a\nb",
    }
    request = traces(long)
    document = as_json(request)
    assert cleaned(clean, request, "quiet")
    assert clean.json_spans(document, "quiet")
    assert (
        set(attributes_of(request)) == {"short", "exception.stacktrace"} == set(read_json(document).spans[0].attributes)
    )


def test_instructions_leave_a_fingerprint() -> None:
    clean = Cleaning(OFF, KEY)
    prints = []
    for text in ("You are kind.", "You are kind.", "You are strict."):
        request = traces({"gen_ai.system_instructions": text})
        document = as_json(request)
        assert cleaned(clean, request, "quiet")
        clean.json_spans(document, "quiet")
        assert "You are" not in orjson.dumps(document).decode()
        prints.append(attributes_of(request)["gen_ai.system_instructions"])
    assert prints[0] == prints[1] != prints[2]
    assert len(prints[0]) == 12


def test_messages_as_events_lose_their_content() -> None:
    request = traces({"gen_ai.operation.name": "chat"})
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.events.add(name="gen_ai.user.message").attributes.extend(pairs({"content": "where is it", "role": "user"}))
    span.events.add(name="gen_ai.choice").attributes.extend(pairs({"message": "on its way", "finish_reason": "stop"}))
    span.events.add(name="exception").attributes.extend(pairs({"exception.message": "timed out"}))
    document = as_json(request)
    clean = Cleaning(OFF, KEY)
    assert cleaned(clean, request, "quiet")
    assert clean.json_spans(document, "quiet")
    for spans in (read_resource_spans(request.resource_spans).spans, read_json(document).spans):
        user, choice, failed = spans[0].events
        assert (dict(user.attributes), dict(choice.attributes)) == ({"role": "user"}, {"finish_reason": "stop"})
        assert dict(failed.attributes) == {"exception.message": "timed out"}
        (turn,) = turns_of(spans)
        assert (turn.input, turn.output, turn.finish_reason) == (None, None, "stop")


def test_log_records_are_cleaned() -> None:
    clean = Cleaning(PrivacySettings(content={"quiet": False}), KEY)
    body = {"content": f"write to {MAIL}", "user_id": "anna"}
    request = logs(body, {"user.id": "anna", "gen_ai.system": "x"}, "gen_ai.user.message")
    document = as_json(request)
    bare, bare_document = copy.deepcopy(request), copy.deepcopy(document)
    assert clean.logs(request, "s")
    assert clean.json_logs(document, "s")
    wanted = {"content": "write to [email]", "user_id": HASH("anna")}
    for telemetry in (read_resource_logs(request.resource_logs), read_json(document)):
        ((event, _),) = telemetry.events
        assert (event.body, event.attributes["user.id"]) == (wanted, HASH("anna"))
    assert clean.logs(bare, "quiet")
    assert clean.json_logs(bare_document, "quiet")
    for telemetry in (read_resource_logs(bare.resource_logs), read_json(bare_document)):
        ((event, _),) = telemetry.events
        assert event.body is None
        assert event.name == "gen_ai.user.message"
    assert not clean.logs(logs("fine", {"a": 1}), "s")
    assert not clean.json_logs(as_json(logs("fine", {"a": 1})), "s")


def row(**more: Any) -> dict[str, Any]:
    return {
        "turn_id": "t-1", "session_id": "s-1", "time": "2026-03-01T10:00:00Z", "user_id": "anna", "input": f"I am {MAIL}",
        "output": "thanks", "tool_calls": [{"name": "find", "arguments": f'{{"m": "{MAIL}"}}', "result": "ok", "error": None}],
        "error": f"no {MAIL}", "latency_ms": 3.5, "model": "m", "facets": {"tenant": "acme", "user_email": MAIL, "contact": MAIL},
    } | more  # fmt: skip


def test_turns_are_cleaned() -> None:
    clean = Cleaning(PrivacySettings(content={"quiet": False}), KEY)
    loud, quiet, listed = row(), row(), row(facets=[("tenant", "acme"), ("contact", MAIL)], user_id=17)
    assert clean.turn(loud, "s")
    assert clean.turn(quiet, "quiet")
    assert clean.turn(listed, "s")
    assert loud == row(
        user_id=HASH("anna"), input="I am [email]", error="no [email]",
        tool_calls=[{"name": "find", "arguments": '{"m": "[email]"}', "result": "ok", "error": None}],
        facets={"tenant": "acme", "user_email": HASH(MAIL), "contact": "[email]"},
    )  # fmt: skip
    assert (quiet["input"], quiet["output"], quiet["error"]) == (None, None, "no [email]")
    assert quiet["tool_calls"] == [{"name": "find", "arguments": None, "result": None, "error": None}]
    assert listed["facets"] == [("tenant", "acme"), ("contact", "[email]")]
    assert listed["user_id"] == HASH("17")
    clean_row = {"turn_id": "t", "session_id": "s", "input": "hi", "tool_calls": [], "facets": {"a": "b"}, "n": 1}
    assert not clean.turn(clean_row, "s")
    text = {"tool_calls": '[{"name": "find", "arguments": {"q": "x"}}]', "plan": "paid", "notes": "z" * 300}
    assert clean.turn(text, "quiet")
    assert orjson.loads(text["tool_calls"]) == [{"name": "find", "arguments": None, "result": None, "error": None}]
    assert (text["plan"], text["notes"]) == ("paid", None)


def test_patterns_that_look_around_are_found_in_requests() -> None:
    """Raw bytes cannot tell of them, so every text is looked at."""
    clean = Cleaning(PrivacySettings(redact=(), custom={"zip": r"^\d{5}$"}), KEY)
    request = traces({"a": "10115"})
    assert cleaned(clean, request, "s")
    assert attributes_of(request) == {"a": "[zip]"}


def test_random_requests_hold_nothing_afterwards() -> None:
    """Whatever is nested in whatever: afterwards no text of any kind that was put in is left, and the rest is."""
    secrets = [
        MAIL,
        "+49 30 1234567",
        "DE89370400440532013000",
        "4111111111111111",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    ]
    rng = random.Random(4)
    clean = Cleaning(PrivacySettings(), KEY)

    def value(depth: int) -> Any:
        kind = rng.randrange(6 if depth else 3)
        if kind < 3:
            words = [rng.choice(["order", "123", "käse", "\n", *secrets]) for _ in range(rng.randrange(4))]
            return " ".join(words) if kind else orjson.dumps({"t": words}).decode()
        if kind == 3:
            return rng.randrange(10**9)
        if kind == 4:
            return [value(depth - 1) for _ in range(rng.randrange(3))]
        return {rng.choice(["a", "user_id", "b"]): value(depth - 1) for _ in range(rng.randrange(3))}

    for _ in range(150):
        request = traces({rng.choice(["x", "metadata", "gen_ai.prompt", "user.id", "q"]): value(2) for _ in range(4)})
        document, raw = as_json(request), request.SerializeToString()
        changed = cleaned(clean, request, "s")
        assert changed == (request.SerializeToString() != raw)
        clean.json_spans(document, "s")
        for text in (request.SerializeToString().decode("utf-8", "replace"), orjson.dumps(document).decode()):
            assert [secret for secret in secrets if secret in text] == [], text
        assert read_json(document).spans[0].attributes == attributes_of(request)


def one_by_one(request: ExportTraceServiceRequest, cleaner: Cleaner) -> None:
    """The slow way to clean: every attribute of every span is read."""
    walk = Walk.begin(request.SerializeToString(), cleaner)
    if walk.needed:
        for part in request.resource_spans:
            walk.attributes(part.resource.attributes)
            for scoped in part.scope_spans:
                walk.scope(scoped.scope)
                walk.at(0, scoped.spans[0], walk.span)


@pytest.mark.parametrize("content", [True, False])
@pytest.mark.parametrize("redact", [(), ("email",)])
def test_attributes_that_are_not_read_are_those_that_stay(content: bool, redact: tuple[str, ...]) -> None:
    """Whatever is said about users and however long it is: reading every attribute gives the same."""
    rng = random.Random(7)
    redactor = Redactor(redact)
    find = redactor.find
    cleaner = Cleaner(redactor if redact else None, find, HASH, HASH, content)
    names = [
        "user.id",
        "é",
        "n" * 126,
        "n" * 127,
        "n" * 130,
        "metadata",
        "metadata.user_id",
        "gen_ai.prompt",
        "tenant",
        "",
    ]

    def value() -> Any:
        text = rng.choice(["", "u-17", MAIL, "user", HASH("x")]) + "é" * rng.choice([0, 1, 60, 62, 130, 9000])
        return rng.choice([text, text, 17, True, b"\xff", [text], {"user_id": text, "n": 2}, json_of(text)])

    def json_of(text: str) -> str:
        return orjson.dumps({"user_id": text}).decode()

    for _ in range(200):
        request = traces({}, events=[Span.Event(name="e")], links=[Span.Link()])
        span = request.resource_spans[0].scope_spans[0].spans[0]
        scope = request.resource_spans[0].scope_spans[0].scope
        for holder in (span, span.events[0], span.links[0], scope, request.resource_spans[0].resource):
            holder.attributes.extend(pairs({rng.choice(names): value() for _ in range(rng.randrange(4))}))
            holder.attributes.extend([KeyValue(), KeyValue(key="user.id"), KeyValue(key="k")][: rng.randrange(4)])
        raw = request.SerializeToString()
        made = clean_spans(raw, cleaner)
        one_by_one(request, cleaner)
        assert ExportTraceServiceRequest.FromString(made) == request
        assert (made is raw) == (made == raw)


@pytest.mark.parametrize("pair", [
    b"\x12\x06\x0a\x04u-17\x0a\x07user.id",
    b"\x0a\x01a\x12\x06\x0a\x04u-17\x0a\x07user.id",
    b"\x0a\x87\x00user.id\x12\x06\x0a\x04u-17",
    b"\x0a\x07user.id\x12\x86\x00\x0a\x04u-17",
])  # fmt: skip
def test_users_are_hashed_however_they_are_encoded(pair: bytes) -> None:
    assert KeyValue.FromString(pair) == KeyValue(key="user.id", value=AnyValue(string_value="u-17"))
    request = RawTraceRequest.FromString(traces({}).SerializeToString())
    request.resource_spans[0].scope_spans[0].spans[0].attributes.append(pair)
    made = ExportTraceServiceRequest.FromString(
        Cleaning(PrivacySettings(), KEY).traces(request.SerializeToString(), "s")
    )
    assert attributes_of(made) == {"user.id": HASH("u-17")}


def test_kinds_of_names() -> None:
    assert {kind_of(name) for name in USER_NAMES} == {Kind.USER}
    assert kind_of("langfuse.session.id") == kind_of("metadata.thread_id") == Kind.ID
    assert kind_of("tenant") == kind_of("metadata.user_tier") == kind_of("metadata.userbase") == Kind.PLAIN
    assert kind_within("User-Name") == kind_within("customer_id") == Kind.USER
