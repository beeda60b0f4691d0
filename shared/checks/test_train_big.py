"""The lab train-big as a whole: its programs on the solved lab, on virtual ranks and on processes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCHEMES = [
    "data parallel",
    "and checkpoints",
    "sharded optimizer",
    "fully sharded",
    "tensor parallel",
    "pipeline",
]


def lab(*words):
    command = [sys.executable, "-m", "coursekit", "lab", "train-big", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def table(text):
    """{scheme: its numbers as texts}."""
    rows = [re.split(r"  +", line.strip()) for line in text.splitlines()[2:]]
    return {name: numbers for name, *numbers in rows}


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_every_scheme_comes_to_the_losses_of_one_process(ranks):
    said = lab("apps/train.py", "--ranks", str(ranks))
    assert float(re.search(r"differ from one process by (\S+)", said)[1]) < 1e-4
    rows = table(said)
    assert list(rows) == (["one rank"] if ranks == 1 else SCHEMES)
    assert len({tuple(numbers[:2]) for numbers in rows.values()}) == 1


def test_processes_come_to_the_counts_of_virtual_ranks():
    virtual, real = (table(lab("apps/train.py", way, "2")) for way in ("--ranks", "--mpi"))
    counts = lambda rows: {name: numbers[:5] for name, numbers in rows.items()}
    assert counts(real) == counts(virtual)


def test_a_model_of_7_billion_parameters_is_as_large_as_the_published_one():
    said = lab("apps/what_it_takes.py")
    assert said.count("6,738,415,616") == 2
    assert "45% of what they promise" in said
