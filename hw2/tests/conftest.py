"""What every test of this homework shares: which files are under test, and equal starting points.

The tests judge the library in the *current directory*, nothing else. This file puts that tree's
folders on the import path, says in pytest's header which files it found, and refuses to run when
Python would import a library of the same name from somewhere else (an older homework, an
installed package): passing or failing with somebody else's code teaches nothing.
"""

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest

CODE_FOLDERS = ("python", "apps")
os.environ.setdefault("NEEDLE_BACKEND", "np")

TREE = Path.cwd()

sys.path.append(str(Path(__file__).parent))  # course_testing, also for tests in tests/hwN/
for folder in CODE_FOLDERS:
    if str(TREE / folder) not in sys.path:
        sys.path.append(str(TREE / folder))


def modules_under_test():
    """{name: path in this tree} of every importable module and package in CODE_FOLDERS."""
    found = {}
    for folder in CODE_FOLDERS:
        for path in sorted((TREE / folder).glob("*")):
            if path.suffix == ".py" and path.stem.isidentifier():
                found.setdefault(path.stem, path)
            elif (path / "__init__.py").is_file():
                found.setdefault(path.name, path / "__init__.py")
    return found


def imported_from(name):
    """The file that `import name` uses, or None when there is none."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.origin is None:  # a folder without __init__.py
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(spec.origin)


def shown(path):
    """The path as a reader likes it: relative to the current directory where it is inside."""
    try:
        return "./" + path.resolve().relative_to(TREE.resolve()).as_posix()
    except ValueError:
        return str(path)


def pytest_configure(config):
    """Refuse, with exit code 2 and one sentence, to test any other files than the tree's own."""
    config.option.randomly_reset_seed = False  # pytest-randomly would seed after the fixtures
    modules = modules_under_test()
    if not modules:
        home = Path(__file__).resolve().parents[1]
        pytest.exit(
            f"There is no library to test in {TREE} (no {' or '.join(CODE_FOLDERS)} folder with "
            f"Python files): run the tests from inside the homework, `cd {home}` first.",
            returncode=2,
        )
    for name, path in modules.items():
        actual = imported_from(name)
        if actual is not None and actual.resolve() != path.resolve():
            pytest.exit(
                f"These tests are for {shown(path)}, but `import {name}` would take {actual}: "
                f"remove that folder from PYTHONPATH, or uninstall or rename that {name}.",
                returncode=2,
            )


def pytest_report_header(config):
    return [f"under test: {name} from {shown(path)}" for name, path in modules_under_test().items()]


@pytest.fixture(autouse=True)
def equal_random_numbers():
    """Every test starts from the same NumPy seed, so that no verdict depends on the order.

    A fixture of the outermost conftest comes before all others: a test file may seed in its own.
    """
    np.random.seed(0)
