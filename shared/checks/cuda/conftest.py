"""What the tests of the CUDA sources share."""

from pathlib import Path

import pytest
from coursekit.core import syllabus
from coursekit.staff import render

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def handout(tmp_path_factory):
    """Homework 3 as students get it, not built."""
    folder = tmp_path_factory.mktemp("handout")
    render.render_out(syllabus.load(ROOT), folder, ["hw3"], warn=lambda sentence: None)
    return folder / "hw3"
