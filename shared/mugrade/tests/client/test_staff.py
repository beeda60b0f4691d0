"""Publishing and its self-check."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from fake import KEY
from mugrade.cli import display
from mugrade.client.check import is_empty
from mugrade.encoding import encode
from mugrade.recorder import solo_seed, variant_seed


def replace(path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture
def hooks(homework):
    return homework / "tests" / "test_work.py"


def test_publish_sends_labels_seeds_and_one_list_of_values_a_variant(homework, grader, mugrade):
    done = mugrade("publish", "hw0", "norm", "--variants", "3", "--rtol", "1e-4", "--note", "first")
    assert done.status == 0, done.out + done.err
    body = grader.published["norm"]
    assert body["labels"] == ["n = 2", "n = 5"]
    assert [v["seed"] for v in body["variants"]] == [
        variant_seed("hw0", "norm", v) for v in range(3)
    ]
    assert all(len(v["values"]) == 2 for v in body["variants"])
    assert body["tolerance"] == {"rtol": 1e-4, "ascale": 1e-6, "atol": 0.0, "dtype": False}
    assert body["note"] == "first"


def test_publish_in_the_old_form(homework, grader, mugrade, monkeypatch):
    monkeypatch.delenv("MUGRADE_KEY")
    assert mugrade("publish", KEY, "hw0", "-k", "norm").status == 0
    assert list(grader.published) == ["norm"]


def test_the_pool_is_what_the_course_says(homework, grader, mugrade):
    mugrade("publish", "hw0", "norm")
    mugrade("publish", "hw0", "norm")
    assert len(grader.published["norm"]["variants"]) == 2


def test_a_hook_that_fails_on_the_reference_is_not_published(homework, grader, mugrade, rewrite):
    rewrite("return 2 * x", "return 1 / 0")
    done = mugrade("publish", "hw0")
    assert done.status == 1 and "ZeroDivisionError" in done.out
    assert list(grader.published) == ["norm"]


def test_a_hook_that_is_not_deterministic_is_refused(homework, grader, mugrade, rewrite):
    rewrite("return 2 * x", "import os; return 2 * x + os.urandom(1)[0] + os.urandom(1)[0] / 7")
    done = mugrade("publish", "hw0", "double")
    assert done.status == 1 and "second run" in " ".join(done.out.split())
    assert not grader.published


def test_an_empty_case_is_refused(homework, grader, mugrade, hooks):
    replace(
        hooks, "mugrade.submit(work.double(x), label", "mugrade.submit(work.double(x[:0]), label"
    )
    done = mugrade("check", "hw0", "double")
    assert done.status == 1 and "is empty" in " ".join(done.out.split())


def test_a_case_that_is_constant_while_others_vary_is_refused(homework, grader, mugrade, hooks):
    replace(hooks, "mugrade.rng().randn(3, 4)", "np.ones((3, 4))")
    done = mugrade("publish", "hw0", "double", "--variants", "2")
    assert done.status == 1 and "every variant" in " ".join(done.out.split())
    assert mugrade("publish", "hw0", "double", "--variants", "2", "--allow-constant").status == 0
    assert grader.published["double"]["constant_cases"] == [0]


@pytest.fixture
def copy(homework, tmp_path):
    """Make a copy of the solved tree with one line of `src/work.py` or of the hooks changed."""

    def make(name: str, old: str, new: str, file: str = "src/work.py"):
        tree = tmp_path / name
        shutil.copytree(homework, tree, ignore=shutil.ignore_patterns("__pycache__"))
        replace(tree / file, old, new)
        return tree

    return make


def test_wrong_trees_must_differ(homework, mugrade, copy):
    wrong = copy("wrong", "return 2 * x", "return 2.0001 * x")
    unwritten = copy("unwritten", "return 2 * x", 'raise NotImplementedError("hw0/double")')
    broken = copy("broken", "import numpy as np", "import numpy as np, no_such_module")
    options = [word for tree in (wrong, unwritten, broken) for word in ("--must-differ", str(tree))]
    good = mugrade("check", "hw0", "double", *options)
    assert good.status == 0, good.out + good.err
    same = copy("same", "return 2 * x", "return x + x")
    bad = mugrade("check", "hw0", "double", "--must-differ", str(same))
    assert bad.status == 1 and "matches in every case" in " ".join(bad.out.split())


def test_a_wrong_tree_that_is_right_in_one_variant_is_found(homework, mugrade, copy):
    seed = variant_seed("hw0", "norm", 1)
    lucky = copy(
        "lucky", "work.norm(m", f"(mugrade.seed == {seed}) * work.norm(m", "tests/test_work.py"
    )
    assert (
        mugrade("check", "hw0", "norm", "--variants", "1", "--must-differ", str(lucky)).status == 0
    )
    done = mugrade("check", "hw0", "norm", "--must-differ", str(lucky))
    assert done.status == 1 and "variant 1" in " ".join(done.out.split())


def test_not_one_case_of_the_empty_handout_may_match(homework, mugrade, copy):
    generous = copy("generous", "work.double(np", "2 * (np", "tests/test_work.py")
    replace(generous / "src" / "work.py", "return 2 * x", "return None")
    assert mugrade("check", "hw0", "double", "--must-differ", str(generous)).status == 0
    done = mugrade("check", "hw0", "double", "--empty", str(generous))
    assert done.status == 1 and "points for nothing" in " ".join(done.out.split())


def test_a_mutant_of_one_problem_is_not_asked_about_others(homework, mugrade, copy):
    mutant = copy("mutant", "return 2 * x", "return 3 * x")
    assert mugrade("check", "hw0", "--must-differ", str(mutant)).status == 1  # norm is right in it
    assert mugrade("check", "hw0", "--must-differ", f"double={mutant}").status == 0


def test_a_tree_that_is_not_there_is_a_sentence(homework, mugrade, tmp_path):
    done = mugrade("check", "hw0", "--must-differ", str(tmp_path / "nowhere"))
    assert done.status == 2 and "There is no folder" in done.err


def test_values_must_agree_in_other_environments(homework, mugrade, rewrite):
    rewrite("return 2 * x", 'import os; return 2 * x + float(os.environ.get("SHIFT", 0))')
    assert mugrade("check", "hw0", "double", "--vary", "OTHER=1").status == 0
    done = mugrade("check", "hw0", "double", "--vary", "SHIFT=0.01", "--json")
    assert done.status == 1
    assert "SHIFT=0.01" in json.loads(done.out)["double"][0]


def test_check_needs_no_grader(homework, mugrade):
    assert mugrade("check", "hw0").status == 0


@pytest.mark.parametrize("value", [[], {}, "", None, [[], []], np.zeros((0, 3)), {"x": []}])
def test_empty_values(value):
    assert is_empty(encode(value))


@pytest.mark.parametrize("value", [0, False, [0], np.zeros(1), {"x": [[], 1]}, "a"])
def test_values_that_are_not_empty(value):
    assert not is_empty(encode(value))


def test_publish_solo_sends_the_one_variant_that_no_class_has(homework, grader, mugrade):
    done = mugrade("publish", "hw0", "norm", "--solo", "--unchecked")
    assert done.status == 0, done.err
    body = grader.published["norm"]
    assert [(v["variant"], v["seed"]) for v in body["variants"]] == [(0, solo_seed("hw0", "norm"))]


@pytest.mark.parametrize("ready", [[], ["--ready"]])
def test_a_key_that_may_not_publish_is_told_before_any_hook_runs(
    homework, grader, mugrade, monkeypatch, ready
):
    grader.scopes = ["read", "submit"]
    monkeypatch.setattr("mugrade.client.check.run_hooks", lambda *a, **o: pytest.fail("ran"))
    done = mugrade("publish", "hw0", *ready)
    assert done.status == 3
    assert "your key has read, submit" in done.err and "--scope publish" in done.err


def test_ready_only_looks(homework, grader, mugrade, monkeypatch):
    monkeypatch.setattr("mugrade.client.check.run_hooks", lambda *a, **o: pytest.fail("ran"))
    assert mugrade("publish", "hw0", "--ready").status == 0 and not grader.published


def test_long_work_tells_what_is_left_of_it(monkeypatch, capsys):
    clock = iter(range(0, 1000, 12))
    monkeypatch.setattr(display.time, "monotonic", lambda: next(clock))
    with display.Screen().progress() as step:
        for done in range(5):
            step("Work", done, 5)
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "Work: 0 of 5",
        "Work: 1 of 5, about 48 seconds left",
        "Work: 2 of 5, about 36 seconds left",
        "Work: 3 of 5, about 24 seconds left",
        "Work: 4 of 5, about 12 seconds left",
    ]
