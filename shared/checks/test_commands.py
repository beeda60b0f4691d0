"""Every shell command that a text shows does what a reader expects of it, in a released tree.

Commands stand in ```bash blocks. A status of 2 means that a command was wrongly used; 0 and 1 are
fine, for the tests of an unsolved homework fail. What cannot run here is listed with its reason.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from coursekit import syllabus

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```bash\n(.*?)^```", re.S | re.M)

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
}


def commands():
    """(text, folder it runs in, command) for each line of each ```bash block.

    A block begins in the folder of its text; a `cd` in it holds to the end of the block.
    """
    texts = [ROOT / "README.md", ROOT / "project" / "README.md"]
    texts += sorted(ROOT.glob("hw*/README.md"))
    for path in texts:
        if not path.is_file():
            continue
        for block in BLOCK.findall(path.read_text(encoding="utf-8")):
            folder = path.parent.relative_to(ROOT)
            for line in block.replace("\\\n", " ").splitlines():
                line = line.split("  #")[0].strip()
                if line and not line.startswith("#"):
                    yield path.relative_to(ROOT), folder, line
                if line.startswith("cd "):
                    folder /= line.removeprefix("cd ")


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A students' tree, as `hw release` writes it."""
    place = tmp_path_factory.mktemp("release") / "course"
    subprocess.run([sys.executable, "-m", "coursekit", "release", str(place)], cwd=ROOT, check=True)
    return place


@pytest.mark.parametrize("text, folder, line", sorted(set(commands())), ids=lambda v: str(v))
def test_command(text, folder, line, released):
    if any(line == c or line.startswith(c + " ") for c in ELSEWHERE):
        return
    staff = line.startswith(".venv/bin/hw ")
    words = shlex.split(line.replace(".venv/bin/", ""))
    place = (ROOT if staff else released) / folder
    env = {**os.environ, "NEEDLE_CACHE": str(released.parent / "cache"), "NO_COLOR": "1"}
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        name, _, value = words.pop(0).partition("=")
        env[name] = value
    if words[0] == "cd":
        assert (place / words[1]).is_dir(), f"{text}: `{line}`: no such folder"
        return
    if staff:  # on the real tree only commands that change nothing
        words.append("--help")
    run = run_words(words, place, env, released)
    assert run.returncode in (0, 1), f"{text}: `{line}` ended with {run.returncode}:\n{run.stdout}"
    assert "Traceback (most recent call last)" not in run.stdout.split("short test summary")[0] or (
        "pytest" in line or "test" in words
    ), f"{text}: `{line}` ends in a traceback:\n{run.stdout}"


def run_words(words, place, env, released):
    """Run a command of a text with this Python, in `place`."""
    python = {"python", "python3"}
    modules = {"hw": "coursekit", "mugrade": "mugrade", "pytest": "pytest"}
    if words[0] in modules:
        words = [sys.executable, "-m", modules[words[0]], *words[1:]]
    elif words[0] in python:
        words = [sys.executable, *words[1:]]
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", "")])
    env["PYTHONPATH"] = str(released / "shared") if place.is_relative_to(released) else ""
    return subprocess.run(
        words, cwd=place, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL, timeout=600,
    )  # fmt: skip


def test_there_are_commands_to_check_and_ci_runs_the_two():
    assert len(set(commands())) > 10
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test" in ci and "make demo" in ci


def test_verbs_that_texts_name_exist():
    known = {h.id for h in syllabus.load(ROOT).homeworks}
    for _, _, line in commands():
        for homework in re.findall(r"\bhw\d\b", line):
            assert homework in known, line
