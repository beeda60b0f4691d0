"""Problems of 0 points: tested and proved like others, but nobody waits for them and none is graded."""

import pytest
from coursekit.core.errors import CourseError
from coursekit.staff import grading, prove
from coursekit.student import progress

HOOK = """
def submit_scale():
    import mugrade

    mugrade.submit(Box(2).scale(3).value)
"""


@pytest.fixture
def with_extra(world):
    """The small course, whose problem hw0/scale is an extra without a hook."""
    world.edit("shared/problems/hw0/add.toml", "points = 40", "points = 100")
    world.edit("shared/problems/hw0/scale.toml", "points = 60", "points = 0")
    world.edit("hw0/tests/test_numbers.py", HOOK, "")
    assert world.hw("render").returncode == 0
    return world


def add_is_done(world):
    world.hw("start", "hw0")
    world.solve("hw0/python/minilib/box.py", "hw0/add", "return Box(self.value + other.value)")
    assert world.hw("test", "hw0").returncode == 0


def test_an_extra_counts_nowhere_and_is_found_by_its_name(with_extra):
    course = with_extra.course()
    homework = course.homework("hw0")
    assert [p.id for p in homework.problems] == ["hw0/add"] and homework.points == 100
    assert [p.id for p in homework.extras] == ["hw0/scale"]
    assert course.problem("hw0/scale").is_extra
    assert [p.id for p in course.select("hw0")] == ["hw0/add"]
    assert with_extra.hw("check").returncode == 0
    assert "| `hw0/scale` | Scaling | extra |" in with_extra.read("hw0/README.md")


def test_nobody_waits_for_an_extra(with_extra):
    add_is_done(with_extra)
    course = with_extra.course()
    assert "scale" not in progress.next_step(course)
    shown = with_extra.hw("--all").stdout
    assert "hw0  Numbers" in shown and "1/1" in shown and "100/100" in shown
    (row,) = [row for row in shown.splitlines() if "hw0/scale" in row]
    assert [cell.strip() for cell in row.strip("| ").split("|")] == [
        "hw0/scale",
        "stub",
        "not run",
        "extra",
        "-",
    ]


def test_an_extra_is_tested_by_its_name_and_not_submitted(with_extra):
    add_is_done(with_extra)
    asked = with_extra.hw("test", "hw0/scale")
    assert asked.returncode == 1 and "to write" in asked.stdout
    sent = with_extra.hw("submit", "hw0/scale")
    assert sent.returncode and "hw0/scale is an extra" in sent.stderr + sent.stdout


def test_an_extra_is_proved_without_values_and_not_published(with_extra):
    course = with_extra.course()
    found = {verdict.problem: verdict for verdict in prove.prove(course, "hw0")}
    assert found["hw0/scale"].ok and found["hw0/scale"].killed == 1
    with_extra.edit("hw0/tests/test_numbers.py", "scale(3).value == 6", "scale(3).value")
    (weak,) = prove.prove(with_extra.course(), "hw0/scale")
    assert "mutants: plus survives" in "\n".join(weak.holes)
    assert '"scale"' not in grading.course_file(course)
    with pytest.raises(CourseError, match="extra"):
        grading.publish(course, course.homework("hw0"), [course.problem("hw0/scale")], [])


def test_points_behind_an_extra_are_a_fault(with_extra):
    with_extra.edit("shared/problems/hw0/add.toml", "points = 100", 'points = 100\nafter = "scale"')
    with_extra.edit("shared/problems/hw0/scale.toml", 'after = "add"\n', "")
    with pytest.raises(CourseError, match="extras stand behind all others"):
        with_extra.course()
