"""The sealed answers fit the solved homeworks, the whole way that somebody alone goes, and are of no
use in a class."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading

import pytest
from coursekit.core import run, syllabus
from coursekit.staff import grading
from mugrade.client.run import run_hooks
from mugrade.compare import Tolerance, compare
from mugrade.encoding import decode
from mugrade.plan import Plan
from mugrade.recorder import solo_seed

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
        cwd=solved / homework.folder,
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


@pytest.mark.parametrize("stage", COURSE.stages)
def test_no_case_of_a_class_has_the_sealed_answer(solved, stage):
    """Whatever somebody reads out of the file, it is no point in a class."""
    homework = COURSE.homework(stage)

    def values(**plan):
        environment = run.environment(COURSE, homework)
        results = run_hooks(
            Plan(stage, "", **plan), solved / homework.folder, environment=environment
        )
        return [
            (r.problem, index, decode(case["value"]))
            for r in results
            for index, case in enumerate(r.cases)
        ]

    sealed = {(problem, index): value for problem, index, value in values(solo=True)}
    classes = values(pool=grading.POOL)
    assert len(classes) == grading.POOL * len(sealed) > 0
    assert [
        f"{problem}, case {index}"
        for problem, index, value in classes
        if compare(value, sealed[problem, index], Tolerance()).correct
    ] == []


def test_the_file_is_sealed_from_variants_of_its_own():
    data = json.loads(gzip.decompress((COURSE.root / grading.ANSWERS).read_bytes()))
    seeds = {
        (p["assignment"], p["problem"]): [v["seed"] for v in p["variants"]]
        for p in data["problems"]
    }
    assert seeds == {
        (homework.id, problem.hook): [solo_seed(homework.id, problem.hook)]
        for homework in COURSE.homeworks
        for problem in homework.problems
    }
