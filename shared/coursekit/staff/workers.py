"""For staff's tests: what their parallel workers need is made by one of them for all."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from coursekit.core.kept_builds import locked


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """once(name, make): make(path) is called by the first worker that asks; returns the path."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def path_of(name: str, make: Callable[[Path], object]) -> Path:
        done = shared / f"{name}.done"
        with locked(shared / f"{name}.lock"):
            if not done.exists():
                make(shared / name)
                done.touch()
        return shared / name

    return path_of
