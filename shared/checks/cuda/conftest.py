"""A built, solved homework 3, which the tests here ask questions of."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from coursekit.core import syllabus
from coursekit.staff import render

ROOT = Path(__file__).resolve().parents[3]


class Tree:
    """A built homework; `run` starts Python in it."""

    def __init__(self, folder):
        self.folder = folder

    def run(self, code, **environment):
        """Run a program in the tree; returns the finished process.

        The program has `nd` (needle.backend_ndarray), `np` and `d = nd.cuda()`.
        """
        head = (
            "import sys; sys.path.insert(0, 'python')\n"
            "import numpy as np\nfrom needle import backend_ndarray as nd\nd = nd.cuda()\n"
        )
        env = {key: value for key, value in os.environ.items() if not key.startswith("NEEDLE_CUDA")}
        env.update(environment)
        return subprocess.run(
            [sys.executable, "-c", head + code],
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=600,
        )

    def says(self, code, **environment):
        """What the program prints; it must end well."""
        done = self.run(code, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def raises(self, code, **environment):
        """The last line of the traceback that the program ends with."""
        done = self.run(code, **environment)
        assert done.returncode == 1, f"status {done.returncode}: {done.stdout}{done.stderr}"
        return done.stderr.strip().splitlines()[-1]


@pytest.fixture(scope="session")
def solved(solved):
    """Homework 3 solved, with every build of cuda() that this machine can make."""
    return Tree(solved / "hw3")


@pytest.fixture(scope="session")
def handout(tmp_path_factory):
    """Homework 3 as students get it, not built."""
    folder = tmp_path_factory.mktemp("handout")
    render.render_out(syllabus.load(ROOT), folder, ["hw3"], warn=lambda sentence: None)
    return folder / "hw3"
