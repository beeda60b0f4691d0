"""`hw card`: what was built, and what an autograder signed of it."""

from __future__ import annotations

import base64
import json
import xml.etree.ElementTree as ElementTree

import pytest
from coursekit.student import card as cards
from coursekit.student import picture, work
from nacl.signing import SigningKey
from PIL import Image

BOX0 = "hw0/python/minilib/box.py"


@pytest.fixture
def built(world, monkeypatch, tmp_path):
    """hw0/add written and passed, a training run in hw1, no receipt on the machine."""
    monkeypatch.setenv("MUGRADE_HOME", str(tmp_path / "grader"))
    world.hw("start", "hw0")
    world.solve(BOX0, "hw0/add", "total = self.value + other.value\n\nreturn Box(total)")
    course = world.course()
    work.run_tests(course, [course.problem("hw0/add")], ["-q"])
    world.write("hw1/checkpoints/tiny.json", '{"loss": [3, 2, 1.5], "epochs": []}')
    world.write("hw1/checkpoints/config.json", '{"size": "large"}')
    return world


def receipt(home, key, name="add", **more):
    """As the client keeps it of one attempt."""
    payload: dict[str, object] = {
        "type": "receipt",
        "course": "mini",
        "account": "u1",
        "assignment": "hw0",
    }
    payload |= {"problem": name, "correct": 2, "total": 2, "at": "2026-01-01T00:00", "key": "k1"}
    raw = json.dumps(payload | more).encode()
    parts = (
        base64.urlsafe_b64encode(p).decode().rstrip("=") for p in (raw, key.sign(raw).signature)
    )
    path = home / "receipts" / "hw0" / f"{name}-{more.get('at', 'a')}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(".".join(["mgr1", *parts]) + "\n")


@pytest.fixture
def grader(built, tmp_path):
    """The autograder's key, known to this machine's client, and where the client keeps things."""
    home, key = tmp_path / "grader", SigningKey.generate()
    public = base64.b64encode(bytes(key.verify_key)).decode()
    meta = home / "graders" / "localhost" / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"receipt_keys": [{"id": "k1", "public": public}]}))
    return home, key


def test_the_card_tells_problems_points_lines_and_curves(built):
    done = built.hw("card")
    assert done.returncode == 0 and done.stdout.isascii()
    rows = done.stdout.splitlines()
    assert rows[2].split() == ["hw0", "+.", "40", "of", "100"]
    assert rows[3].split() == ["hw1", ".", "0", "of", "100"]
    assert "1 of 3 problems, 40 of 200 points, 2 lines of code of my own" in rows
    assert "hw1 tiny:" in rows and "config" not in done.stdout
    assert rows[-1].startswith("not signed") and max(map(len, rows)) <= 80


def test_a_receipt_of_a_whole_attempt_signs_a_problem(built, grader):
    home, key = grader
    receipt(home, key, "scale", correct=1)
    assert built.hw("card").stdout.splitlines()[2].split()[1] == "+."
    receipt(home, key, "scale")
    receipt(home, SigningKey.generate(), "add")
    assert built.hw("card").stdout.splitlines()[2].split()[1] == "+#", "another's key signs nothing"
    receipt(home, key, "add", account="u2", at="2026-02-01")
    assert built.hw("card").stdout.splitlines()[2].split()[1] == "#.", "one account at a time"


@pytest.mark.parametrize("suffix", picture.SUFFIXES)
def test_each_kind_of_file_carries_its_receipts(built, grader, tmp_path, suffix):
    receipt(*grader)
    made = tmp_path / f"card{suffix}"
    assert f"written: {made}" in built.hw("card", "-o", str(made)).stdout
    content = made.read_bytes()
    found = cards.RECEIPT.search(content)
    assert found, "the receipt stands in the file as it is"
    behind = content[found.end() :]
    assert behind[:1] == b"\n", "behind it a PNG has a checksum, which may look like letters"
    done = built.hw("card", "--check", str(made))
    assert done.returncode == 0 and done.stdout.startswith("genuine: hw0/add, 2 of 2 cases")
    spoilt = content.replace(b"mgr1.ey", b"mgr1.eX")
    made.write_bytes(spoilt)
    done = built.hw("card", "--check", str(made))
    assert done.returncode == 1 and done.stdout.startswith("NOT GENUINE")


def test_the_pictures_are_pictures(built, tmp_path):
    for name in ("card.svg", "card.png"):
        built.hw("card", "-o", str(tmp_path / name))
    said = "".join(ElementTree.parse(tmp_path / "card.svg").getroot().itertext())
    assert "40 of 100" in said and "hw1 tiny: loss 1.5" in said
    with Image.open(tmp_path / "card.png") as drawn:
        assert drawn.width > 1000


def test_what_cannot_be_written_or_checked_is_one_sentence(built, tmp_path):
    (tmp_path / "empty.svg").write_text("<svg/>")
    for words in (
        ("-o", "card.gif"),
        ("-o", "nowhere/card.txt"),
        ("--check", str(tmp_path / "empty.svg")),
        ("--check", "nowhere.svg"),
    ):
        done = built.hw("card", *words)
        assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1
