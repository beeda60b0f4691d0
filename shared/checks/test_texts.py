"""The texts hold: internal links resolve, words are spelled, and nothing of a machine stands in them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from coursekit.core import syllabus

ROOT = Path(__file__).resolve().parents[2]
COURSE = syllabus.load(ROOT)
TEXTS = sorted(
    p
    for pattern in ("*.md", "hw*/*.md", "project/**/*.md", "shared/**/*.md")
    for p in ROOT.glob(pattern)
    if not {"node_modules", "build", ".venv"} & set(p.parts)
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"```.*?```", re.S)


def prose(path):
    """The text without its code blocks."""
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def anchors(path):
    """The anchors that a Markdown viewer makes of the headings."""
    heads = re.findall(r"^#+\s+(.*?)\s*$", prose(path), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in heads}


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_internal_links_resolve(path):
    # The source of an assignment text is read where it is rendered to.
    texts = ROOT / "shared" / "reference" / "texts"
    rendered = path.parent == texts and path.stem in COURSE.stages
    base = COURSE.folder(path.stem) if rendered else path.parent
    for target in LINK.findall(prose(path)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        there = (base / name).resolve() if name else path
        assert there.exists(), f"{path.relative_to(ROOT)} links to {target}, which does not exist"
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there), f"{path.relative_to(ROOT)}: no heading for {target}"


def test_words_are_spelled():
    # What it accepts stands in pyproject.toml.
    run = subprocess.run(
        [sys.executable, "-m", "codespell_lib", *map(str, TEXTS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_figures_are_what_their_scripts_draw_and_say_so_in_words(solved, tmp_path):
    reference = ROOT / "shared" / "reference"
    copy = shutil.copytree(reference / "figures", tmp_path / "shared" / "reference" / "figures")
    for script in copy.glob("*.py"):
        subprocess.run([sys.executable, str(script), str(solved / "hw1")], check=True)
    drawn = sorted(copy.glob("*.svg"))
    assert drawn
    for figure in drawn:
        assert figure.read_text() == (reference / "figures" / figure.name).read_text(), figure.name
    for path in TEXTS:
        for alternative in re.findall(r"!\[([^\]]*)\]\(", prose(path)):
            assert len(alternative.split()) > 3, f"{path}: a figure without words for it"


def test_links_and_anchors_are_really_checked(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One title, two\n[a](missing.md) [b](#nowhere)\n```\n[c](in-code.md)\n```\n")
    assert LINK.findall(prose(page)) == ["missing.md", "#nowhere"]
    assert anchors(page) == {"one-title-two"}


SOURCES = (
    "shared/reference",
    "shared/kernels",
    "shared/cuda_emulator",
    "shared/course_testing",
    "shared/cluster",
)
CODE = {".py", ".cc", ".cu", ".h", ".cpp"}
# CamelCase and snake_case: a word of English is neither.
NAME = re.compile(r"\b(?:(?:[A-Z][a-z0-9]+){2,}|[a-z][a-z0-9]*(?:_[a-z0-9]+)+)\b")


@pytest.fixture(scope="module")
def names_in_code():
    files = [p for folder in SOURCES for p in (ROOT / folder).rglob("*") if p.suffix in CODE]
    files += [p for h in COURSE.homeworks for p in (ROOT / h.folder / "tests").rglob("*.py")]
    return {name for p in files for name in re.findall(r"\w+", p.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("problem", COURSE.everything, ids=lambda p: p.id)
def test_hints_name_what_the_code_has(problem, names_in_code):
    named = {name for hint in problem.hints for name in NAME.findall(hint)}
    assert not named - names_in_code, "the code was renamed; the hint was not"


# One letter before or behind the line is mathematics: x_i.
FUNCTION = re.compile(r"\b[a-z]{2,}[a-z0-9]*(?:_[a-z0-9]{2,})+\b")


@pytest.mark.parametrize("stage", syllabus.load(ROOT).stages)
def test_an_assignment_names_what_its_code_has(stage, names_in_code):
    homework = syllabus.load(ROOT).folder(stage)
    text = prose(homework / "README.md")
    named = {name for code in re.findall(r"`([^`\n]+)`", text) for name in FUNCTION.findall(code)}
    places = [ROOT / "shared" / "problems", ROOT / "shared" / "coursekit", homework / "tests"]
    files = [p for place in places for p in place.rglob("*") if p.suffix in (".py", ".toml")]
    said = "\n".join(path.read_text(encoding="utf-8") for path in [*files, ROOT / "course.toml"])
    said += " ".join(path.stem for path in files)
    gone = {name for name in named - names_in_code if name not in said}
    assert not gone, "the code was renamed; the text was not"
