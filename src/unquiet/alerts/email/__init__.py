"""E-mail over SMTP. A mail client shows all mails of an incident as one conversation."""

from __future__ import annotations

import hashlib
import re
import smtplib
import socket
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from html import escape
from importlib.resources import files
from string import Template

from unquiet.alerts.kinds import SinkKind
from unquiet.alerts.options import Options, is_loopback
from unquiet.alerts.texts import about, headline, kind_of, lines_of, link, one_line
from unquiet.model.alerts import DeliveryError, Notice

TIMEOUT_S = 20.0
PORTS = {"starttls": 587, "tls": 465, "none": 25}
SUBJECT = 250
_RATES = re.compile(r": [\d.]+ % -> ")


@dataclass(frozen=True, slots=True)
class Email:
    """Sends through one SMTP server.

    `security` is starttls (refused where the server does not offer it), tls or none. `context` verifies the server.
    """

    name: str
    host: str
    port: int
    security: str
    sender: str
    recipients: tuple[str, ...]
    user: str
    password: str | None = field(default=None, repr=False)
    timeout_s: float = TIMEOUT_S
    context: ssl.SSLContext = field(default_factory=ssl.create_default_context, repr=False)

    def send(self, notice: Notice) -> None:
        """Deliver one notice. A mail that comes again after a lost reply has the same Message-ID.

        Raises:
            DeliveryError: it was not delivered, or not to all.
        """
        mail = message(notice, self.sender, self.recipients)
        try:
            refused = self._transfer(mail)
        except smtplib.SMTPRecipientsRefused as error:
            raise self._refused(error.recipients) from None
        except smtplib.SMTPResponseException as error:
            raise self._answered(error.smtp_code, error.smtp_error) from None
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            # A server without STARTTLS or AUTH does not learn it by itself.
            final = isinstance(error, (smtplib.SMTPNotSupportedError, UnicodeError))
            raise DeliveryError(
                f"{self._who} could not be used ({type(error).__name__}: {self._scrubbed(str(error))}). Check its host, port "
                f"and security{'; it is not tried again.' if final else '. It is tried again.'}",
                permanent=final,
            ) from None
        if refused:
            raise DeliveryError(
                f"{self._who} refused {_listed(refused)}; the other recipients have the mail, so it is not tried again. "
                "Check the addresses.",
                permanent=True,
            )

    @property
    def _who(self) -> str:
        return f"mail server {self.host}:{self.port} ({self.name})"

    def _transfer(self, mail: EmailMessage) -> dict[str, tuple[int, bytes]]:
        """One transaction; the recipients that were refused while others were taken."""
        # The name of this machine without a look-up, which can take longer than the mail.
        own = socket.gethostname()
        if self.security == "tls":
            server = smtplib.SMTP_SSL(self.host, self.port, own, timeout=self.timeout_s, context=self.context)
        else:
            server = smtplib.SMTP(self.host, self.port, own, timeout=self.timeout_s)
        try:
            if self.security == "starttls":
                server.starttls(context=self.context)
            if self.password is not None:
                server.login(self.user, self.password)
            refused = server.send_message(mail, self.sender, self.recipients)
            _leave(server)
            return refused
        finally:
            server.close()

    def _refused(self, recipients: dict[str, tuple[int, bytes]]) -> DeliveryError:
        final = all(code >= 500 for code, _ in recipients.values())
        todo = "Check the addresses; it is not tried again." if final else "It is tried again."
        return DeliveryError(f"{self._who} refused {self._scrubbed(_listed(recipients))}. {todo}", permanent=final)

    def _answered(self, code: int, said: bytes | str) -> DeliveryError:
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        final = code >= 500
        todo = "Check its user, password and addresses; it is not tried again." if final else "It is tried again."
        return DeliveryError(f'{self._who} answered {code} "{self._scrubbed(text)}". {todo}', permanent=final)

    def _scrubbed(self, text: str) -> str:
        return one_line(text.replace(self.password, "***") if self.password else text, 300)


def message(notice: Notice, sender: str, recipients: tuple[str, ...]) -> EmailMessage:
    """The mail of a notice: plain text, and the same in simple HTML."""
    mail = EmailMessage(policy=SMTP)
    named = about(notice)
    mail["Subject"] = subject(notice, reply=message_id(notice, sender) != thread_id(notice, sender))
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Date"] = datetime.fromtimestamp(notice.at_us // 1_000_000, UTC)
    own, first = message_id(notice, sender), thread_id(notice, sender)
    mail["Message-ID"] = own
    if own != first:
        mail["In-Reply-To"] = first
        mail["References"] = first
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Unquiet-Key"] = one_line(notice.key, 200).encode("ascii", "replace").decode()
    page, lines = link(notice), lines_of(notice)
    foot = f"{named}, {notice.severity}"
    text = [headline(notice), "", *lines, "", foot, *([page] if page else [])]
    mail.set_content("\n".join(text) + "\n")
    html = Template(files(__name__).joinpath("mail.html").read_text(encoding="utf-8")).substitute(
        title=escape(headline(notice)),
        lines="\n".join(f"<p>{escape(line)}</p>" for line in lines),
        foot=escape(foot),
        link=f'<p><a href="{escape(page)}">Open {escape(named)}</a></p>' if page else "",
    )
    mail.add_alternative(html, subtype="html")
    return mail


def subject(notice: Notice, *, reply: bool) -> str:
    """The same for all mails of a key but for `Re: `, since some clients keep apart what has another subject.

    The rates in a title change from one notice to the next and are left out; the first line of the mail says them.
    """
    if notice.phase == "test":
        return one_line(f"[unquiet] {headline(notice)}", SUBJECT)
    what = one_line(_RATES.split(notice.title, maxsplit=1)[0], SUBJECT - 100)
    return f"{'Re: ' if reply else ''}[unquiet] {what} ({about(notice)})"


def thread_id(notice: Notice, sender: str) -> str:
    """The Message-ID of the mail that opens an incident; what all other mails with the same key refer to."""
    return _id(f"thread {notice.key}", sender)


def message_id(notice: Notice, sender: str) -> str:
    """The Message-ID of a notice, the same over retries.

    An incident opens once, and its opening is the head of the conversation. A condition can open again and again under
    one key: each of its mails has an id of its own.
    """
    if notice.phase == "opened" and kind_of(notice) == "incident":
        return thread_id(notice, sender)
    return _id(f"notice {notice.id}", sender)


def _id(text: str, sender: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:40]
    return f"<{digest}@{sender.rpartition('@')[2]}>"


def _leave(server: smtplib.SMTP) -> None:
    """Say goodbye. The mail is taken already: what goes wrong now must not make it be sent again."""
    try:
        server.quit()
    except (smtplib.SMTPException, OSError):
        return


def _listed(recipients: dict[str, tuple[int, bytes]]) -> str:
    return "; ".join(f"{who} ({code} {said.decode('utf-8', 'replace')})" for who, (code, said) in recipients.items())


def _address(options: Options, key: str, text: str) -> str:
    """A bare address `name@domain` of ASCII characters."""
    try:
        found = Address(addr_spec=text).addr_spec
    except (ValueError, IndexError, MessageError):
        found = ""
    if found != text or "@" not in text or not text.isascii() or " " in text:
        options.wrong(key, "expected bare addresses such as oncall@example.com")
        return "nobody@localhost"
    return text


def make(options: Options) -> Email:
    """An SMTP sink from its options."""
    host, security = options.text("host"), options.choice("security", tuple(PORTS), "starttls")
    port = int(options.number("port", PORTS[security], 1, 65_535))
    sender = _address(options, "from", options.text("from"))
    recipients = tuple(_address(options, "to", each) for each in options.texts("to"))
    user, password = options.text("user", ""), options.secret_or_none("password")
    if bool(user) != (password is not None):
        options.wrong("password", "give both a user and a password, or none of them")
    if security == "none" and password is not None and not is_loopback(host):
        options.wrong("security", "none would send the password readable over the network; expected starttls or tls")
    timeout_s = options.number("timeout_s", TIMEOUT_S, 0.1, 120.0)
    return Email(options.name, host, port, security, sender, recipients, user, password, timeout_s)


KIND = SinkKind("email", make)
