"""Mail: threads by incident, safe headers, TLS as configured, and what is tried again."""

from __future__ import annotations

import email
import email.policy
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from alert_receivers import HOSTILE, T0, notice
from unquiet.alerts import make_sink
from unquiet.alerts.email import Email, message
from unquiet.model.alerts import DeliveryError

CERTIFICATES = Path(__file__).parent / "certificates"


@dataclass
class Mailbox:
    """Takes mails; `mood` says how the next ones end."""

    mood: list[str] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)
    encrypted: list[bool] = field(default_factory=list)

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, _: Any) -> str:  # noqa: N802
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        mood = self.mood.pop(0) if self.mood else "ok"
        if mood[0].isdigit():
            return mood
        parsed = email.message_from_bytes(envelope.content or b"", policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        if parsed["Message-ID"] not in {mail["Message-ID"] for mail in self.mails}:
            self.mails.append(parsed)
            self.recipients.append(list(envelope.rcpt_tos))
            self.encrypted.append(session.ssl is not None)
        if mood == "reset":
            assert server.transport is not None
            server.transport.abort()
        return "250 OK"

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        return "421 closing" if self.refuse.get("QUIT") else "221 Bye"


class _OnFreePort(Controller):
    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def serving(mailbox: Mailbox, **options: Any) -> Iterator[int]:
    controller = _OnFreePort(mailbox, hostname="127.0.0.1", port=0, ready_timeout=10, **options)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def sink_for(port: int, **changes: Any) -> Email:
    fields: dict[str, Any] = {
        "name": "mail",
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "sender": "unquiet@example.com",
        "recipients": ("a@example.com", "b@example.com"),
        "user": "",
        "timeout_s": 5.0,
    }
    return Email(**(fields | changes))


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=CERTIFICATES / "localhost.pem")


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "localhost.pem", CERTIFICATES / "localhost.key")
    return context


def test_a_thread_by_incident_and_no_doubles_after_a_lost_reply() -> None:
    box = Mailbox(["reset", "ok", "421 later", "ok", "reset", "ok"])
    with serving(box) as port:
        sink = sink_for(port)
        for phase in ("opened", "updated", "resolved"):
            with pytest.raises(DeliveryError) as caught:
                sink.send(notice(phase))
            assert not caught.value.permanent
            sink.send(notice(phase))
    first, update, last = box.mails
    assert first["Subject"] == "[unquiet] refuses refund requests in German (de-DE) (incident A)"
    assert update["Subject"] == last["Subject"] == f"Re: {first['Subject']}"
    assert first["In-Reply-To"] is None
    for mail in (update, last):
        assert mail["In-Reply-To"] == mail["References"] == first["Message-ID"]
    assert len({mail["Message-ID"] for mail in box.mails}) == 3
    assert box.recipients == [["a@example.com", "b@example.com"]] * 3
    assert first["Date"] == "Tue, 10 Mar 2026 13:40:00 +0000"
    plain = first.get_body(("plain",))
    assert plain is not None
    assert plain.get_content().startswith("Opened: refuses refund requests in German (de-DE): 2 % -> 66 %")
    assert "reached: 121 sessions" in plain.get_content()
    assert "https://unquiet.example/incidents/A?a=1&b=2" in plain.get_content()


def test_a_condition_that_opens_again_is_a_new_mail_of_the_same_thread() -> None:
    mails = [
        message(notice("opened", key="condition/c", id=f"condition/c/opened/{at}"), "u@example.com", ("a@example.com",))
        for at in (1, 2)
    ]
    assert mails[0]["Message-ID"] != mails[1]["Message-ID"]
    assert mails[0]["References"] == mails[1]["References"]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_add_no_header_and_no_markup(text: str) -> None:
    mail = message(
        notice(name=text, title=text, lines=(text,), labels={text: text}), "u@example.com", ("a@example.com",)
    )
    parsed = email.message_from_bytes(mail.as_bytes(), policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    assert set(parsed.keys()) == {
        "Subject",
        "From",
        "To",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "X-Unquiet-Key",
        "MIME-Version",
        "Content-Type",
    }
    assert parsed["To"] == "a@example.com"
    html = parsed.get_body(("html",))
    assert html is not None
    for tag in ("<script", "<img", '<a href="https://evil'):
        assert tag not in html.get_content()
    assert len(mail.as_bytes()) < 20_000


def test_starttls_and_login() -> None:
    box = Mailbox()
    seen: list[LoginPassword] = []

    def check(server: object, session: object, envelope: object, mechanism: str, data: LoginPassword) -> AuthResult:
        seen.append(data)
        return AuthResult(success=data.password == b"right", handled=False)

    options = {"tls_context": server_context(), "require_starttls": True, "auth_required": True, "authenticator": check}
    with serving(box, **options) as port:
        good = sink_for(port, security="starttls", user="me", password="right", context=trusting())  # noqa: S106
        good.send(notice())
        assert box.encrypted == [True]
        wrong = sink_for(port, security="starttls", user="me", password="wrong-one", context=trusting())  # noqa: S106
        with pytest.raises(DeliveryError, match="535") as caught:
            wrong.send(notice("updated"))
        assert caught.value.permanent
        assert "wrong-one" not in f"{caught.value} {wrong!r}"
        with pytest.raises(DeliveryError, match="certificate verify failed") as caught:
            sink_for(port, security="starttls", user="me", password="right").send(notice("updated"))  # noqa: S106
        assert not caught.value.permanent
    assert [*dict.fromkeys(each.password for each in seen)] == [b"right", b"wrong-one"]
    assert len(box.mails) == 1


def test_tls_from_the_first_byte() -> None:
    box = Mailbox()
    with serving(box, ssl_context=server_context()) as port:
        sink_for(port, security="tls", context=trusting()).send(notice())
    assert len(box.mails) == 1


def test_a_server_without_starttls_gets_nothing() -> None:
    box = Mailbox()
    with serving(box) as port, pytest.raises(DeliveryError, match="STARTTLS") as caught:
        sink_for(port, security="starttls", user="me", password="secret-word").send(notice())  # noqa: S106
    assert caught.value.permanent
    assert box.mails == []


@pytest.mark.parametrize(
    ("refuse", "permanent", "arrived"),
    [
        ({"a@example.com": "550 no such user", "b@example.com": "550 no"}, True, 0),
        ({"a@example.com": "450 later", "b@example.com": "550 no"}, False, 0),
        ({"a@example.com": "550 no such user"}, True, 1),
    ],
)
def test_refused_recipients_are_named(refuse: dict[str, str], permanent: bool, arrived: int) -> None:
    box = Mailbox(refuse=refuse)
    with serving(box) as port, pytest.raises(DeliveryError, match=r"a@example\.com") as caught:
        sink_for(port).send(notice())
    assert caught.value.permanent == permanent
    assert len(box.mails) == arrived


@pytest.mark.parametrize(("answer", "permanent"), [("451 try later", False), ("554 spam", True)])
def test_a_refused_mail(answer: str, permanent: bool) -> None:
    with serving(Mailbox([answer])) as port, pytest.raises(DeliveryError, match=answer[:3]) as caught:
        sink_for(port).send(notice())
    assert caught.value.permanent == permanent


def test_an_odd_goodbye_is_no_failure() -> None:
    box = Mailbox(refuse={"QUIT": "yes"})
    with serving(box) as port:
        sink_for(port).send(notice())
    assert len(box.mails) == 1


def test_nobody_there_is_tried_again() -> None:
    with serving(Mailbox()) as port:
        pass
    with pytest.raises(DeliveryError, match="could not be used") as caught:
        sink_for(port).send(notice())
    assert not caught.value.permanent


def test_the_configured_sink_sends() -> None:
    box = Mailbox()
    with serving(box) as port:
        options = {
            "host": "127.0.0.1",
            "port": port,
            "security": "none",
            "from": "u@example.com",
            "to": "a@example.com",
        }
        make_sink("email", "mail", options, {}.__getitem__).send(notice("test", at_us=T0))
    assert str(box.mails[0]["Subject"]).startswith("[unquiet] Test: ")
