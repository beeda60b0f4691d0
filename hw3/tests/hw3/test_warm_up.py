"""Homework 3: the five puzzles of src/warm_up.cu, on the device that watches every access. Not graded."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HOMEWORK = Path(__file__).resolve().parents[2]
BLOCK = 32
PUZZLES = [  # name, rows and columns of the input, what comes out
    ("map", (1, 24), lambda a: a + 10),
    ("guard", (1, 75), lambda a: 2 * a),
    ("transpose", (11, 21), lambda a: a.T),
    ("reverse", (1, 3 * BLOCK), lambda a: a.reshape(-1, BLOCK)[:, ::-1]),
    ("sum", (1, 4 * BLOCK), lambda a: a.reshape(-1, BLOCK).sum(axis=1)),
]


def cmake():
    try:
        from cmake import CMAKE_BIN_DIR
    except ImportError:
        return shutil.which("cmake") or pytest.fail("no CMake: python3 -m pip install cmake")
    return str(Path(CMAKE_BIN_DIR) / "cmake")


@pytest.fixture(scope="module")
def program():
    """The program of the puzzles, compiled."""
    configure = [cmake(), "-S", ".", "-B", "build", f"-DPython_EXECUTABLE={sys.executable}"]
    for command in (configure, [cmake(), "--build", "build", "--target", "warm_up"]):
        done = subprocess.run(command, cwd=HOMEWORK, capture_output=True, text=True)
        if done.returncode:
            pytest.fail(done.stdout + done.stderr, pytrace=False)
    return HOMEWORK / "build" / "warm_up"


@pytest.mark.parametrize("puzzle, shape, right", PUZZLES, ids=[name for name, *_ in PUZZLES])
def test_puzzle(program, puzzle, shape, right):
    a = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) % 17
    command = [str(program), puzzle, *map(str, shape)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)
    found = np.array(done.stdout.split(), dtype=np.float32)
    if np.isnan(found).any():
        where = f"out[{np.isnan(found).argmax()}]"
        pytest.fail(f"{puzzle}: {where} is NaN: nothing was written there", pytrace=False)
    np.testing.assert_array_equal(found, np.ravel(right(a)))
