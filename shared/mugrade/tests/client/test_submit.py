"""A student's way: hooks run, values sent, verdicts shown, statuses returned."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


def test_published_answers_are_met_by_the_same_code(homework, grader, mugrade):
    assert mugrade("publish", "hw0").status == 0
    done = mugrade("submit", "hw0")
    assert done.status == 0, done.out + done.err
    assert "double" in done.out and "norm" in done.out and "FAIL" not in done.out
    assert "hw0: 10 of 20 points" in done.out


def test_a_wrong_case_is_named_with_label_place_and_kind(homework, grader, mugrade, rewrite):
    grader.publish()
    rewrite("np.sqrt((x ** 2).sum())", "np.sqrt((x ** 2).sum(keepdims=True))")
    done = mugrade("submit", "hw0", "norm")
    assert done.status == 1
    assert "n = 2" in done.out
    source = (homework / "tests" / "test_work.py").read_text().splitlines()
    line = next(i for i, text in enumerate(source, 1) if "work.norm" in text)
    assert f"tests/test_work.py:{line}" in done.out
    assert "shape (1,) where () is expected" in done.out
    assert all(len(line) <= 80 for line in done.out.splitlines())


def test_only_the_named_problem_is_sent(homework, grader, mugrade):
    grader.publish()
    assert mugrade("submit", "hw0", "norm").status == 0
    assert [request[1].split("/")[-2] for request in grader.paths("attempts")] == ["norm"]


def test_the_old_form_with_key_selection_and_pytest_flags(homework, grader, mugrade, monkeypatch):
    from fake import KEY

    grader.publish()
    monkeypatch.delenv("MUGRADE_KEY")
    done = mugrade("submit", KEY, "hw0", "-k", "norm", "-x", "--maxfail", "2")
    assert done.status == 0, done.err
    assert "command line" in done.err
    assert len(grader.paths("attempts")) == 1


def test_the_homework_is_found_from_the_folder_above(homework, grader, mugrade, monkeypatch):
    monkeypatch.chdir(homework.parent)
    assert mugrade("publish", "hw0").status == 0
    assert mugrade("submit", "hw0", "norm").status == 0


def test_without_a_name_the_folder_is_the_homework(homework, grader, mugrade):
    grader.publish()
    assert mugrade("submit").status == 0


def test_a_hook_that_is_not_written_yet_is_reported_without_traceback(
    homework, grader, mugrade, rewrite
):
    grader.publish()
    rewrite("return 2 * x", 'raise NotImplementedError("hw0/double: double is yours to write")')
    done = mugrade("submit", "hw0", "double")
    assert done.status == 1
    assert "not yet written" in done.out and "hw0/double" in done.out
    assert "Traceback" not in done.out + done.err
    assert not grader.paths("attempts")


def test_an_exception_shows_the_way_into_the_students_code(homework, grader, mugrade, rewrite):
    grader.publish()
    rewrite("return 2 * x", "return 2 * x.nothing")
    done = mugrade("submit", "hw0", "double")
    assert done.status == 1
    assert "src/work.py:5 in double" in done.out and "AttributeError" in done.out
    assert "pytest" not in done.out and "Traceback" not in done.out


def test_cases_before_an_exception_still_count(homework, grader, mugrade, rewrite):
    grader.publish()
    rewrite("return 2 * x", "return 2 * x[0:] if hasattr(x, 'shape') and x.shape else 1 / 0")
    done = mugrade("submit", "hw0", "double")
    body = grader.paths("attempts")[0][3]
    assert len(body["cases"]) == 1 and body["error"]["kind"] == "exception"
    assert "ERR" in done.out and "1/2" in done.out and done.status == 1


def test_a_crash_of_the_interpreter_is_a_result_like_any_other(homework, grader, mugrade, rewrite):
    grader.publish()
    rewrite("return 2 * x", "import os; os.abort()")
    done = mugrade("submit", "hw0", "double")
    assert done.status == 1
    assert "SIGABRT" in done.out and "compiled code" in " ".join(done.out.split())


def test_an_endless_hook_keeps_no_other_problem_from_the_grader(
    homework, grader, mugrade, rewrite, monkeypatch
):
    grader.publish()
    monkeypatch.setenv("MUGRADE_HOOK_SECONDS", "2")
    rewrite("return 2 * x", "while True: pass")
    done = mugrade("submit", "hw0")
    assert done.status == 1
    told = " ".join(done.out.split())
    assert "double: the hook did not end within 2 s (MUGRADE_HOOK_SECONDS)" in told
    assert "src/work.py:5 in double while True: pass" in told
    assert [path.split("/")[-2] for _, path, *_ in grader.paths("attempts")] == ["norm"]


def test_a_file_that_does_not_load_is_named(homework, grader, mugrade, rewrite):
    grader.publish()
    rewrite("return 2 * x", "return 2 *")
    done = mugrade("submit", "hw0")
    assert done.status == 2
    assert "SyntaxError" in done.err and "nothing was submitted" in done.err


def test_an_unknown_problem_lists_the_hooks(homework, grader, mugrade):
    done = mugrade("submit", "hw0", "nrm")
    assert done.status == 2
    assert "double, norm" in done.err


def test_a_folder_without_hooks_says_where_to_go(grader, mugrade, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = mugrade("submit")
    assert done.status == 2 and "mugrade submit hw0" in done.err


def test_an_unpublished_problem_is_not_sent(homework, grader, mugrade):
    mugrade("publish", "hw0", "norm")
    done = mugrade("submit", "hw0")
    assert done.status == 0
    assert "SKIP" in done.out and "not published" in done.out
    assert mugrade("submit", "hw0", "double").status == 2


def test_missing_hardware_has_its_own_status(homework, grader, mugrade):
    grader.publish()
    hooks = homework / "tests" / "test_work.py"
    hooks.write_text(
        hooks.read_text().replace(
            "def submit_norm():",
            'import pytest\n@pytest.mark.skipif(True, reason="needs a GPU")\ndef submit_norm():',
        )
    )
    assert mugrade("submit", "hw0", "norm").status == 7
    everything = mugrade("submit", "hw0")
    assert everything.status == 0 and "needs a GPU" in everything.out


def test_late_work_needs_consent(homework, grader, mugrade):
    grader.publish()
    grader.state = "late"
    refused = mugrade("submit", "hw0")
    assert refused.status == 6 and "--late" in refused.err
    assert not grader.paths("attempts")
    assert mugrade("submit", "hw0", "--late").status == 0


def test_a_closed_homework_is_refused_before_the_hooks_run(homework, grader, mugrade, rewrite):
    grader.publish()
    grader.state = "closed"
    rewrite("return 2 * x", "import os; os.abort()")
    done = mugrade("submit", "hw0")
    assert done.status == 6 and "closed" in done.err


def test_json_carries_everything_and_nothing_else(homework, grader, mugrade, rewrite):
    grader.publish()
    rewrite("return 2 * x", "return 3 * x")
    done = mugrade("submit", "hw0", "--json")
    report = json.loads(done.out)
    assert report["exit"] == done.status == 1
    row = next(row for row in report["rows"] if row["problem"] == "double")
    assert row["word"] == "FAIL" and row["failures"][0]["kind"] == "values"
    assert [failure["case"] for failure in row["failures"]] == list(range(1, row["cases"] + 1))
    assert done.err == ""


def test_a_report_file_holds_what_json_prints(homework, grader, mugrade, tmp_path):
    grader.publish()
    done = mugrade("submit", "hw0", "--report", str(tmp_path / "report.json"))
    report = json.loads((tmp_path / "report.json").read_text())
    assert done.status == report["exit"] == 0 and "points" in done.out
    assert {row["word"] for row in report["rows"]} == {"ok"}


def test_the_key_never_reaches_the_students_code(homework, grader, mugrade, rewrite):
    grader.publish()
    rewrite("return 2 * x", 'import os; assert "MUGRADE_KEY" not in os.environ; return 2 * x')
    assert mugrade("submit", "hw0", "double").status == 0


def test_source_files_go_along_as_a_manifest(homework, grader, mugrade):
    grader.publish()
    mugrade("submit", "hw0", "norm", "--source", "src/work.py")
    source = grader.paths("attempts")[0][3]["source"]
    assert [entry["path"] for entry in source] == ["src/work.py"]
    assert "def double" in source[0]["text"]


def test_run_shows_the_cases_of_the_own_variant(homework, grader, mugrade):
    grader.publish()
    done = mugrade("run", "hw0", "double", "--case", "2")
    assert done.status == 0, done.err
    assert "a number" in done.out and "a matrix" not in done.out
    assert not grader.paths("attempts")


def test_run_works_without_any_grader(homework, mugrade):
    done = mugrade("run", "hw0", "double")
    assert done.status == 0 and "float64 array (3, 4)" in done.out
    assert "variant 0" in " ".join(done.err.split())


@pytest.mark.parametrize("case, line", [(1, "import mugrade"), (2, "np.random.rand()")])
def test_a_case_can_be_stepped_through_in_the_debugger(homework, own_home, case, line):
    """It stops before the case is computed, in the hook and not inside the package."""
    done = subprocess.run(
        [sys.executable, "-m", "mugrade", "run", "hw0", "double", "--case", str(case), "--pdb"],
        input="w\nc\n",
        capture_output=True,
        text=True,
        env={**os.environ, "MUGRADE_HOME": str(own_home)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    first_stop = done.stdout.split("(Pdb)")[0].splitlines()
    assert "submit_double()" in first_stop[-2] and line in first_stop[-1]
    assert f"case {case} (" in done.stdout.split("(Pdb)")[-1]
