"""Receipts in their folder: what is damaged is left out, the others are told in order."""

from __future__ import annotations

import base64
import json

import pytest
from fake import KEY
from mugrade.client import receipts


def text(payload) -> str:
    body = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
    return f"mgr1.{body}.AAAA"


@pytest.fixture
def folder(tmp_path):
    for name, content in {
        "hw0/new.txt": text({"at": "2026-10-02"}),
        "hw0/old.txt": text({"at": "2026-10-01"}),
        "hw1/other.txt": text({"at": "2026-10-03"}),
        "hw0/cut.txt": text({"at": "2026-10-02"})[:9] + "!.x",
        "hw0/empty.txt": "",
        "hw0/list.txt": text([1]),
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    (tmp_path / "hw0" / "binary.txt").write_bytes(b"\xff\xfe")
    (tmp_path / "hw0" / "folder.txt").mkdir()
    return tmp_path


def test_damaged_receipts_are_left_out_and_the_oldest_comes_first(folder):
    assert [path.name for path, _ in receipts.stored(folder)] == ["old.txt", "new.txt", "other.txt"]
    assert [path.name for path, _ in receipts.stored(folder, "hw1")] == ["other.txt"]
    for odd in ("/", "..", "hw*", "\udcff", ""):
        assert receipts.stored(folder, odd) == []


def test_a_word_that_is_no_text_is_one_sentence(mugrade, monkeypatch):
    monkeypatch.setenv("MUGRADE_KEY", KEY)
    monkeypatch.setenv("MUGRADE_DIALECT", "v1")
    done = mugrade("grades", "hw0\udcff")
    assert done.status == 2 and "is no text in UTF-8." in done.err


@pytest.mark.parametrize("given, words", [("mgr1.a", "form"), ("mgr1.!!.x", "cut or changed")])
def test_what_is_no_receipt_is_told(given, words):
    with pytest.raises(ValueError, match=words):
        receipts.unpack(given)


def test_a_payload_that_is_no_object_is_told():
    with pytest.raises(ValueError, match="no object"):
        receipts.unpack(text([1]))
