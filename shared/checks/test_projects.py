"""Each example project, and the template, runs in its short form and leaves the results it promises."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2] / "project"
SCRIPTS = sorted([*PROJECT.glob("examples/*/train.py"), PROJECT / "template" / "train.py"])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.parent.name)
def test_short_form_runs_and_writes_results(script, solved):
    results = script.parent / "results-short"
    shutil.rmtree(results, ignore_errors=True)
    run = subprocess.run(
        [sys.executable, script.name, "--short"],
        cwd=script.parent,
        text=True,
        timeout=900,
        env={**os.environ, "NEEDLE_HOME": str(solved / "hw4"), "NEEDLE_BACKEND": "nd"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert run.returncode == 0, run.stdout
    (written,) = results.glob("*.json")
    assert json.loads(written.read_text(encoding="utf-8"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.parent.name)
def test_without_needle_one_sentence_says_what_to_do(script, tmp_path):
    run = subprocess.run(
        [sys.executable, script.name, "--short"],
        cwd=script.parent,
        text=True,
        timeout=60,
        env={**os.environ, "NEEDLE_HOME": str(tmp_path)},
        capture_output=True,
    )
    assert run.returncode != 0 and "NEEDLE_HOME" in run.stderr
    assert "Traceback" not in run.stderr


def test_examples_have_reports():
    for script in SCRIPTS:
        if script.parent.parent.name == "examples":
            report = script.parent / "REPORT.md"
            assert report.is_file(), f"{script.parent.name} has no REPORT.md"
            assert "python train.py" in report.read_text(encoding="utf-8")
