"""Every shell command that a text shows does what a reader expects of it, in a released tree.

Commands stand in ```bash and ```console blocks. A status of 2 means that a command was wrongly used;
0 and 1 are fine, for the tests of an unsolved homework fail. What cannot run here is listed with its
reason. Commands inside a sentence or a table are looked up: the verb, the problem, the target of make
and the file must exist in a release.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from coursekit.cli.app import app
from coursekit.core import syllabus
from coursekit.staff.release import without_staff
from mugrade.cli.app import app as grader

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(?:bash|console)\n(.*?)^```", re.S | re.M)
INLINE = re.compile(r"`hw(?: ([a-z][a-z-]*))?((?: [^` ]+)*)`")

# Run elsewhere in CI, or not to be run by a test; for each the reason.
ELSEWHERE = {
    "make demo": ".ci/run runs it",
    "make test": ".ci/run runs it",
    "make setup": "part of make test",
    "python3 course.py demo": ".ci/run runs it",
    "python3 course.py test": "what make test calls",
    "python3 course.py setup": "part of make test",
    ". .venv/bin/activate": "changes the reader's shell only",
    "hw data": "downloads; tested against a loopback server",
    "python train.py": "test_projects.py runs each project's short form, on a solved library",
    "hw bench hw4": "trains for minutes, on a finished homework",
    "python -m cProfile": "trains a finished homework",
    "pip install py-spy": "needs the network",
    "py-spy record": "a program that the note installs",
    "perf record": "a program of Linux that the note names",
    "perf report": "reads what perf record wrote",
    "valgrind": "a program that the note names",
    "callgrind_annotate": "comes with valgrind",
}
GIVEN = ("notes/*.md", "mugrade/docs/solo.md", "mugrade/docs/client.md", "release/AGENTS.md")
CODE = re.compile(r"`([^`\n]+)`")
PLACE = re.compile(r"(?:shared|hw\d|project|apps|tests|python)/[\w./-]+")


def texts():
    """What a reader is given: the front pages, the assignments, the example projects, the notes."""
    patterns = ("README.md", "hw*/README.md", "project/*.md", "project/*/*.md", "project/*/*/*.md")
    patterns += tuple(f"shared/{pattern}" for pattern in GIVEN)
    return sorted(path for pattern in patterns for path in ROOT.glob(pattern))


def commands():
    """(text, folder it runs in, command) for each line of each ```bash block.

    A block begins in the folder of its text; a `cd` in it holds to the end of the block.
    """
    for path in texts():
        for block in BLOCK.findall(path.read_text(encoding="utf-8")):
            folder = path.parent.relative_to(ROOT)
            for line in block.replace("\\\n", " ").splitlines():
                line = line.split("  #")[0].strip()
                if line and not line.startswith("#"):
                    yield path.relative_to(ROOT), folder, line
                if line.startswith("cd "):
                    folder /= line.removeprefix("cd ")


@pytest.mark.parametrize("text, folder, line", sorted(set(commands())), ids=str)
def test_command(text, folder, line, released):
    if any(line == c or line.startswith(c + " ") for c in ELSEWHERE):
        return
    staff = line.startswith(".venv/bin/hw ")
    place = (ROOT if staff else released) / folder
    if line.startswith("cd "):
        assert (place / line[3:]).is_dir(), f"{text}: `{line}`: no such folder"
        return
    if staff:  # on the real tree only commands that change nothing
        line = line.removeprefix(".venv/bin/") + " --help"
    paths = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    env = {
        **os.environ,
        "NEEDLE_CMAKE_ARGS": "-DNEEDLE_CUDA_BUILDS=emulated,checked",  # nvcc alone takes minutes
        "NO_COLOR": "1",
        "PATH": os.pathsep.join(paths),
        "PYTHONPATH": "" if staff else str(released / "shared"),
    }
    run = subprocess.run(
        ["bash", "-c", line],
        cwd=place,
        env=env,
        text=True,
        timeout=1800,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert run.returncode in (0, 1), f"{text}: `{line}` ended with {run.returncode}:\n{run.stdout}"
    if "test" not in line:
        assert "Traceback" not in run.stdout, f"{text}: `{line}` ends in a traceback:\n{run.stdout}"


def test_there_are_commands_to_check_and_ci_runs_the_two():
    assert len(set(commands())) > 10
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test" in ci and "make demo" in ci


@pytest.mark.parametrize("path", texts(), ids=lambda p: str(p.relative_to(ROOT)))
def test_what_a_sentence_tells_to_type_exists(path):
    course = syllabus.load(ROOT)
    verbs = {
        command.name or command.callback.__name__.replace("_", "-")
        for command in app.registered_commands
    }
    for verb, rest in INLINE.findall(path.read_text(encoding="utf-8")):
        assert not verb or verb in verbs, f"hw has no verb {verb}"
        for homework, problem in re.findall(r"\b(hw\d)(?:/(\w+))?", rest):
            known = {p.id for p in course.homework(homework).everything}
            place = (ROOT / homework / problem).exists()  # FILE:LINE does too
            assert not problem or place or f"{homework}/{problem}" in known, f"hw {verb}{rest}"


def make_targets(folder):
    makefile = folder / "Makefile"
    text = makefile.read_text(encoding="utf-8") if makefile.is_file() else ""
    return {name for row in re.findall(r"^([a-z][\w -]*):", text, re.M) for name in row.split()}


def dead_words(code, folder, released, problems):
    """What a piece of code in a sentence asks for and a release does not have.

    Args:
        folder: the text's, in the release.
        problems: ids, which look like paths.
    """
    words = code.split()
    found = []
    if words[0] == "make" and len(words) > 1 and re.fullmatch(r"[a-z][\w-]*", words[1]):
        targets = make_targets(released) | make_targets(folder)
        found += [code] if words[1] not in targets else []
    if words[0] == "mugrade" and len(words) > 1 and words[1][0] not in "-.":
        verbs = vars(typer.main.get_command(grader))["commands"]
        found += [code] if words[1] not in verbs else []
    for place in PLACE.findall(code):
        if place.rstrip("/") in problems or re.search(r"hwN|\.\.\.|[A-Z]{3}$", code):
            continue
        if not any((start / place).exists() for start in (folder, released, *released.glob("hw?"))):
            found += [place]
    return found


@pytest.mark.parametrize("path", texts(), ids=lambda p: str(p.relative_to(ROOT)))
def test_what_a_sentence_names_is_in_a_release(path, released):
    problems = {problem.id for problem in syllabus.load(ROOT).everything}
    front = path.name == "AGENTS.md"
    folder = released if front else released / path.parent.relative_to(ROOT)
    text = BLOCK.sub("", without_staff(path.read_text(encoding="utf-8")))
    text = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    dead = [
        word for code in CODE.findall(text) for word in dead_words(code, folder, released, problems)
    ]
    assert not dead, f"{path.relative_to(ROOT)} names what no release has"


def test_a_dead_word_is_noticed(released):
    look = lambda code: dead_words(code, released / "hw3", released, {"hw0/add"})
    assert look("make demo") and look("shared/checks/run.py") and look("mugrade nonsense")
    assert look("python apps/nothing.py")
    assert not look("make clean") and not look("hw0/add") and not look("mugrade login")
    assert not look("apps/train.py") and not look("tests/hw3")
