"""What a hook may rely on: copies, seeds, printing, and a plugin that is inert by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import mugrade
import numpy as np
import pytest
from mugrade.client import run
from mugrade.client.errors import UsageFault
from mugrade.client.run import PATIENCE, run_hooks
from mugrade.encoding import decode
from mugrade.plan import Plan
from mugrade.recorder import Recording, recording, variant_seed


def hook(target: Recording, body) -> list:
    with recording(target):
        body()
    return [decode(case.value) for case in target.cases]


def test_values_are_copied_when_they_are_submitted():
    def body():
        x = np.zeros(3)
        mugrade.submit(x)
        x[:] = 7
        mugrade.submit(x)

    first, second = hook(Recording(1), body)
    assert first.values.tolist() == [0, 0, 0] and second.values.tolist() == [7, 7, 7]


def test_every_case_draws_the_same_alone_and_after_others():
    def draws(before: int):
        def body():
            for _ in range(before):
                mugrade.rng().rand(11)
                np.random.rand(3)
            mugrade.submit(0)
            mugrade.submit([float(np.random.rand()), float(mugrade.rng().rand())])

        return hook(Recording(5), body)[1]

    assert draws(0) == draws(4)


def test_two_operands_of_a_case_differ():
    def body():
        mugrade.submit([float(mugrade.rng().rand()), float(mugrade.rng().rand())])

    (pair,) = hook(Recording(5), body)
    assert pair[0] != pair[1]


def test_variants_draw_different_inputs_and_the_seed_is_visible():
    def body():
        mugrade.submit([float(mugrade.rng().rand()), mugrade.seed])

    a, b = (hook(Recording(variant_seed("hw0", "p", v)), body)[0] for v in (0, 1))
    assert a != b and a[1] == variant_seed("hw0", "p", 0)


def test_the_seed_of_a_variant_is_part_of_the_wire_format():
    assert variant_seed("hw0", "softmax_loss", 0) == 2750442935


def test_the_callers_random_state_comes_back():
    np.random.seed(3)
    expected = np.random.rand()
    np.random.seed(3)
    hook(Recording(1), lambda: mugrade.submit(np.random.rand()))
    assert np.random.rand() == expected


def test_without_a_submission_the_value_is_printed(capsys):
    mugrade.submit(42, label="the answer")
    mugrade.submit([1])
    assert capsys.readouterr().out == "the answer: 42\n[1]\n"
    assert mugrade.rng().rand(3).shape == (3,)


def test_a_type_that_cannot_travel_is_named():
    with pytest.raises(ValueError, match=r"builtins\.set"):
        hook(Recording(1), lambda: mugrade.submit({1}))


def test_an_endless_loop_of_cases_is_stopped():
    def body():
        while True:
            mugrade.submit(1)

    with pytest.raises(ValueError, match="loop"):
        hook(Recording(1), body)


def test_two_recordings_do_not_see_each_other():
    inner = Recording(2)

    def body():
        mugrade.submit(1)
        with recording(inner):
            mugrade.submit(2)
        mugrade.submit(3)

    assert hook(Recording(1), body) == [1, 3]
    assert [case.value for case in inner.cases] == [2]


def test_the_plugin_alone_collects_only_ordinary_tests(homework, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(mugrade.__file__).parents[1]))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "mugrade.plugin", "-p", "no:randomly"],
        cwd=homework,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in done.stdout


def test_hooks_run_once_for_each_variant_with_its_seed(homework: Path):
    plan = Plan("hw0", out="", only=["norm"], variants={"norm": [[0, 11], [3, 12]]})
    results = run_hooks(plan, homework)
    assert [(r.variant, r.seed, r.outcome) for r in results] == [(0, 11, "ok"), (3, 12, "ok")]
    assert results[0].cases[0]["value"] != results[1].cases[0]["value"]


def test_a_selection_draws_what_the_whole_run_draws(homework: Path):
    whole = {r.problem: r.cases for r in run_hooks(Plan("hw0", out=""), homework)}
    alone = run_hooks(Plan("hw0", out=""), homework, select="norm")
    assert [r.problem for r in alone] == ["norm"]
    assert alone[0].cases == whole["norm"]


def test_a_plugins_option_in_the_homeworks_settings_does_no_harm(homework: Path, monkeypatch):
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", raising=False)
    (homework / "pytest.ini").write_text("[pytest]\naddopts = --timeout=60\n")
    assert run_hooks(Plan("hw0", out=""), homework, select="norm")[0].outcome == "ok"


def test_helpers_with_arguments_are_no_hooks(homework: Path):
    hooks = homework / "tests" / "test_work.py"
    hooks.write_text(hooks.read_text() + "\n\ndef submit_all(values, mugrade):\n    assert False\n")
    results = run_hooks(Plan("hw0", out=""), homework)
    assert sorted(r.problem for r in results) == ["double", "norm"]


# ------------------------------------------------------------ what does not end, or ends everything

ENDLESS = "while True: pass"


def test_an_endless_hook_costs_itself_and_says_where_it_was(homework: Path, rewrite):
    rewrite("return 2 * x", ENDLESS)
    double, norm = run_hooks(Plan("hw0", out=""), homework, seconds=2)
    assert (double.problem, double.outcome) == ("double", "crash")
    assert double.message == (
        "the hook did not end within 2 s (MUGRADE_HOOK_SECONDS): does a loop never end?"
    )
    (frame,) = double.trace
    assert (frame["file"], frame["line"]) == (str(homework / "src" / "work.py"), 5)
    assert (norm.problem, norm.outcome, len(norm.cases)) == ("norm", "ok", 2)


@pytest.mark.parametrize("limit, then", [(120, 30), (20, 10), (4, 4)])
def test_after_an_endless_hook_the_next_has_less_time(homework: Path, monkeypatch, limit, then):
    told = []

    def process(plan, *_):
        told.append((plan.only, plan.seconds, plan.reading))
        return [], [["norm"], []][len(told) - 1], True

    monkeypatch.setattr(run, "_run_once", process)
    run_hooks(Plan("hw0", out=""), homework, seconds=limit)
    assert told == [(None, limit, max(10, limit)), (["norm"], then, max(10, limit))]


def test_a_crash_costs_one_hook(homework: Path, rewrite):
    rewrite("return 2 * x", "import os; os.abort()")
    results = run_hooks(Plan("hw0", out=""), homework)
    assert [(r.problem, r.outcome) for r in results] == [("double", "crash"), ("norm", "ok")]


def test_tests_that_cannot_be_read_to_the_end_are_one_sentence(
    homework: Path, rewrite, monkeypatch
):
    monkeypatch.setattr(run, "LEAST", 1)
    rewrite("import numpy as np", ENDLESS)
    with pytest.raises(
        UsageFault, match=r"reading the tests did not end within 1 s (.*)\n  .*:2: "
    ):
        run_hooks(Plan("hw0", out=""), homework, seconds=1)


def test_a_module_that_ends_the_program_cannot_be_loaded(homework: Path, rewrite):
    rewrite("import numpy as np", "exit(3)")
    with pytest.raises(UsageFault, match=r"work.py:2: exit\(3\)\n  SystemExit: 3") as fault:
        run_hooks(Plan("hw0", out=""), homework)
    assert "INTERNALERROR" not in str(fault.value) and fault.value.code == "broken"


def test_how_long_a_hook_may_take_is_a_number(homework: Path, monkeypatch):
    monkeypatch.setenv(PATIENCE, "soon")
    with pytest.raises(UsageFault, match="MUGRADE_HOOK_SECONDS is 'soon'; expected a number"):
        run_hooks(Plan("hw0", out=""), homework)


def test_the_command_begins_without_pytest():
    """Only the process that runs hooks needs it; to import it takes longer than most commands do."""
    code = "import sys, mugrade.cli; print('pytest' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
