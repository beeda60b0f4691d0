"""The benchmarks without PyTorch, and on homeworks that fail: figures or one sentence, no traceback."""

import os
import signal
import subprocess
import sys
from functools import partial

import inside
import pytest

sys.path.append(str(inside.ROOT / "shared" / "bench"))
import measure
import sides

BENCH = inside.ROOT / "shared" / "bench"
SHORT = {
    "hw1": ["--repetitions", "1"],
    "hw2": ["--repetitions", "1"],
    "hw4": ["--only", "e", "--rounds", "1", "--seconds", "0.01"],
}
LAST = "PyTorch is not installed: its columns are dashes; to compare with it: "


def bench(stage, tree, no_torch, **how):
    """A short run of the homework's benchmark inside a tree, on a machine without PyTorch."""
    (no_torch / "torch.py").write_text("raise ImportError\n")
    return subprocess.run(
        [sys.executable, str(BENCH / f"{stage}.py"), *SHORT[stage]],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(no_torch)},
        capture_output=True,
        text=True,
        **how,
    )


@pytest.mark.parametrize("stage", SHORT)
def test_without_pytorch_needles_own_figures_stand_beside_dashes(stage, solved, tmp_path):
    done = bench(stage, solved / stage, tmp_path)
    assert done.returncode == 0 and not done.stderr, done.stderr
    rows = done.stdout.splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows if row[:1] == "|"]
    ours = [row for row in cells if row[0] in ("add", "needle") or row[0].startswith("(e)")]
    assert ours and all(float(row[1]) > 0 and "-" in row[2:] for row in ours)
    assert "nan" not in done.stdout and rows[-1].startswith(LAST) and rows[-1].endswith("torch")


@pytest.mark.parametrize("stage", SHORT)
def test_a_homework_that_fails_is_one_sentence_with_its_line(stage, tmp_path):
    needle = tmp_path / stage / "python" / "needle"
    needle.mkdir(parents=True)
    (needle / "__init__.py").write_text('\nraise MemoryError("no room\\nfor it")\n')
    done = bench(stage, tmp_path / stage, tmp_path)
    assert done.returncode == 1
    said = f"python/needle/__init__.py:2: MemoryError: no room; hw test {stage} says more\n"
    assert done.stderr == said


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals")
def test_ctrl_c_is_one_word(tmp_path):
    needle = tmp_path / "python" / "needle"
    needle.mkdir(parents=True)
    interrupts = "import os, signal, time\nos.kill(os.getppid(), signal.SIGINT)\ntime.sleep(600)\n"
    (needle / "__init__.py").write_text(interrupts)
    # As on a terminal: what a shell starts in the background is deaf to Ctrl-C.
    listening = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    done = bench("hw4", tmp_path, tmp_path, preexec_fn=listening)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "stopped\n")


def side(*words):
    return sides.Side("needle", [sys.executable, "-c", "; ".join(words)])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals")
def test_a_side_that_is_ended_from_outside_is_one_sentence():
    with pytest.raises(SystemExit, match="needle was ended by SIGABRT"):
        side("import os", "os.abort()").answer()
    asked = side("input()", "input()")
    os.kill(asked.process.pid, signal.SIGKILL)
    with pytest.raises(SystemExit, match="SIGKILL: did it ask for more memory than there is"):
        asked.answer("a question")


def test_what_a_side_prints_besides_is_no_answer(capfd):
    asked = side(f"import sys; sys.path.append({str(BENCH)!r})", "import sides", "sides.listen()", "print('debugging')", "sides.reply([1, float('nan')])")  # fmt: skip
    one, missing = asked.answer()
    asked.end()
    assert one == 1 and missing != missing and capfd.readouterr().err == "debugging\n"


def test_a_side_that_has_told_its_fault_is_not_told_again():
    with pytest.raises(SystemExit) as fault:
        side("import sys", "sys.exit(1)").answer()
    assert fault.value.code == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals")
def test_ctrl_c_reaches_the_asking_program_alone():
    asked = side("print(1)", "input()", "print(2)")
    assert os.getpgid(asked.process.pid) != os.getpgid(0)
    asked.process.kill()
    asked.end()


def test_a_contender_that_is_not_there_has_no_time(capsys):
    class Chosen:
        clock, repetitions = "cpu", 1

    times = measure.medians({"needle": lambda: 1, "PyTorch": None}, Chosen, 0, 0)
    assert times["needle"] >= 0 and times["PyTorch"] != times["PyTorch"]
    measure.table(["", "seconds"], [[name, f"{time:.1f}"] for name, time in times.items()])
    assert capsys.readouterr().out.splitlines()[-1].split() == ["|", "PyTorch", "|", "-", "|"]
