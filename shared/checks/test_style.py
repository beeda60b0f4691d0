"""Habits that no tool looks after: one English spelling, and lines of prose that fit on a screen."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RENDERED = re.compile(
    r"(hw[0-4]|project/labs/\w+)/(?!tests/)|\.ci/requirements\.lock|.*\.(ipynb|gz|png|svg|npz)$"
)
STEMS = [
    "initial",
    "memor",
    "minim",
    "normal",
    "optim",
    "organ",
    "parametr",
    "quant",
    "recogn",
    "serial",
]
BRITISH = re.compile(rf"(?i:\b\w*({'|'.join(STEMS)})is(e|ing|ation|able))")
WIDTH = 120
FENCE = re.compile(r"^(```|\$\$\n).*?^(```|\$\$)", re.S | re.M)
# What a line cannot be broken inside of: a link, code, mathematics, a word.
UNBREAKABLE = re.compile(r"(?:!?\[[^\]]*\]\([^)]*\)|`[^`]+`|\$\$[^$]+\$\$|\$[^$]+\$|\S)+")


def hand_written(*patterns):
    """Tracked files that people write, by Git's patterns."""
    command = ["git", "ls-files", "-z", *patterns]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    files = [ROOT / name for name in names.split("\0") if name and not RENDERED.match(name)]
    return [path for path in files if path.is_file()]


def british(text):
    """Words of the text whose ending the house writes with a z."""
    return [found[0] for found in BRITISH.finditer(text)]


def too_long(text):
    """Numbers of the lines of prose that are too long and could be broken."""
    prose = FENCE.sub(lambda found: "\n" * found[0].count("\n"), text)
    return [
        number
        for number, line in enumerate(prose.splitlines(), 1)
        if len(line) > WIDTH
        and not line.lstrip().startswith("|")
        and len(UNBREAKABLE.findall(line)) > 1
    ]


def test_words_of_the_optimizer_kind_are_spelled_with_z():
    found = {}
    for path in hand_written():
        try:
            words = british(path.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            continue
        if words:
            found[str(path.relative_to(ROOT))] = words
    assert not found


@pytest.mark.parametrize("path", hand_written("*.md"), ids=lambda p: str(p.relative_to(ROOT)))
def test_lines_of_prose_have_at_most_120_characters(path):
    assert not too_long(path.read_text(encoding="utf-8")), "break these lines; words stay"


def test_no_test_file_is_longer_than_600_lines():
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in hand_written("*test_*.py")
    }
    assert lines and not {name: count for name, count in lines.items() if count > 600}


def test_homeworks_test_files_have_names_of_their_own():
    names = [path.name for path in hand_written("hw?/tests/*.py") if path.name != "conftest.py"]
    assert len(names) == len(set(names)) > 10 and "__init__.py" not in names


@pytest.mark.parametrize("stem", STEMS)
def test_the_spelling_check_bites(stem):
    bad = f"{stem}is"
    assert british(f"it was {bad}ed, re-{bad}ing, Un{bad}ation") == [
        f"{bad}e",
        f"{bad}ing",
        f"Un{bad}ation",
    ]
    assert not british(f"{stem}ize, {stem}ization, {bad}m, {bad}tic, de {bad}")


def test_the_width_check_bites():
    word, code = "word " * 30, f"`{'x' * 130}`"
    assert too_long(f"short\n{word}\n- {word}") == [2, 3]
    assert too_long(f"```\n{word}\n```\n\n{word}") == [5]
    assert not too_long(f"| {word} |\n{code}\n![{word}](figure.svg)")
