"""Every Python snippet of the companion notes runs inside a release: one process a note."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from coursekit.core import syllabus

ROOT = Path(__file__).resolve().parents[2]
NOTES = sorted((ROOT / "shared" / "notes").glob("*.md"))
LECTURES = sorted((ROOT / "shared" / "notes" / "lectures").glob("[0-9]*.md"))
SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
TOPICS = {  # what the homeworks lean on, one note each
    "attention",
    "automatic-differentiation",
    "cache-blocking-and-vectors",
    "convolution",
    "from-train-to-kernel",
    "gpu-model",
    "initialization",
    "normalization-and-dropout",
    "optimizers",
    "profiling",
    "recurrent-nets",
    "softmax-and-its-gradient",
    "strides-and-views",
}


def test_every_topic_has_its_note():
    assert not TOPICS - {note.stem for note in NOTES}


def test_every_problem_belongs_to_a_lecture():
    course = syllabus.load(ROOT)
    an_id = re.compile(rf"`((?:{'|'.join(course.stages)})/\w+)`")
    named = {found for page in LECTURES for found in an_id.findall(page.read_text("utf-8"))}
    problems, extras_too = ({p.id for p in found} for found in (course.problems, course.everything))
    assert problems <= named <= extras_too


def test_the_lectures_are_numbered_without_a_gap_and_listed():
    assert [int(page.name[:2]) for page in LECTURES] == list(range(1, 28))
    index = (LECTURES[0].parent / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\((\d\d-[\w-]+\.md)\)", index) == [page.name for page in LECTURES]


@pytest.mark.parametrize("note", [n for n in NOTES if n.stem in TOPICS], ids=lambda note: note.stem)
def test_the_snippets_of_a_note_run(note, released, tmp_path):
    place = released / note.relative_to(ROOT)
    snippets = SNIPPET.findall(place.read_text(encoding="utf-8"))
    assert snippets, f"{note.name} has no runnable snippet"
    program = tmp_path / f"{note.stem.replace('-', '_')}.py"
    program.write_text("\n".join(snippets), encoding="utf-8")
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(program)], cwd=place.parent, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{note.name}:\n{done.stderr}"
