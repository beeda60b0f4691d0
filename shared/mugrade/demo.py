#!/usr/bin/env python3
"""Show the grader at work: a server, a course, a student's wrong and right submission, the grades.

    python demo.py                                       with a small homework of its own
    python demo.py --solved DIR --wrong DIR [--assignment hw0] [--course FILE] [-k EXPR]

DIR is a homework's tree with submission hooks in its tests: `--solved` is what staff publish and
what the student has in the end, `--wrong` what the student hands in first. Everything happens in a
temporary folder and on a free port of this machine; nothing of yours is read or changed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import requests

HERE = Path(__file__).resolve().parent
WORK = """\
import numpy as np


def softmax(x):
    x = np.exp(x - x.max(axis=1, keepdims=True))
    return x / x.sum(axis=1, keepdims=True)
"""
HOOKS = """\
import sys

sys.path.append(".")
import work


def submit_softmax():
    import mugrade

    for rows in (1, 4):
        x = mugrade.rng().randn(rows, 3)
        mugrade.submit(work.softmax(x), label=f"{rows} rows")
    mugrade.submit(work.softmax(1000 * mugrade.rng().randn(2, 3)), label="large numbers")
"""
COURSE = """\
[course]
id = "demo"
title = "Demonstration"
code = "demo-course"

[[assignment]]
id = "{assignment}"
due_at = 2099-12-31T23:59:00Z
"""
RUBRIC_AND_STAFF = """
[[rubric]]
id = "project"
title = "The whole project"
points = 100

[[person]]
email = "staff@demo.example"
name = "Grace Hopper"
role = "instructor"
"""


def say(text: str) -> None:
    print(f"\n--- {text}", flush=True)


class Person:
    """Somebody at a terminal of their own (own MUGRADE_HOME) and, after `sign_up`, in a browser."""

    def __init__(self, name: str, home: Path, server: str, key: str | None = None) -> None:
        self.name, self.email = name, name.split()[0].lower() + "@demo.example"
        self.server = server
        self.environment = {
            **os.environ,
            "MUGRADE_HOME": str(home / name.split()[0]),
            "MUGRADE_KEYRING": "off",
            "MUGRADE_SERVER": server,
            "PYTHONPATH": python_path(),
        }
        self.environment.pop("MUGRADE_KEY", None)
        self.key = key
        if key:
            self.environment["MUGRADE_KEY"] = key
        self.browser = requests.Session()
        self.browser.headers["Origin"] = server.rstrip("/")

    def run(self, *words: str, folder: Path | None = None, expect: tuple[int, ...] = (0,)) -> None:
        """Run `mugrade words...`, shown with its output.

        Raises:
            SystemExit: another exit status than expected.
        """
        print(f"$ mugrade {shlex.join(words)}", flush=True)
        command = [sys.executable, "-m", "mugrade", *words]
        status = subprocess.run(command, cwd=folder, env=self.environment, check=False).returncode
        if status not in expect:
            raise SystemExit(f"demo: that ended with status {status}; expected {expect}.")

    def sign_up(self, code: str) -> None:
        form = {
            "code": code,
            "email": self.email,
            "name": self.name,
            "password": "a short sentence",
        }
        self.post("signup", **form)

    def post(self, path: str, **form: str) -> str:
        answer = self.browser.post(self.server + path, data=form, timeout=30)
        answer.raise_for_status()
        return answer.text

    def log_in(self) -> None:
        """`mugrade login`; the code is confirmed in the browser as soon as it is shown."""
        print("$ mugrade login", flush=True)
        command = [sys.executable, "-m", "mugrade", "login"]
        with subprocess.Popen(
            command, env=self.environment, stderr=subprocess.PIPE, text=True
        ) as login:
            for line in login.stderr:
                print(line, end="", flush=True)
                code = re.search(r"code ([A-Z]{4}-[A-Z]{4})", line)
                if code:
                    self.post("device", code=code.group(1), answer="allow")
                    print("(confirmed in the browser)", flush=True)
        if login.returncode:
            raise SystemExit("demo: the login failed.")


def python_path() -> str:
    """Where this package is, for a checkout that is not installed."""
    own = [str(HERE / "src")] if (HERE / "src" / "mugrade").is_dir() else []
    return os.pathsep.join([*own, *filter(None, [os.environ.get("PYTHONPATH")])])


@contextlib.contextmanager
def server(data: Path, course: Path) -> Iterator[dict[str, str]]:
    """`mugrade serve` on a free port; yields what it tells at its start."""
    environment = {**os.environ, "PYTHONPATH": python_path()}
    for name in ("MUGRADE_DATABASE_URL", "MUGRADE_WEB", "MUGRADE_SOLO"):
        environment.pop(name, None)
    command = [
        sys.executable,
        "-m",
        "mugrade",
        "serve",
        "--port",
        "0",
        "--data",
        str(data),
        "--course",
        str(course),
        "--json",
    ]
    log = data.parent / "server.log"
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    try:
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"demo: the server did not start:\n{log.read_text('utf-8')[-2000:]}")
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield json.loads(line)
    finally:
        process.terminate()
        process.wait(30)


def key_for(email: str, data: Path, course: Path) -> str:
    """Make the course and a staff key, as `mugrade init --token` does."""
    command = [
        sys.executable,
        "-m",
        "mugrade",
        "init",
        str(course),
        "--data",
        str(data),
        "--token",
        email,
        "--json",
    ]
    environment = {**os.environ, "PYTHONPATH": python_path()}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit("demo: the course could not be made; the reason stands above.")
    made = json.loads(done.stdout)
    print(f"course {made['course']}: {made['title']}; sign-up code {made['code']}")
    return made["key"]


def own_homework(folder: Path) -> tuple[Path, Path]:
    """The demo's small homework: solved, and with a wrong sum."""
    trees = folder / "solved", folder / "wrong"
    for tree, work in zip(trees, (WORK, WORK.replace("sum(axis=1", "sum(axis=0"))):
        (tree / "tests").mkdir(parents=True)
        (tree / "work.py").write_text(work, encoding="utf-8")
        (tree / "tests" / "test_work.py").write_text(HOOKS, encoding="utf-8")
    return trees


def do_project(students: list[Person], staff: Person) -> None:
    """A group of two proposes and hands in; staff accept and grade."""
    one, two = students
    one.post("project/form")
    one.post("project/invite", email=two.email)
    group = re.search(
        r"/project/answer/(\w+)", two.browser.get(one.server + "project", timeout=30).text
    )
    two.post(f"project/answer/{group.group(1)}", answer="accept")
    one.post(
        "project/propose", title="Sparse matrices", text="A product that skips zeros, measured."
    )
    call = {"headers": {"Authorization": f"Bearer {staff.key}"}, "timeout": 30}
    projects = f"{one.server}api/v1/projects/{group.group(1)}"
    requests.post(
        f"{projects}/decision", json={"accept": True, "feedback": "Go ahead."}, **call
    ).raise_for_status()
    one.post("project/hand-in", report="https://example.org/sparse")
    marks = {"marks": {"project": "90"}, "feedback": "Well measured."}
    graded = requests.put(f"{projects}/grade", json=marks, **call)
    graded.raise_for_status()
    print(f"{graded.json()['title']}: {graded.json()['grade']} points")


def show_certificate(student: Person) -> None:
    """Issue it, and verify it as a stranger would."""
    headers = {"Authorization": f"Bearer {key_of(student)}"}
    answer = requests.post(f"{student.server}api/v1/me/certificate", headers=headers, timeout=30)
    if answer.status_code == 403:
        print(f"Not earned: {answer.json()['detail']}")
        return
    address = answer.json()["verify"]
    found = requests.get(
        address.replace("/certificates/", "/api/v1/certificates/"), timeout=30
    ).json()
    if not found["valid"]:
        raise SystemExit(f"demo: {address} does not know the certificate it issued.")
    print(
        f"{found['name']} has completed {found['course']!r} with an average of {answer.json()['average']}%."
    )
    print(f"verified without sign-in at {address}: genuine")


def key_of(student: Person) -> str:
    stored = Path(student.environment["MUGRADE_HOME"], "keys.json").read_text(encoding="utf-8")
    return json.loads(stored)[student.server]


def play(given: argparse.Namespace, scratch: Path) -> None:
    name = given.assignment
    solved, wrong = (given.solved, given.wrong) if given.solved else own_homework(scratch / "trees")
    course = scratch / "course.toml"
    text = (
        given.course.read_text(encoding="utf-8") if given.course else COURSE.format(assignment=name)
    )
    course.write_text(text + RUBRIC_AND_STAFF, encoding="utf-8")
    chosen = ["-k", given.select] if given.select else []

    say("staff make the course and start the grader")
    key = key_for("staff@demo.example", scratch / "data", course)
    with server(scratch / "data", course) as started:
        print(f"grader at {started['address']}")
        staff = Person("Grace Hopper", scratch, started["address"], key)
        ada, alan = (
            Person(who, scratch, started["address"]) for who in ("Ada Lovelace", "Alan Turing")
        )
        say("staff publish the answers")
        count = ["--variants", str(given.variants)] if given.variants else []
        staff.run("publish", name, *chosen, *count, "--note", "first", folder=solved)
        say("a student signs up in the browser and logs in from the terminal")
        for student in (ada, alan):
            student.sign_up(started["code"])
        ada.log_in()
        if wrong:
            say("a first attempt, with a mistake")
            ada.run("submit", name, *chosen, folder=wrong, expect=(1,))
        say("the mistake is mended")
        ada.run("submit", name, *chosen, folder=solved)
        ada.run("status", name)
        ada.run("verify")
        say("the final project")
        do_project([ada, alan], staff)
        say("the gradebook")
        staff.run("grades")
        say("the certificate")
        show_certificate(ada)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--solved", type=Path, help="solved tree with submission hooks")
    parser.add_argument("--wrong", type=Path, help="tree that the student hands in first")
    parser.add_argument("--assignment", default="hw0")
    parser.add_argument("--course", type=Path, help="course file without people and rubric")
    parser.add_argument("--variants", type=int, help="default: what the course file says")
    parser.add_argument("-k", dest="select", metavar="EXPR", help="choose hooks as pytest does")
    given = parser.parse_args()
    for tree in (given.solved, given.wrong):
        if tree is not None and not (tree / "tests").is_dir():
            parser.error(f"{tree} has no folder tests; give a homework's tree")
    scratch = Path(tempfile.mkdtemp(prefix="mugrade-demo-"))
    try:
        play(given, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print("\nThe demo is over; its server and its folder are gone.")


if __name__ == "__main__":
    main()
