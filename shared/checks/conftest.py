"""What the staff's checks share: solved, built homeworks, tests in a process of their own, and the
site with a browser."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import inside
import numpy as np
import pytest
from coursekit.staff import workers

once = workers.once

# Each of these folders is a session of its own, see inside.py; parity wants PyTorch besides.
collect_ignore = ["parity", *(folder.name for folder in Path(__file__).parent.glob("in_hw*"))]


def pytest_configure(config):
    config.addinivalue_line(
        "markers",
        "own_process(**environment): run this test in a new process with these variables",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    mark = pyfuncitem.get_closest_marker("own_process")
    if mark is None or inside.IN_OWN_PROCESS in os.environ:
        return None
    inside.run_in_own_process(pyfuncitem, mark.kwargs)
    return True


@pytest.fixture(scope="session", autouse=True)
def in_the_homeworks_folder():
    if inside.place is not None:
        os.chdir(inside.place)


@pytest.fixture(autouse=True)
def equal_random_numbers():
    """Every test starts from the same NumPy seed, so that no verdict depends on the order."""
    np.random.seed(0)


@pytest.fixture(scope="session")
def solved():
    """Folder with the solved, built trees hw0 ... hw4."""
    return inside.solved_trees()


@pytest.fixture(scope="session")
def site(once):
    """Folder with the site."""
    script = inside.ROOT / "shared" / "site" / "build.py"
    return once("site", lambda folder: run(script, folder))


@pytest.fixture(scope="session")
def chromium():
    """The system's Chromium, without a window."""
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if not found:
        missing = "no Chromium on this machine; install it with: sudo apt-get install chromium"
        assert not os.environ.get("CI"), missing
        pytest.skip(missing)
    with sync_playwright() as playwright:
        # A page's scripts, axe among them, run once: to optimize them costs more than it gives.
        arguments = ["--no-sandbox", "--disable-gpu", "--js-flags=--no-opt,--single-threaded"]
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def released(once, tmp_path_factory):
    """A students' tree, as `hw release` writes it; the module's own, for commands write into it."""
    made = once("release", lambda folder: run("-m", "coursekit", "release", folder))
    return shutil.copytree(made, tmp_path_factory.mktemp("release") / "course")


def run(*command):
    done = subprocess.run(
        [sys.executable, *command], cwd=inside.ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
