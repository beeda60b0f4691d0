"""The sealed answers fit the solved homeworks, the whole way that somebody alone goes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import pytest
from coursekit.core import run, syllabus

COURSE = syllabus.load()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """`mugrade serve --solo` in the course's folder; the environment of a learner with a key."""
    data = tmp_path_factory.mktemp("solo")
    command = [sys.executable, "-m", "mugrade"]
    serve = [*command, "serve", "--solo", "--data", str(data), "--port", "0", "--json"]
    with subprocess.Popen(serve, cwd=COURSE.root, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = json.loads(server.stdout.readline())["address"]
            threading.Thread(target=server.stdout.read, daemon=True).start()
            key = subprocess.check_output(
                [*command, "token", "you@localhost", "--data", str(data)], text=True
            )
            yield {"MUGRADE_SERVER": address, "MUGRADE_KEY": key.strip(), "MUGRADE_HOME": str(data)}
        finally:
            server.terminate()


@pytest.mark.parametrize("stage", COURSE.stages)
def test_every_hook_of_the_solved_homework_is_right(solved, alone, stage):
    homework = COURSE.homework(stage)
    done = subprocess.run(
        [sys.executable, "-m", "mugrade", "submit", stage, "--json"],
        cwd=solved / stage,
        env={**os.environ, **run.environment(COURSE, homework), **alone},
        capture_output=True,
        text=True,
    )
    report = json.loads(done.stdout)
    wrong = [
        (row["problem"], row["word"], row["message"], row["failures"])
        for row in report["rows"]
        if row["word"] != "ok"
    ]
    assert not wrong, "mend the hook or the reference, or seal anew with `hw answers`"
    assert {row["problem"] for row in report["rows"]} == {p.hook for p in homework.problems}
    assert float(report["score"]) == float(report["points"]) == homework.points
