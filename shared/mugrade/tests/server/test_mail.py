"""Invitations and sign-in links by mail."""

from __future__ import annotations

import re
import time

import pytest
from mugrade.server.errors import Refusal
from mugrade.server.services import mail
from mugrade.server.settings import Settings

from .browser import Browser, text
from .conftest import Server, make_settings
from .mailbox import Mailbox
from .test_identity import on_roster


@pytest.fixture
def mailbox():
    made = Mailbox()
    yield made
    made.close()


@pytest.fixture
def posting(request, tmp_path, mailbox):
    """A server that sends its mail to the mailbox."""
    made = make_settings(request, "sqlite", tmp_path)
    sender = "Course <staff@example.org>"
    server = Server(Settings(**made, smtp_url=mailbox.url, mail_from=sender)).load()
    yield server
    server.close()


def test_an_invitation_by_mail_opens_the_account(posting, mailbox):
    on_roster(posting, "ada@example.org,Åda Lovelace,student", "gone@example.org,Gone,student")
    mailbox.unknown.add("gone@example.org")
    body = {"people": ["ada@example.org", "gone@example.org"], "mail": True}
    ada, gone = posting.staff.post("/invitations", body).json()["invitations"]
    assert ada["mailed"] and ada["problem"] is None
    assert not gone["mailed"] and gone["problem"] == "550 nobody of that name"
    (letter,) = mailbox.letters
    assert (
        letter["To"] == "Åda Lovelace <ada@example.org>" and "staff@example.org" in letter["From"]
    )
    link = re.search(r"http\S+/invitation\?code=(\S+)", letter.get_content())
    answer = Browser(posting).post("/invitation", code=link[1], password="correct horse")
    assert answer.status_code == 303


def test_a_forgotten_password_is_replaced_by_mail(posting, mailbox):
    Browser(posting).sign_up("ada")
    assert Browser(posting).post("/forgot", email="ADA@example.org").status_code == 303
    deadline = time.monotonic() + 20
    while not mailbox.letters and time.monotonic() < deadline:
        time.sleep(0.01)
    code = re.search(r"link\?code=(\S+)", mailbox.letters[0].get_content())[1]
    ada = Browser(posting)
    assert ada.post("/link", code=code).status_code == 303
    assert ada.post("/password", new="battery staple").status_code == 303
    assert Browser(posting).sign_in("ada@example.org", "battery staple").status_code == 303


def test_nobody_is_flooded_with_mail(posting, mailbox):
    Browser(posting).sign_up("ada")
    asked = [Browser(posting).post("/forgot", email="ada@example.org") for _ in range(5)]
    assert [a.status_code for a in asked] == [303] * 3 + [429] * 2
    assert "next one is possible at 2026-10-01 12:15:00 UTC" in text(asked[-1])


@pytest.mark.parametrize(
    "url, status, words",
    [
        ("smtp://127.0.0.1:1", 503, "127.0.0.1 does not take mail"),
        ("http://mail.example.org", 400, "expected smtps://"),
        (None, 400, "No mail server is configured"),
    ],
)
def test_a_mail_server_that_is_not_there_is_one_sentence(url, status, words):
    settings = Settings(smtp_url=url, mail_from="staff@example.org")
    with pytest.raises(Refusal, match=words) as caught:
        mail.send(settings, [mail.Letter("a@example.org", "A", "s", "t")])
    assert caught.value.status_code == status


def test_without_tls_nothing_leaves_this_machine(mailbox, monkeypatch):
    """To another machine STARTTLS is demanded; this server does not offer it."""
    monkeypatch.setattr(mail, "_LOOPBACK", ())
    settings = Settings(smtp_url=mailbox.url, mail_from="staff@example.org")
    with pytest.raises(Refusal, match="does not take mail"):
        mail.send(settings, [mail.Letter("a@example.org", "A", "s", "t")])
    assert not mailbox.letters
