"""needle against PyTorch, inside the solved homework 4: `make parity` installs PyTorch and runs this.

PyTorch is nobody's dependency: the students' tests have NumPy in float64 as their oracle, and this is
a second one.
"""

import sys

import inside
import pytest

inside.enter("hw4")
sys.path.append(str(inside.ROOT / "shared" / "bench"))


@pytest.fixture
def fused(request):
    """Fused kernels on, or every layer by its own operators."""
    from needle import kernels

    with kernels("given" if request.param else "own"):
        yield request.param
