"""The CPU device beyond the students' tests: other processors,
kernels that spare copies, threads, forks and memory."""

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KERNELS = ROOT / "shared" / "reference" / "src" / "ndarray_backend_cpu.cc"

sys.path.append(str(ROOT / "shared" / "kernels" / "tests"))
import compiling  # noqa: E402


def compile_kernels(flags, folder, compiler=compiling.COMPILER):
    """The program kernels.cc: the reference's kernels, and the given ones that they need."""
    sources = [Path(__file__).with_name("kernels.cc"), KERNELS, *compiling.SOURCES]
    flags = [*flags, f"-I{KERNELS.parent}"]
    return compiling.compile_program(sources, folder / "kernels", flags, compiler)


@pytest.mark.parametrize("processor", compiling.PROCESSORS)
def test_kernels_are_right_on_other_processors(processor, tmp_path):
    flags, needs = compiling.PROCESSORS[processor]
    if needs and not compiling.makes_x86_64():
        pytest.skip("the compiler does not make x86-64 code")
    program = compile_kernels(flags, tmp_path)
    if missing := compiling.lacks(needs):
        pytest.skip(f"compiled, not run: this processor is not known to have {', '.join(missing)}")
    compiling.assert_right(program)


def test_kernels_are_right_on_aarch64(tmp_path):
    compiler = os.environ.get("AARCH64_CXX", "aarch64-linux-gnu-g++")
    if shutil.which(compiler) is None:
        warnings.warn(
            "AArch64 NOT CHECKED: no cross compiler (Debian: apt-get install g++-aarch64-linux-gnu)",
            stacklevel=1,
        )
        pytest.skip("no cross compiler for AArch64")
    program = compile_kernels(["-static"], tmp_path, compiler)
    listing = subprocess.run(
        [compiler, *compiling.FLAGS, "-S", "-o", "-", str(KERNELS)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "fmla\tv" in listing, "the matrix kernel should use NEON's fused multiply-add"
    emulator = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    if emulator is None:
        warnings.warn(
            "AArch64 compiled, NOT RUN: no emulator (Debian: apt-get install qemu-user)",
            stacklevel=1,
        )
    else:
        compiling.assert_right(emulator, program)


RANDOM_VIEWS = """
import numpy as np
from needle import backend_ndarray as nd

rng = np.random.RandomState(SEED)
operators = [lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / b,
             lambda a, b: a == b, lambda a, b: a >= b]

def view(shape):
    "The same random view as a NumPy array and as an NDArray."
    kind = rng.randint(4)
    if kind == 0:
        x = rng.randint(-3, 4, shape)
        return x, nd.array(x)
    if kind == 1:
        x = rng.randint(-3, 4, [n if rng.rand() < 0.5 else 1 for n in shape])
        return np.broadcast_to(x, shape), nd.array(x).broadcast_to(shape)
    if kind == 2:
        order = rng.permutation(len(shape))
        x = rng.randint(-3, 4, [shape[i] for i in order])
        back = tuple(int(i) for i in np.argsort(order))
        return x.transpose(back), nd.array(x).permute(back)
    x = rng.randint(-3, 4, [2 * n + 1 for n in shape])
    index = tuple(slice(1, 1 + 2 * n, 2) for n in shape)
    return x[index], nd.array(x)[index]

def same(actual, desired):
    np.testing.assert_allclose(actual.numpy(), desired, rtol=1e-5)

for trial in range(150):
    shape = tuple(int(n) for n in rng.randint(1, 7, rng.randint(1, 5)))
    if trial % 50 == 0:
        shape = (300, 5, 200)  # enough for several threads
    (x, a), (y, b) = view(shape), view(shape)
    for f in operators:
        with np.errstate(all="ignore"):
            same(f(a, b), f(x.astype("float32"), y.astype("float32")))
    same(nd.maximum(a, b), np.maximum(x, y))
    for axis in range(len(shape)):
        for array in (a, a.compact()):
            same(array.sum(axis), x.sum(axis))
            same(array.max(axis, keepdims=True), x.max(axis, keepdims=True))
    if len(shape) > 2:
        same(a.compact().sum((1, 0)), x.sum((0, 1)))
        same(a.max((-1, 1)), x.max((1, -1)))
    m, n, p = (int(k) for k in rng.randint(1, 40, 3))
    (u, c), (v, d) = view((2, m, n)), view((1, n, p))
    same(c @ d, u @ v)
"""

IN_A_FORK = """
import os
import numpy as np
from needle import backend_ndarray as nd

a = nd.array(np.ones((600, 600)))
a @ a  # starts the threads
child = os.fork()
if child == 0:
    os._exit(0 if (a @ a).numpy()[0, 0] == 600 else 1)  # a child has none of its parent's threads
assert os.waitpid(child, 0)[1] == 0
"""

FROM_MANY_THREADS = """
import threading
import numpy as np
from needle import backend_ndarray as nd

x = np.random.RandomState(0).randn(300, 300).astype("float32")
a, desired, wrong = nd.array(x), x @ x, []

def work():
    for _ in range(20):
        if not np.allclose((a @ a).numpy(), desired, atol=1e-3):
            wrong.append(1)

threads = [threading.Thread(target=work) for _ in range(4)]
[t.start() for t in threads], [t.join() for t in threads]
assert not wrong
"""

MEMORY = """
import resource
import numpy as np
from needle import backend_ndarray as nd

a = nd.array(np.ones(1 << 22))
for _ in range(50):
    b = a + 1.0
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(500):
    b = a + 1.0
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4096  # KiB
"""


def run(solved, stage, code, **variables):
    environment = {**os.environ, "PYTHONPATH": "python", "NEEDLE_BACKEND": "nd", **variables}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=solved / stage,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("threads", ["1", "3"])
@pytest.mark.parametrize("stage", ["hw3", "hw4"])
def test_operators_on_random_views_agree_with_numpy(stage, threads, solved):
    run(solved, stage, RANDOM_VIEWS.replace("SEED", threads), NEEDLE_NUM_THREADS=threads)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()")
def test_a_forked_child_computes_with_threads_of_its_own(solved):
    run(solved, "hw3", IN_A_FORK, NEEDLE_NUM_THREADS="2")


def test_kernels_may_be_called_from_many_python_threads(solved):
    run(solved, "hw3", FROM_MANY_THREADS, NEEDLE_NUM_THREADS="2")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss counts differently")
def test_temporaries_reuse_memory(solved):
    run(solved, "hw3", MEMORY)
