"""The three-way proof: it holds for a sound course and names each kind of hole."""

from __future__ import annotations

import json

import pytest
from coursekit.core.errors import CourseError
from coursekit.staff import mutants, prove

BOX = "shared/reference/python/minilib/box.py"


def verdicts(world, target=None) -> dict[str, prove.Verdict]:
    return {v.problem: v for v in prove.prove(world.course(), target)}


def holes(world, target) -> str:
    return "\n".join(verdicts(world, target)[target].holes)


def test_a_sound_course_has_no_hole(world):
    done = world.hw("prove", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert answer["ok"] and [p["problem"] for p in answer["problems"]] == [
        "hw0/add",
        "hw0/scale",
        "hw1/negate",
    ]
    assert [(p["killed"], p["mutants"]) for p in answer["problems"]] == [(1, 1)] * 3


def test_the_table_ends_with_the_totals(world):
    done = world.hw("prove", "hw1")
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert done.stdout.splitlines()[-1] == (
        "1 problems, 0 with holes; of 1 mutants 1 killed by tests, 1 by submitted values, "
        "0 named at the first failing test"
    )


def test_a_planted_return_in_a_stub_is_a_hole(world):
    """A definition whose stub never runs, because the work stands outside the region."""
    world.edit(
        BOX,
        "    def scale(self, factor):\n",
        "    def scale(self, factor):\n        return Box(self.value * factor)\n",
    )
    text = holes(world, "hw0/scale")
    assert "empty: none of its 1 tests fails on the stub" in text
    assert "prefix: none of its 1 tests fails on the stub" in text
    assert world.hw("prove", "hw0/scale").returncode == 1


def test_a_wrong_solution_is_a_hole(world):
    world.edit(BOX, "self.value + other.value", "self.value + other.value + 1")
    text = holes(world, "hw0/add")
    assert "solved: test_add fails: AssertionError" in text


def test_a_stub_that_fails_for_another_reason_is_a_hole(world):
    world.edit(
        "hw0/tests/test_numbers.py",
        "assert Box(2).add(Box(3)).value == 5",
        "assert Box(2).valu == 2 or Box(2).add(Box(3))",
    )
    assert 'empty: test_add fails by "AttributeError' in holes(world, "hw0/add")


def test_a_problem_that_needs_a_later_one_is_a_hole(world):
    world.edit("shared/problems/hw0/scale.toml", 'after = "add"\n', "")
    world.edit("shared/problems/hw0/add.toml", "points = 40\n", 'points = 40\nafter = "scale"\n')
    text = holes(world, "hw0/scale")  # now first, and its solution calls add
    assert "prefix: fails though it and all before it are solved" in text
    assert "hw0/add" in text


def test_a_selection_without_tests_is_a_hole(world):
    world.edit("shared/problems/hw1/negate.toml", 'select = "negate"', 'select = "nothing_like_it"')
    assert "no test of tests/test_more.py is selected" in holes(world, "hw1/negate")


def test_a_surviving_mutant_is_a_hole(world):
    world.edit(
        "shared/problems/hw0/add.toml",
        'replace = "self.value - other.value"',
        'replace = "other.value + self.value"',
    )
    assert "minus survives all 1 tests (the sign)" in holes(world, "hw0/add")


def test_a_mutant_that_values_do_not_see_is_a_hole_until_it_says_why(world):
    world.edit(
        "hw1/tests/test_more.py", "mugrade.submit(Box(2).negate().value)", "mugrade.submit(1)"
    )
    assert "values: same hands in the right values" in holes(world, "hw1/negate")
    world.edit(
        "shared/problems/hw1/negate.toml", 'why = "the sign"', 'unseen = "no"\nwhy = "the sign"'
    )
    verdict = verdicts(world, "hw1/negate")["hw1/negate"]
    assert verdict.ok and (verdict.killed, verdict.seen) == (1, 0)


def test_a_reason_why_values_see_nothing_is_a_hole_where_they_do(world):
    world.edit(
        "shared/problems/hw1/negate.toml", 'why = "the sign"', 'unseen = "no"\nwhy = "the sign"'
    )
    assert "values: same is seen" in holes(world, "hw1/negate")


def test_what_a_failing_test_says_of_a_mutant_is_counted_and_must_stay(world):
    world.edit("hw1/tests/test_more.py", "== -2", '== -2, "the sign is missing"')
    world.edit(
        "shared/problems/hw1/negate.toml",
        'why = "the sign"',
        'named = "the sign is"\nwhy = "the sign"',
    )
    verdict = verdicts(world, "hw1/negate")["hw1/negate"]
    assert verdict.ok and verdict.named == 1
    world.edit("hw1/tests/test_more.py", "the sign is missing", "wrong")
    assert "named: same is not named: 'the sign is' is not in" in holes(world, "hw1/negate")


def test_too_few_mutants_are_a_hole(world):
    world.edit(
        "shared/problems/hw1/negate.toml", 'select = "negate"\nmutants = 1', 'select = "negate"'
    )
    assert "mutants: 1, expected at least 4" in holes(world, "hw1/negate")


def test_a_hanging_mutant_is_killed(world, monkeypatch):
    monkeypatch.setattr(prove._Prover, "patience", lambda self, problem: 3.0)
    world.edit(
        "shared/problems/hw1/negate.toml",
        'find = "factor=-1"\nreplace = "factor=1"',
        'find = "        return self.scale(factor=-1)"\nreplace = "        while True: pass"',
    )
    verdict = verdicts(world, "hw1/negate")["hw1/negate"]
    assert verdict.ok and verdict.kills == {"same": "hangs"}


def test_a_mutant_that_ends_the_process_is_killed(world):
    world.edit(
        "shared/problems/hw1/negate.toml",
        'find = "factor=-1"\nreplace = "factor=1"',
        'find = "        return self.scale(factor=-1)"\nreplace = "        import os; os.abort()"',
    )
    verdict = verdicts(world, "hw1/negate")["hw1/negate"]
    assert verdict.ok and "died (signal 6)" in verdict.kills["same"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('find = "factor=-1"', 'find = "nowhere"', "stands 0 times"),
        ('find = "factor=-1"', 'find = "self"', "expected exactly once"),
        ('replace = "factor=1"', 'replace = "factor=("', "no valid Python"),
        ('replace = "factor=1"', 'replace = "factor=-1"', "same as `find`"),
        ('file = "python/minilib/box.py"', 'file = "python/nothing.py"', "is not in the tree"),
    ],
)
def test_a_mutant_that_proves_nothing_names_its_line(world, old, new, says):
    world.edit("shared/problems/hw1/negate.toml", old, new)
    course = world.course()
    from coursekit.staff import render

    solved = render.render_code(course, "hw1", render.everything)
    [mutant] = mutants.of(course, course.problem("hw1/negate"))
    with pytest.raises(CourseError, match=r"hw1/negate.toml:7: mutant hw1/negate same") as caught:
        mutant.apply(solved)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('name = "same"', 'problem = "hw0/add"\nname = "same"', "unknown key 'problem'"),
        ('why = "the sign"', 'wy = "the sign"', "unknown key 'wy'"),
        ("[[mutant]]", "[[mutnat]]", "unknown key 'mutnat'"),
    ],
)
def test_a_wrong_mutant_is_refused(world, old, new, says):
    world.edit("shared/problems/hw1/negate.toml", old, new)
    done = world.hw("prove", "hw1")
    assert done.returncode == 2 and says in done.stderr and "hw1/negate.toml:" in done.stderr


def test_a_reopened_problem_counts_for_the_one_that_reopens_it(world):
    world.edit(
        "shared/problems/hw1/negate.toml",
        'select = "negate"',
        'select = "negate"\nreopens = ["hw0/scale"]',
    )
    world.edit(
        BOX,
        "        ### BEGIN SOLUTION hw1/negate\n        return self.scale(factor=-1)\n"
        "        ### END SOLUTION",
        "        return self.scale(factor=-1)",
    )
    assert verdicts(world, "hw1/negate")["hw1/negate"].ok


def test_an_unknown_target_is_one_sentence(world):
    done = world.hw("prove", "hw1/negatt")
    assert done.returncode == 2 and "did you mean 'hw1/negate'" in done.stderr
