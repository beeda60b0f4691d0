"""A homework in a temporary folder, a fake grader, and the command in this process."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import nursery
from fake import KEY, FakeGrader
from mugrade import cli
from mugrade.cli.staff import publication
from mugrade.client import run as running
from mugrade.client.check import by_problem
from mugrade.client.run import run_hooks
from mugrade.plan import Plan

WORK = """
import numpy as np

def double(x):
    return 2 * x

def norm(x):
    return np.sqrt((x ** 2).sum())
"""

HOOKS = """
import sys
sys.path.append("./src")
import numpy as np
import work

def test_double():
    assert work.double(2) == 4

def submit_double():
    import mugrade
    x = mugrade.rng().randn(3, 4)
    mugrade.submit(work.double(x), label="a matrix")
    mugrade.submit(work.double(np.random.rand()), label="a number")

def submit_norm():
    import mugrade
    for n in (2, 5):
        mugrade.submit(work.norm(mugrade.rng().randn(n)), label=f"n = {n}")
"""


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the developer's own key, and none waits between retries."""
    home = tmp_path / "home"
    for name in ("MUGRADE_KEY", "MUGRADE_SERVER", "MUGRADE_DIALECT", "MUGRADE_RUN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MUGRADE_HOME", str(home))
    monkeypatch.setenv("MUGRADE_KEYRING", "off")
    monkeypatch.setattr("mugrade.client.grader._pause", lambda attempt, wait: 0.0)
    monkeypatch.setattr("mugrade.cli.app._trust_the_systems_certificates", lambda: None)
    return home


@pytest.fixture(scope="session")
def forks() -> Iterator[nursery.Nursery]:
    made = nursery.Nursery()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def hooks_in_forks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for test_hooks.py, and where a person debugs."""
    new_process = running._start

    def start(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[int, str]:
        shown = any(flag in running.SHOWN for flag in command)
        if shown or not nursery.can_be_forked(environment):
            return new_process(command, folder, environment)
        return request.getfixturevalue("forks").start(command, folder, environment)

    if request.path.name != "test_hooks.py":
        monkeypatch.setattr(running, "_start", start)


@pytest.fixture
def homework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A solved homework; the current folder."""
    folder = make_homework(tmp_path / "hw0")
    monkeypatch.chdir(folder)
    return folder


def make_homework(folder: Path) -> Path:
    (folder / "src").mkdir(parents=True)
    (folder / "tests").mkdir()
    (folder / "src" / "work.py").write_text(WORK)
    (folder / "tests" / "test_work.py").write_text(HOOKS)
    return folder


@pytest.fixture(scope="session")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """What `mugrade publish hw0` sends, by problem; computed once, the hooks always give the same."""
    folder = make_homework(tmp_path_factory.mktemp("solved") / "hw0")
    results = by_problem(run_hooks(Plan("hw0", out="", pool=2), folder))
    return {problem: publication(variants) for problem, variants in results.items()}


@pytest.fixture
def rewrite(homework: Path) -> Callable[[str, str], None]:
    """Change the student's file; the modification time moves on, so that no stale bytecode is used."""

    def change(old: str, new: str) -> None:
        path = homework / "src" / "work.py"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        for cached in (homework / "src").glob("__pycache__/*"):
            cached.unlink()

    return change


@pytest.fixture
def grader(monkeypatch: pytest.MonkeyPatch, answers: dict[str, dict]):
    with FakeGrader() as fake:
        fake.answers = answers
        monkeypatch.setenv("MUGRADE_SERVER", fake.url)
        monkeypatch.setenv("MUGRADE_KEY", KEY)
        yield fake


@pytest.fixture
def mugrade(capfd: pytest.CaptureFixture) -> Callable[..., SimpleNamespace]:
    """Run a command line; returns status, out and err."""

    def run(*words: str) -> SimpleNamespace:
        capfd.readouterr()
        status = cli.run(list(words))
        captured = capfd.readouterr()
        return SimpleNamespace(status=status, out=captured.out, err=captured.err, at=time.time())

    return run
