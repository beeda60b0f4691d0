"""The pytest session of a homework: whose code is under test, and equal starting points.

A homework's conftest.py takes everything from here and calls `judge`. The tests judge the library in
the *current directory*, nothing else. This puts that tree's folders on the import path, says in
pytest's header which files it found, and refuses to run when Python would import a library of the
same name from somewhere else (an older homework, an installed package): passing or failing with
somebody else's code teaches nothing.
"""

import gc
import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from course_testing import names, nothing, slips

__all__ = [
    "equal_random_numbers",
    "judge",
    "no_collector",
    "pytest_configure",
    "pytest_pycollect_makemodule",
    "pytest_pyfunc_call",
    "pytest_report_collectionfinish",
    "pytest_report_header",
    "pytest_terminal_summary",
]

TREE = Path.cwd()
_folders: list[str] = []
_notes: list[str] = []
_home = TREE
_missing: list[str] = []
_explainer = slips.Explainer()


def judge(conftest, folders, backend, own_form=False):
    """Say what is under test; a homework's conftest.py calls it.

    Args:
        conftest: path of hwN/tests/conftest.py.
        folders: where in the homework its code lies, such as "python"; "." is the homework itself.
        backend: needle's array library, "np" or "nd", unless NEEDLE_BACKEND says otherwise.
        own_form: keep the kernels that are given for layers out, whatever NEEDLE_KERNELS says.
    """
    global _home
    if own_form:
        os.environ["NEEDLE_KERNELS"] = "own"
        _notes.append('layers run in your own form: needle.kernels("own")')
    _home = Path(conftest).resolve().parents[1]
    _folders[:] = [folder for folder in folders if folder != "."]
    os.environ.setdefault("NEEDLE_BACKEND", backend)
    for folder in folders:
        path = str(TREE / folder)
        if path not in sys.path and not (folder == "." and "" in sys.path):
            sys.path.append(path)


def modules_under_test():
    """{name: path in this tree} of every importable module and package of the homework's folders."""
    found = {}
    for folder in _folders:
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
        pytest.exit(
            f"There is no library to test in {TREE} (no {' or '.join(_folders)} folder with "
            f"Python files): run the tests from inside the homework, `cd {_home}` first.",
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


def pytest_report_collectionfinish(config):
    """Unlike the header this is said in quiet runs too, and so when a submission runs its hooks."""
    return _notes


def pytest_pycollect_makemodule(module_path):
    """A name that the tests look for in vain fails those tests that use it, not their whole file."""
    mine = modules_under_test()
    _missing.extend(names.provide(module_path, mine.__contains__))


def pytest_terminal_summary(terminalreporter):
    if _missing:
        terminalreporter.section("names that the tests look for and do not find")
        for name in dict.fromkeys(_missing):
            terminalreporter.line(name)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    """Why it failed: a mistake that its oracles know, or a function that returned nothing."""
    _explainer.begin()
    try:
        return (yield)
    except AssertionError as error:
        slips.keep_sentence(error)
        test = pyfuncitem.obj
        if not getattr(test, "is_hypothesis_test", False):

            def again():
                np.random.seed(0)
                names_of_fixtures = pyfuncitem._fixtureinfo.argnames
                test(**{name: pyfuncitem.funcargs[name] for name in names_of_fixtures})

            _explainer.explain(pyfuncitem.originalname, error, again)
        raise
    except (AttributeError, TypeError) as error:
        nothing.explain(error)
        raise


@pytest.fixture(autouse=True)
def equal_random_numbers():
    """Every test starts from the same NumPy seed, so that no verdict depends on the order.

    A fixture of the outermost conftest comes before all others: a test file may seed in its own.
    """
    np.random.seed(0)


@pytest.fixture
def no_collector():
    """Python's cyclic garbage collector is off: only reference counts free memory."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
