"""What the texts quote of the code's messages, the code says: each is brought about and searched for."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from coursekit.core import syllabus
from coursekit.staff import texts

ROOT = Path(__file__).resolve().parents[2]
COURSE = syllabus.load(ROOT)
MESSAGES = texts.messages(COURSE)
OPENING = """\
import sys
sys.path.append("python")
import numpy as np
import needle as ndl


def array(*shape):
    return ndl.backend_ndarray.array(np.ones(shape), device=ndl.cpu_numpy())


"""


def said(message, solved):
    """What the message's program prints when it ends in an error, inside its homework."""
    home = COURSE.homework(message.homework)
    place = (ROOT if message.stub else solved) / home.folder
    env = {**home.env, "NEEDLE_CUDA": "emulated", "PATH": ""}
    command = [sys.executable, "-c", OPENING + message.program]
    done = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True)
    assert done.returncode == 1, f"{message.says}: the program ended with {done.returncode}"
    return done.stderr


def pattern(words):
    """The quoted words as a regular expression in which `...` stands for anything."""
    return ".*".join(re.escape(part.strip()) for part in words.split("..."))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: f"{m.homework}: {m.says[:40]}")
def test_the_code_says_what_the_text_quotes(message, solved):
    assert re.search(pattern(message.says), said(message, solved))


@pytest.mark.parametrize("stage", COURSE.stages)
def test_every_message_of_a_table_is_rendered_from_the_one_place(stage):
    text = (COURSE.folder(stage) / "README.md").read_text(encoding="utf-8")
    tables = re.findall(r"^\| message \|.*\n\|[-|]+\n((?:\|.*\n)*)", text, re.M)
    quoted = [re.match(r"\| `([^`]+)` ", row)[1] for table in tables for row in table.splitlines()]
    assert quoted == [message.says for message in MESSAGES if message.homework == stage]


def test_a_message_that_the_code_does_not_say_is_noticed():
    assert re.search(pattern("on ... and"), "operands on cpu() and cuda()")
    assert not re.search(pattern("one is on cpu(), the other"), "operands are on cpu() and cuda()")
