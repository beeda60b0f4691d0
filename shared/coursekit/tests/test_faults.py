"""`hw test` where the code under test cannot be imported, or fails in the same way again and again."""

from __future__ import annotations

import pytest
from conftest import BOX0, add_is


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("Box = nothing", "NameError: name 'nothing' is not defined"),
        ("exit(3)", "SystemExit: 3"),
    ],
)
def test_a_module_that_cannot_be_imported_is_what_is_next(world, row, told):
    add_is(world, "pass")
    world.edit(BOX0, '"""Boxes of numbers."""\n', f'"""Boxes of numbers."""\n{row}\n')
    done = world.process("test", "hw0/add")
    assert done.returncode == 1 and "INTERNALERROR" not in done.stdout + done.stderr
    assert f"{BOX0}:2: hw0 cannot be imported: {told}" in done.stdout.splitlines()
    assert "| cannot be read |" in done.stdout
    step = f"next: mend {BOX0}:2 ({told}), then: hw test hw0/add"
    assert done.stdout.rstrip().endswith(step) and world.hw().stdout.rstrip().endswith(step)
    world.edit(BOX0, f"{row}\n", "")
    assert "next: test hw0/add: hw test hw0/add" in world.hw().stdout


def test_a_failure_that_repeats_itself_is_shown_twice_and_then_named(world):
    add_is(world, "return value")
    many = "import pytest\n\n\n@pytest.mark.parametrize('n', range(6))\ndef test_add(n):"
    name = "hw0/tests/test_numbers.py"
    world.write(name, world.read(name).replace("def test_add():", many))
    said = world.process("test", "hw0/add").stdout
    place = f"{BOX0}:12"
    assert said.count("E   NameError: name 'value' is not defined") == 2
    again = f"the same again, at {place}: NameError: name 'value' is not defined"
    rows = said.splitlines()  # in CI the summary's rows, too, end with it
    assert rows.count(again) == 6, "six cases and two other tests, of which two are shown"
