"""The student's verbs: dashboard, test, build, reset, hint, doctor, submit; and counting lines."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from coursekit.cli import show
from coursekit.cli.app import app
from coursekit.core import run, syllabus
from coursekit.core.errors import CourseError
from coursekit.staff import count, handouts, release, render
from coursekit.student import doctor, progress, reset, work
from rich.console import Console

BOX0 = "hw0/python/minilib/box.py"
ADD = "return Box(self.value + other.value)"
STUB = '        raise NotImplementedError("hw0/add: Box.add is yours to write")'


def graded(course, stage, best="9", **words):
    """As if the grader had answered these words, 9 points at best, 4 for what is wrong."""
    score = {"ok": "9", "FAIL": "4"}
    rows = [
        {
            "problem": name,
            "word": word,
            "score": score.get(word),
            "best": best,
            "points": "9",
            "failures": [{"case": 2}] if word == "FAIL" else [],
        }
        for name, word in words.items()
    ]
    progress.record_submission(course, course.homework(stage), rows)
    return rows


def test_each_problem_shows_its_own_verdict_and_best(world):
    course = world.course()
    rows = graded(course, "hw0", add="ok", scale="FAIL")
    assert [row.points for row in progress.standings(course, "hw0")] == [
        "9 of 9",
        "9 of 9 (last try 4)",
    ]
    assert "9 of 9 (last try 4)" in world.hw().stdout
    assert work.mending(course, course.homework("hw0"), rows) == (
        "hw test hw0/scale; or step through it: mugrade run hw0 scale --case 2 --pdb"
    )
    graded(course, "hw0", best="4", scale="FAIL", add="KEPT")
    add, scale = progress.standings(course, "hw0")
    assert (add.submitted, scale.submitted, scale.points) == ("yes", "some wrong", "4 of 9")
    assert work.mending(course, course.homework("hw0"), rows[:1]) == ""


def test_a_submission_is_read_from_the_clients_report(world, monkeypatch):
    def client(course, homework, words, folder):
        place = words[words.index("--report") + 1]
        Path(place).write_text(json.dumps({"rows": graded(course, "hw1", negate="FAIL")}))
        return 1

    monkeypatch.setattr(run, "mugrade", client)
    done = world.hw("submit", "hw0/scale")
    assert done.returncode == 1 and done.stdout.splitlines()[-1].startswith("next: ")
    monkeypatch.setattr(run, "mugrade", lambda *_: 4)
    assert world.hw("submit", "hw0/scale").returncode == 4


def test_next_follows_the_homework_in_hand_and_the_problem_that_failed(world):
    following = lambda: world.hw().stdout.strip().splitlines()[-1]
    world.hw("start", "hw0")
    world.hw("start", "hw1")
    assert following().startswith("next: write hw1/negate")
    world.solve(BOX0, "hw0/scale", "return Box(0)")
    world.process("test", "hw0/scale")
    assert following() == "next: mend hw0/scale (0 of 1 tests pass): hw test hw0/scale"
    world.solve("hw1/python/minilib/box.py", "hw1/negate", "return Box(-self.value)")
    world.process("test", "hw1")
    assert following().startswith("next: write hw0/add in "), "hw1 is done, so hw0 is what is left"


@pytest.mark.parametrize("verb", ["test", "submit"])
def test_conflicts_and_missing_files_are_told_first(world, verb):
    world.hw("start", "hw0")
    world.edit(BOX0, '"""Boxes of numbers."""\n', "<<<<<<< yours\na\n=======\nb\n>>>>>>> theirs\n")
    done = world.hw(verb, "hw0/add")
    assert done.returncode == 2 and f"{BOX0}:1: two versions stand here" in done.stderr
    assert f"next: {BOX0}:1: two versions" in world.hw().stdout
    world.hw("reset", "hw0/add")
    world.write(".hw/backups/20260101-reset/" + BOX0, "mine")
    (world.root / BOX0).unlink()
    done = world.hw(verb, "hw0/add")
    assert done.returncode == 2
    assert f"{BOX0}: the file is missing; hw start hw0 puts the handout back" in done.stderr
    assert f".hw/backups/20260101-reset/{BOX0}" in done.stderr
    assert "MISSING" in world.hw("doctor").stdout


def test_all_skipped_is_skipped_and_keeps_nobody(world):
    world.hw("start", "hw0")
    world.solve(BOX0, "hw0/add", ADD)
    world.solve(BOX0, "hw0/scale", "return Box(self.value * factor)")
    text = world.read("hw0/tests/test_numbers.py")
    mark = "import pytest\n\n\n@pytest.mark.skip\ndef test_add"
    world.write("hw0/tests/test_numbers.py", text.replace("\n\ndef test_add", mark))
    done = world.process("test", "hw0")
    assert done.returncode == 0 and "skipped |" in done.stdout and "FAIL" not in done.stdout
    assert "mend" not in done.stdout and "next: all of hw0 is written" in done.stdout


def test_one_device_alone_gives_a_verdict_that_counts(world):
    done = world.hw("test", "hw0", "--device", "cpu_numpy")
    assert done.returncode == 2 and "its tests know of no devices" in done.stderr
    world.edit(
        "course.toml", 'title = "Numbers"', 'title = "Numbers"\nenv = { NEEDLE_BACKEND = "nd" }'
    )
    done = world.hw("test", "hw0", "--device", "tpu")
    assert done.returncode == 2 and "expected cpu, cuda, cpu_numpy" in done.stderr
    world.hw("start", "hw0")
    world.solve(BOX0, "hw0/add", ADD)
    text = world.read("hw0/tests/test_numbers.py")
    there = (
        "import os\n    assert os.environ['NEEDLE_DEVICES'] == 'cpu_numpy'\n    assert Box(2).add"
    )
    world.write("hw0/tests/test_numbers.py", text.replace("assert Box(2).add", there))
    assert world.process("test", "hw0/add", "--device", "cpu_numpy").returncode == 0
    assert "passed (cpu_numpy)" in world.hw().stdout


def test_reset_and_the_last_hint_say_what_they_are(world):
    assert "reset takes one problem, such as hw0/add" in world.hw("reset", "hw0").stderr
    said = [world.hw("hint", "hw0/add").stdout for _ in range(4)]
    assert ["that was the last" in text for text in said] == [False, False, True, True]


def test_the_dashboard_fits_a_terminal_of_80_columns(monkeypatch):
    """Each row is one line, names and titles whole, with every kind of verdict in it."""
    course = syllabus.load()
    handouts.refresh(course)  # as `hw` does before a student's verb in the full course
    kinds = [("failed", "199 of 225", "no", ""), ("changed since", "9 of 9", "yes", "25 of 25")]
    alone = ("passed", "on cpu_numpy, 9 of 9", "yes", "25 of 25")

    def standings(_, stage, extras=False):
        mine = [*kinds, alone] if stage == "hw4" else kinds  # what a student can do on one device
        homework = course.homework(stage)
        rows = zip(homework.everything if extras else homework.problems, mine * 30)
        return [progress.Standing(p, "written", *kind, place="") for p, kind in rows]

    monkeypatch.setattr(progress, "standings", standings)
    out = io.StringIO()
    monkeypatch.setattr(show, "console", lambda: Console(file=out, width=80, color_system=None))
    show.dashboard(course, everything=True)
    rows = out.getvalue().split("next: ")[0].splitlines()
    assert max(map(len, rows)) <= 80
    heads = tuple(f"| {stage}" for stage in course.stages)
    assert sum(row.startswith(heads) for row in rows) == len(course.everything + course.homeworks)
    assert not [row for row in rows if row.startswith("|  ")], "a cell was broken"


def test_the_dashboard_leads_from_nothing_to_the_project(world):
    def following():
        return world.hw().stdout.strip().splitlines()[-1]

    assert following() == "next: begin hw0, Numbers: hw start hw0"
    world.hw("start", "hw0")
    assert following().startswith("next: write hw0/add in hw0/python/minilib/box.py:11")
    world.solve(BOX0, "hw0/add", ADD)
    world.solve(BOX0, "hw0/scale", "return Box(self.value * factor)")
    assert following() == "next: test hw0/add: hw test hw0/add"
    course = world.course()
    assert work.run_tests(course, list(course.homework("hw0").problems), ["-q"])[0] == 0
    assert following() == (
        "next: all of hw0 is written and tested: hw submit hw0, then: hw start hw1"
    )
    world.hw("start", "hw1")
    assert following().startswith("next: write hw1/negate")
    assert following().endswith("(not submitted yet: hw0)")
    graded(course, "hw0", add="ok", scale="ok")
    assert following().startswith("next: write hw1/negate") and "hw0" not in following()
    world.solve("hw1/python/minilib/box.py", "hw1/negate", "return Box(-self.value)")
    work.run_tests(course, list(course.homework("hw1").problems), ["-q"])
    assert following() == "next: all homeworks are written and tested: hw submit hw1"
    graded(course, "hw1", negate="ok")
    assert "final project is next" in following()


def test_the_dashboard_is_plain_ascii_without_a_terminal(world):
    done = world.process(NO_COLOR="1")
    assert done.returncode == 0 and done.stdout.isascii() and "\x1b" not in done.stdout
    assert "hw0/add" in done.stdout and "0/100" in done.stdout


def test_a_verdict_is_stale_once_the_files_change(world):
    world.solve(BOX0, "hw0/add", ADD)
    course = world.course()
    work.run_tests(course, [course.problem("hw0/add")], ["-q"])
    assert progress.standings(course, "hw0")[0].tests == "passed"
    world.write("hw0/scratch.py", "print('hw0/add: is yours to write')\n")
    assert progress.standings(course, "hw0")[0].stub == "written"
    assert progress.standings(course, "hw0")[0].tests == "passed"
    world.edit(BOX0, ADD, ADD + "  # again")
    assert progress.standings(course, "hw0")[0].tests == "changed since"


def test_a_helper_that_nobody_must_write_counts_for_nothing(world):
    world.edit(
        "shared/reference/python/minilib/box.py",
        "def boxes(values):",
        "def both(values):\n    ### BEGIN SOLUTION hw0/add optional\n    return sum(values)\n"
        "    ### END SOLUTION\n\n\ndef boxes(values):",
    )
    render.render_in_place(world.course(), world.course().stages)
    stub = 'raise NotImplementedError("hw0/add: both is yours to write or not")'
    assert stub in world.read(BOX0)
    world.hw("start", "hw0")
    assert progress.standings(world.course(), "hw0")[0].stub == "stub"
    world.solve(BOX0, "hw0/scale", "return Box(self.value * factor)")
    world.edit(BOX0, 'raise NotImplementedError("hw0/add: Box.add is yours to write")', ADD)
    assert {row.stub for row in progress.standings(world.course(), "hw0")} == {"written"}
    assert "next: test hw0/add" in world.hw().stdout
    assert "not written yet" not in world.hw("start", "hw1").stdout
    assert stub in world.read("hw1/python/minilib/box.py")
    world.edit("hw1/python/minilib/box.py", stub, "return sum(values) + 0")
    world.hw("start", "hw1")
    assert "return sum(values) + 0" in world.read("hw1/python/minilib/box.py")


def test_a_helper_left_as_a_stub_keeps_nobody_whose_tests_pass(world, monkeypatch):
    world.solve(BOX0, "hw0/add", ADD)
    world.solve(BOX0, "hw0/scale", "return Box(self.value * factor)")
    course = world.course()
    monkeypatch.setattr(progress, "stub_state", lambda *_: "begun")
    assert {row.stub for row in progress.standings(course, "hw0")} == {"begun"}
    work.run_tests(course, list(course.homework("hw0").problems), ["-q"])
    assert {row.stub for row in progress.standings(course, "hw0")} == {"written"}


def test_testing_tells_stubs_from_failures(world):
    done = world.process("test", "hw0")
    assert done.returncode == 1 and "to write" in done.stdout
    assert "next: " in done.stdout
    world.solve(BOX0, "hw0/add", "return Box(0)")
    done = world.process("test", "hw0/add", "--", "-q")
    assert done.returncode == 1 and "FAIL" in done.stdout
    assert "test_scale" not in done.stdout
    world.solve(BOX0, "hw0/add", ADD)
    done = world.process("test", "hw0/add")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_problem_that_is_not_written_is_one_line(world):
    text = world.read("hw0/tests/test_numbers.py")
    again = "def test_add_again():\n    assert Box(1).add(Box(1)).value == 2\n\n\ndef submit_add"
    world.write("hw0/tests/test_numbers.py", text.replace("def submit_add", again))
    world.solve(BOX0, "hw0/scale", "return Box(0)")
    done = world.process("test", "hw0")
    assert done.returncode == 1 and done.stdout.count("NotImplementedError") == 0
    place = f"{BOX0}:{world.read(BOX0).splitlines().index(STUB) + 1}"
    assert f"{place}: hw0/add is not written yet: 2 tests stop there" in done.stdout.splitlines()
    assert "test_scale" in done.stdout, "a real failure is shown as ever"


@pytest.mark.parametrize("text", ["{half", "[]", '{"results": [], "started": null, "hints": 1}'])
def test_a_broken_state_file_counts_as_empty(world, text):
    world.write(".hw/state.json", text)
    assert world.hw().returncode == 0


def test_reset_puts_the_stub_back_and_keeps_a_backup(world):
    stub = world.read(BOX0)
    world.solve(BOX0, "hw0/add", ADD)
    mine = world.read(BOX0)
    changed, backup = reset.reset(world.course(), world.course().problem("hw0/add"))
    assert changed == [BOX0] and world.read(BOX0) == stub
    assert world.read(f"{backup}/{BOX0}") == mine
    assert reset.reset(world.course(), world.course().problem("hw0/add")) == ([], "")


def test_reset_leaves_other_problems_alone(world):
    world.solve(BOX0, "hw0/add", ADD)
    world.solve(BOX0, "hw0/scale", "return Box(self.value * factor)")
    assert world.hw("reset", "hw0/scale").returncode == 0
    assert ADD in world.read(BOX0) and "hw0/scale: Box.scale is yours" in world.read(BOX0)


def test_reset_without_marks_changes_nothing(world):
    world.edit(BOX0, "### BEGIN YOUR SOLUTION hw0/add", "# mine")
    before = world.snapshot()
    done = world.hw("reset", "hw0/add")
    assert (
        done.returncode == 2
        and "the marks of hw0/add are not as the handout has them" in done.stderr
    )
    assert world.snapshot() == before


def test_hints_come_one_by_one_and_are_counted(world):
    texts = [world.hw("hint", "hw0/add").stdout for _ in range(4)]
    assert [("think" in t, "use +" in t, "add both" in t) for t in texts] == [
        (True, False, False),
        (False, True, False),
        (False, False, True),
        (False, False, True),
    ]
    assert json.loads(world.read(".hw/state.json"))["hints"] == {"hw0/add": 3}
    assert "think" in world.hw("hint", "hw0/add", "--level", "1").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("hint", "hw1/negate"),
        ("hint", "hw0/ad"),
        ("reset", "hw0/ad"),
        ("test", "hw8"),
        ("build", "nothing"),
        ("submit", "hw0/ad"),
        ("update", "nowhere"),
        ("start",),
        ("nonsense",),
        ("start", "hw0", "hw1"),
        ("hint", "hw0/add", "--level", "9"),
        ("reset", "hw0/add", "--bogus"),
        ("bench", "hw0"),
        ("viz", "curve", "nowhere.json"),
    ],
)
def test_bad_input_is_one_sentence_and_changes_nothing(world, arguments):
    before = world.snapshot()
    done = world.hw(*arguments)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert world.snapshot() == before


VERBS = set(vars(typer.main.get_command(app))["commands"]) - set(release.STAFFS_VERBS)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_explains_itself(world, verb):
    done = world.hw(verb, "--help")
    assert done.returncode == 0 and done.stdout.lower().startswith(f"usage: hw {verb}")
    row = next(r for r in world.hw("--help").stdout.splitlines() if r.startswith(f"  {verb} "))
    assert not row.endswith("..."), "the summary must fit on its line"


def test_a_suggestion_stays_in_the_homework_that_was_named(world):
    assert "hw1/negate" in world.hw("hint", "negate").stderr
    assert "hw1/negate" not in world.hw("hint", "hw0/negate").stderr


def test_pytest_refusing_its_arguments_is_no_verdict(world):
    done = world.process("test", "hw0", "--", "no_such_file.py")
    assert done.returncode == 2 and "no_such_file.py" in done.stderr
    assert "no tests ran |" not in done.stdout and "next: " not in done.stdout


def test_a_benchmark_measures_the_finished_homework(world, tmp_path):
    world.write(
        "shared/bench/hw0.py",
        "import os, sys\nsys.path.append('python')\n"
        "from minilib.box import Box\nprint(Box(2).add(Box(3)).value, sys.argv[1:])\n",
    )
    done = world.process("bench", "hw0", "--", "--fast")  # staff: the solved one
    assert done.returncode == 0 and done.stdout.strip() == "5 ['--fast']", done.stderr
    assert world.hw("release", str(tmp_path / "out")).returncode == 0
    student_world = type(world)(tmp_path / "out")
    done = student_world.process("bench", "hw0")
    assert done.returncode == 2 and "hw0/add is not written yet" in done.stderr
    student_world.solve(BOX0, "hw0/add", "return Box(self.value + other.value + 1)")
    student_world.solve(BOX0, "hw0/scale", "return Box(self.value * factor)")
    done = student_world.process("bench", "hw0")
    assert done.returncode == 0 and done.stdout.strip() == "6 []", done.stderr


def test_a_benchmark_in_parts_measures_what_is_written(world, tmp_path):
    script = "import os, sys\nprint({!r}, sys.argv[1:], os.environ.get('NEEDLE_BENCH_HISTORY'))\n"
    for part in ("rungs", "shapes"):
        world.write(f"shared/bench/hw0_{part}.py", script.format(part))
    done = world.process("bench", "hw0", "--", "shapes", "rungs", "--fast")
    assert done.stdout.splitlines() == ["shapes ['--fast'] None", "rungs ['--fast'] None"], (
        done.stderr
    )
    done = world.hw("bench", "hw0", "--", "mountains")
    assert done.returncode == 2
    assert "hw0's benchmark has no part 'mountains'; it has: rungs, shapes" in done.stderr
    assert world.hw("release", str(tmp_path / "out")).returncode == 0
    done = type(world)(tmp_path / "out").process("bench", "hw0", "--", "rungs")
    kept = tmp_path / "out" / ".hw" / "bench-hw0.json"
    assert done.stdout.strip() == f"rungs [] {kept}", "nothing is written, and nobody refuses"


def test_a_device_has_a_part_of_its_own_that_runs_when_it_is_asked_for(world):
    for part in ("cuda", "shapes"):
        world.write(f"shared/bench/hw0_{part}.py", f"import sys\nprint({part!r}, sys.argv[1:])\n")
    assert world.process("bench", "hw0").stdout.splitlines() == ["shapes []"]
    assert world.process("bench", "hw0", "--", "cuda").stdout.splitlines() == ["cuda []"]


def test_what_keeps_a_benchmark_from_running_is_one_sentence(world, tmp_path):
    for end, told in (
        ("abort()", "SIGABRT: something gave up"),
        ("_exit(3)", "it ended Python with status 3"),
    ):
        world.write("shared/bench/hw0.py", f"import os\nos.{end}\n")
        done = world.process("bench", "hw0")
        assert done.returncode == 2 and done.stderr.count("\n") == 1
        assert done.stderr.startswith(f"hw: hw0.py did not finish: {told}")
    assert world.hw("release", str(tmp_path / "out")).returncode == 0
    student_world = type(world)(tmp_path / "out")
    student_world.solve(BOX0, "hw0/add", "return Box(")
    done = student_world.hw("bench", "hw0")
    assert done.returncode == 2 and f"{BOX0}:" in done.stderr and "SyntaxError" in done.stderr


@pytest.mark.parametrize("name", ["typer", "rich"])
def test_ctrl_c_while_the_command_loads_says_nothing(world, name):
    world.write(f"planted/{name}.py", "raise KeyboardInterrupt\n")
    shared = str(Path(run.__file__).parents[2])
    path = os.pathsep.join([str(world.root / "planted"), shared])
    done = world.process("doctor", PYTHONPATH=path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_to_import_the_command_changes_nothing_for_others():
    asked = "import sys, coursekit.cli; print(sys.excepthook is sys.__excepthook__)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True)
    assert done.stdout == "True\n"


def test_what_the_system_refuses_is_one_sentence(world, monkeypatch):
    world.write(".hw", "")
    done = world.hw("start", "hw0")
    assert done.returncode == 2 and done.stderr.startswith(f"hw: {world.root / '.hw'}")
    assert len(done.stderr.strip().splitlines()) == 1

    def gone():
        raise FileNotFoundError

    monkeypatch.setattr(os, "getcwd", gone)
    with pytest.raises(CourseError, match="the current folder is gone"):
        syllabus.find_root()


@pytest.mark.parametrize("verb", ["test", "submit", "bench"])
def test_a_homework_that_is_gone_is_one_sentence(world, tmp_path, verb):
    assert world.hw("release", str(tmp_path / "out")).returncode == 0
    there = type(world)(tmp_path / "out")
    there.write("shared/bench/hw0.py", "")
    shutil.rmtree(there.root / "hw0")
    done = there.hw(verb, "hw0")
    assert done.returncode == 2 and "the folder hw0 is missing" in done.stderr


def test_outside_of_a_course_the_tools_own_course_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (syllabus.find_root() / "course.toml").is_file()


def test_doctor_names_the_mending_command(world, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv("CXX", raising=False)
    found = {finding.what: finding for finding in doctor.examine(world.course())}
    assert found["Python"].word == "ok"
    assert found["C++ compiler"].word == "MISSING" and "install" in found["C++ compiler"].mend
    assert found["git"].word == "MISSING" and "git-scm.com" in found["git"].mend
    done = world.hw("doctor")
    assert done.returncode == 1 and "git-scm.com" in done.stdout


def test_doctor_notes_what_pictures_and_notebooks_need(world, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n: None if n in ("matplotlib", "ipykernel") else real(n)
    )
    found = {finding.what: finding for finding in doctor.examine(world.course())}
    for row in ("pictures", "notebooks"):
        assert found[row].word == "note" and "-m pip install '" in found[row].detail
    assert not {"pictures", "notebooks"} & {f.what for f in doctor.faults(list(found.values()))}


# ------------------------------------------------------------------------------------- counting


def test_blank_lines_comments_and_docstrings_are_no_code():
    text = '"""Doc\n\nmore."""\n\n# comment\nimport os\n\n\ndef f(a,\n      b):\n    """Doc."""\n    return """a\nb"""  # text\n'
    assert count.count(text) == 5


def test_tokens_are_counted_and_two_statements_on_a_line_refused():
    assert count.size('"""Doc."""\nx = f(1)  # text\n') == (1, 6)
    # As many on a Python that takes f-strings apart (3.12) as on one that does not.
    assert count.size('x = f"{a:{b}} and {{c}}{1!r}" + d\n') == (1, 5)
    for text in ("x = 1; y = 2\n", "if x: y = 2\n"):
        with pytest.raises(ValueError, match="line 1 holds two statements"):
            count.size(text)


def test_an_unreadable_error_never_hides_the_sentence():
    assert str(CourseError("wrong", "a.py", 3)) == "a.py:3: wrong"
