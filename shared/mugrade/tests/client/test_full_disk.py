"""Where nothing can be written: the attempt goes out all the same, and each loss is a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOM = "make room, or set MUGRADE_HOME"


@pytest.fixture
def full(published_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's folder takes nothing any more, as one whose quota is used up."""

    def no_room(*unused: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mugrade.client.settings.tempfile.mkstemp", no_room)


@pytest.fixture
def published_home(homework, grader, own_home) -> Path:
    grader.publish()
    return own_home


def said(done) -> str:
    return " ".join((done.out + done.err).split())


def test_an_attempt_is_sent_without_a_copy_here(full, grader, mugrade):
    done = mugrade("submit", "hw0", "norm")
    assert done.status == 0, done.err
    assert len(grader.attempts) == 1
    assert "sent without a copy" in said(done) and ROOM in said(done)


def test_an_attempt_counts_though_its_receipt_cannot_be_stored(full, grader, mugrade, monkeypatch):
    graded = grader.graded
    monkeypatch.setattr(grader, "graded", lambda *a: graded(*a) | {"receipt": "mgr1.a.b"})
    done = mugrade("submit", "hw0", "norm")
    assert done.status == 0 and "The attempt counts, but its receipt" in said(done)


def test_what_is_neither_sent_nor_kept_is_said_to_be_lost(full, grader, mugrade, own_home):
    grader.faults["attempts"] = [500] * 4
    done = mugrade("submit", "hw0", "norm")
    assert done.status == 4
    assert "Not sent and not kept" in said(done) and "nothing is lost" not in said(done)


def test_a_key_that_cannot_be_stored_is_one_sentence(full, grader, mugrade):
    done = mugrade("login", "--key", "mug_test_0123456789")
    assert done.status == 2 and ROOM in said(done)


def test_files_that_cannot_be_written_are_one_sentence(published_home, mugrade, tmp_path, grader):
    nowhere = str(tmp_path / "no" / "file")
    done = mugrade("submit", "hw0", "norm", "--report", nowhere)
    assert done.status == 2 and "counts all the same" in said(done)
    assert len(grader.attempts) == 1


def test_a_home_that_is_no_folder_is_one_sentence(published_home, mugrade, monkeypatch):
    monkeypatch.setenv("MUGRADE_HOME", "/dev/null/mugrade")
    assert mugrade("whoami").status == 0
    done = mugrade("login", "--key", "mug_test_0123456789")
    assert done.status == 2 and "cannot be written" in said(done)
    assert mugrade("submit", "hw0", "norm").status == 0


def test_a_result_that_was_cut_off_costs_its_hook_alone(published_home, mugrade, monkeypatch):
    from mugrade.client import run

    start = run._start

    def cut(command, folder, environment):
        done = start(command, folder, environment)
        out = Path(json.loads(Path(environment["MUGRADE_RUN"]).read_text())["out"])
        if "norm" in out.read_text().splitlines()[-1]:
            out.write_text(out.read_text()[:-40])  # /tmp was full
        return done

    monkeypatch.setattr(run, "_start", cut)
    done = mugrade("submit", "hw0")
    assert done.status == 1 and "norm     ERR" in done.out and "double   ok" in done.out


@pytest.mark.parametrize("content", [b"\xd0\xff", b"mgr1." + b"W1tb" * 4000 + b".x", b"\0"])
def test_what_is_no_receipt_at_all_is_one_sentence(homework, mugrade, tmp_path, content):
    file = tmp_path / "receipt.txt"
    file.write_bytes(content)
    done = mugrade("verify", str(file))
    assert done.status in (1, 2) and "receipt" in said(done)
    assert mugrade("verify", "a\0b").status == 2
