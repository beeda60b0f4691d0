"""Mail to people, where the operator has named a mail server; never inside a transaction."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import unquote, urlsplit

from mugrade.server.errors import Refusal, invalid
from mugrade.server.settings import Settings

SECONDS = 20
_PORTS = {"smtp": 587, "smtps": 465}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Letter:
    """One message to one person."""

    to: str
    name: str
    subject: str
    text: str


def is_configured(settings: Settings) -> bool:
    return bool(settings.smtp_url and settings.mail_from)


def send(settings: Settings, letters: Iterable[Letter]) -> dict[str, str | None]:
    """Send the letters over one connection; for each address None, or why it was not sent.

    Raises:
        Refusal: no mail server is configured, or it cannot be reached.
    """
    if not is_configured(settings):
        raise invalid(
            "No mail server is configured; set MUGRADE_SMTP_URL and MUGRADE_MAIL_FROM for the server."
        )
    told: dict[str, str | None] = {}
    try:
        with _connection(settings) as server:
            for letter in letters:
                told[letter.to] = _send_one(server, settings, letter)
    except (OSError, smtplib.SMTPException) as error:
        host = urlsplit(settings.smtp_url or "").hostname
        raise Refusal(
            503, "unavailable", f"The mail server {host} does not take mail: {_reason(error)}."
        ) from None
    return told


def _send_one(server: smtplib.SMTP, settings: Settings, letter: Letter) -> str | None:
    try:
        server.send_message(_message(settings, letter))
    except (
        smtplib.SMTPRecipientsRefused,
        smtplib.SMTPDataError,
        smtplib.SMTPNotSupportedError,
    ) as e:
        return _reason(e)
    return None


def _message(settings: Settings, letter: Letter) -> EmailMessage:
    message = EmailMessage()
    message["From"] = settings.mail_from
    local, _, domain = letter.to.rpartition("@")
    message["To"] = Address(letter.name, local, domain.encode("idna").decode())
    message["Subject"] = letter.subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=urlsplit(settings.web).hostname)
    message.set_content(letter.text)
    return message


@contextlib.contextmanager
def _connection(settings: Settings) -> Iterator[smtplib.SMTP]:
    """TLS from the first byte (`smtps:`) or by STARTTLS; without it only on this machine."""
    parts = urlsplit(settings.smtp_url or "")
    host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    if parts.scheme not in _PORTS or not host:
        raise invalid(
            "MUGRADE_SMTP_URL is no mail server; expected smtps://user:password@host or smtp://host."
        )
    trusted = ssl.create_default_context()
    server = (
        smtplib.SMTP_SSL(host, port, timeout=SECONDS, context=trusted)
        if parts.scheme == "smtps"
        else smtplib.SMTP(host, port, timeout=SECONDS)
    )
    with server:
        server.ehlo()
        if parts.scheme == "smtp" and (host not in _LOOPBACK or server.has_extn("starttls")):
            server.starttls(context=trusted)
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
        yield server


def _reason(error: Exception) -> str:
    """The first line of what went wrong, without passwords or addresses of others."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        error = smtplib.SMTPResponseException(*next(iter(error.recipients.values())))
    if isinstance(error, smtplib.SMTPResponseException):
        words = error.smtp_error
        text = words.decode(errors="replace") if isinstance(words, bytes) else words
        return f"{error.smtp_code} {text}"[:200]
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]
