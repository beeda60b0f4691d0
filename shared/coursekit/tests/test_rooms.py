"""The rooms of coursekit: who may import whom, read from the imports themselves."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import coursekit
import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(coursekit.__file__).parent
ROOMS = ("core", "datasets", "student", "staff", "cli")
MAY = {
    "core": set(),
    "datasets": {"core"},
    "student": {"core", "datasets", "viz"},
    "staff": {"core", "datasets"},
    "cli": {"core", "datasets", "student", "staff", "viz"},
    "viz": {"core"},
    "project": set(),
    "__main__": {"cli"},
    "__init__": set(),
}
MODULES = {
    ".".join(["coursekit", *path.relative_to(HERE).with_suffix("").parts]): path
    for path in sorted(HERE.rglob("*.py"))
    if path.relative_to(HERE).parts[0] != "tests"
}


def imports(path: Path) -> Iterator[str]:
    """Every module of coursekit that the file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.startswith("coursekit."))
        elif isinstance(node, ast.ImportFrom) and node.module and node.module[:9] == "coursekit":
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                known = {whole, f"{whole}.__init__"} & MODULES.keys()
                yield whole if known else node.module


def test_an_install_without_the_repository_has_every_room():
    """By the search that pyproject.toml asks for, with whatever setuptools a new venv brings."""
    import setuptools

    top = HERE.parents[1]
    text = (top / "pyproject.toml").read_text(encoding="utf-8")
    asked = tomllib.loads(text)["tool"]["setuptools"]["packages"]["find"]
    assert asked["namespaces"] is False
    found = {
        package
        for folder in asked["where"]
        for package in setuptools.find_packages(
            str(top / folder), asked["exclude"], asked["include"]
        )
    }
    rooms = {name.rpartition(".")[0] for name in MODULES if name.endswith(".__init__")}
    assert rooms | {"cluster", "course_testing"} == found


def room(module: str) -> str:
    return module.split(".")[1]


def test_every_module_stands_in_a_room():
    assert {room(name) for name in MODULES} == MAY.keys()


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_its_own_room_and_those_below(name):
    for other in imports(MODULES[name]):
        allowed = MAY[room(name)] | {room(name)}
        assert room(other) in allowed, f"{name} imports {other}; it may import {sorted(allowed)}"


def test_no_import_goes_in_a_circle():
    waiting = {name: set(imports(path)) & MODULES.keys() for name, path in MODULES.items()}
    while free := {name for name, needs in waiting.items() if not needs & waiting.keys()}:
        waiting = {name: needs for name, needs in waiting.items() if name not in free}
    assert waiting == {}


def test_the_cli_names_no_module_of_the_staffs_room():
    """A release has none: the one door is `staff_room` of cli.app."""
    for name, path in MODULES.items():
        if room(name) == "cli":
            assert not [other for other in imports(path) if room(other) == "staff"], name


def test_a_command_begins_without_pytest_and_numpy():
    """To import them takes longer than most commands do."""
    code = "import sys, coursekit.cli.app; print(sorted({'pytest', 'numpy'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
