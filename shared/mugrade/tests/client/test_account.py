"""Keys and accounts."""

from __future__ import annotations

import os
import stat

import pytest
from fake import KEY
from mugrade.client.keys import is_placeholder
from mugrade.client.settings import Folders, checked_url


@pytest.mark.parametrize(
    "text",
    [
        "YOUR_GRADER_KEY_HERE",
        "YOUR_KEY_HERE",
        "<your key>",
        "your-api-key",
        "MUGRADE_KEY",
        "xxxxxxxx",
        "KEY",
    ],
)
def test_the_notebooks_placeholder_is_refused_with_the_address_of_the_real_key(
    homework, grader, mugrade, text
):
    assert is_placeholder(text)
    done = mugrade("submit", text, "hw0", "-k", "norm")
    assert done.status == 3
    assert f"{grader.url}keys" in done.err
    assert not grader.paths("attempts")


@pytest.mark.parametrize("text", ["mug_3kk2jdhfs8", "keyZ93hfKs9", "aBcDeFgHiJkL", "donkey42"])
def test_real_keys_are_no_placeholders(text):
    assert not is_placeholder(text)


def test_no_key_says_how_to_get_one(homework, grader, mugrade, monkeypatch):
    monkeypatch.delenv("MUGRADE_KEY")
    done = mugrade("submit", "hw0")
    assert done.status == 3 and "mugrade login" in done.err


def test_login_with_a_key_stores_it_privately_and_logout_forgets_it(
    grader, mugrade, monkeypatch, own_home
):
    monkeypatch.delenv("MUGRADE_KEY")
    done = mugrade("login", "--server", grader.url, "--key", KEY)
    assert done.status == 0 and "Ada" in done.out and KEY not in done.out
    assert stat.S_IMODE(os.stat(own_home / "keys.json").st_mode) == 0o600
    monkeypatch.delenv("MUGRADE_SERVER")
    assert "Ada" in mugrade("whoami").out
    assert mugrade("logout").status == 0
    assert KEY not in (own_home / "keys.json").read_text()
    assert mugrade("whoami", "--server", grader.url).status == 3


def test_a_key_file_that_others_can_read_is_closed(grader, mugrade, monkeypatch, own_home):
    monkeypatch.delenv("MUGRADE_KEY")
    mugrade("login", "--key", KEY)
    (own_home / "keys.json").chmod(0o644)
    assert "readable by others" in mugrade("whoami").err
    assert stat.S_IMODE(os.stat(own_home / "keys.json").st_mode) == 0o600


def test_device_login_waits_for_the_browser(grader, mugrade, monkeypatch):
    monkeypatch.delenv("MUGRADE_KEY")
    monkeypatch.setattr("mugrade.cli.app.time.sleep", lambda seconds: None)
    begun = {
        "device_code": "d",
        "user_code": "ABCD-EFGH",
        "verification_uri": grader.url + "device",
        "interval": 1,
        "expires_in": 60,
    }
    grader.faults["device/code"] = [(200, {}, begun)]
    grader.faults["device/token"] = [
        (400, {}, {"code": "authorization_pending", "detail": "Not yet."}),
        (400, {}, {"code": "slow_down", "detail": "Slower."}),
        (200, {}, {"token": KEY}),
    ]
    done = mugrade("login")
    assert done.status == 0, done.err
    assert "ABCD-EFGH" in done.err and "Ada" in done.out


def test_a_refused_device_code_is_an_authentication_failure(grader, mugrade, monkeypatch):
    monkeypatch.setattr("mugrade.cli.app.time.sleep", lambda seconds: None)
    grader.faults["device/code"] = [
        (200, {}, {"device_code": "d", "user_code": "A", "verification_uri": "x", "interval": 1})
    ]
    grader.faults["device/token"] = [(400, {}, {"code": "access_denied", "detail": "No."})]
    assert mugrade("login").status == 3


def test_a_broken_keyring_falls_back_to_the_file(grader, mugrade, monkeypatch, own_home):
    class Broken:
        def get_password(self, *unused):
            raise RuntimeError("locked")

        set_password = delete_password = get_password

    monkeypatch.delenv("MUGRADE_KEY")
    monkeypatch.setattr("mugrade.client.keys._keyring", Broken)
    assert mugrade("login", "--key", KEY).status == 0
    assert mugrade("whoami").status == 0


@pytest.mark.parametrize(
    "url", ["grader.example.org", "ftp://x/", "https://me:pw@x/", "https://x/?key=1", "http://x/"]
)
def test_addresses_that_cannot_be_right_are_refused(url):
    from mugrade.client.errors import UsageFault

    with pytest.raises(UsageFault):
        checked_url(url)


@pytest.mark.parametrize(
    "url", ["http://localhost:1/", "http://127.0.0.1/", "http://[::1]:8/", "https://x/a"]
)
def test_loopback_may_be_plain(url):
    assert checked_url(url).endswith("/")


def test_nothing_is_created_by_looking(own_home):
    Folders.of_user()
    assert not own_home.exists()


def test_usage_errors_have_status_two_and_name_the_help(mugrade):
    done = mugrade("submit", "hw0", "--server")
    assert done.status == 2 and "--help" in done.err
    assert mugrade("no-such-command").status == 2


def test_a_netrc_cannot_replace_the_key(grader, mugrade, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert mugrade("whoami").status == 0
