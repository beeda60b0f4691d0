"""The devices that homework 3's tests run on, pairs of NumPy arrays and NDArrays, random views.

NumPy is the oracle throughout. The same tests run on cpu() (C++), cuda() (CUDA, on a GPU or
emulated) and, for the views, on cpu_numpy(). Results that only move numbers must be exact.
NEEDLE_DEVICES=cpu, which `hw test hw3 --device cpu` sets, leaves the other devices out.
"""

import os
import sys

sys.path.append("./python")

import numpy as np
import pytest
from course_testing import assert_close, slip
from course_testing.devices import chosen
from course_testing.slips import compared
from hypothesis import Phase, settings
from hypothesis import strategies as st
from needle import backend_ndarray as nd

skip_cuda = pytest.mark.skipif(
    os.environ.get("NEEDLE_CUDA") == "off", reason="NEEDLE_CUDA=off switches cuda() off"
)
CPU = pytest.param(nd.cpu(), id="cpu")
CUDA = pytest.param(nd.cuda(), id="cuda", marks=skip_cuda)
CPU_NUMPY = pytest.param(nd.cpu_numpy(), id="cpu_numpy")

devices = pytest.mark.parametrize("device", chosen([CPU, CUDA]))
every_device = pytest.mark.parametrize("device", chosen([CPU, CUDA, CPU_NUMPY]))
# No search for the smallest failing case: it takes half a minute, and the fixed cases are small.
random_cases = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
)


def problem_of(kernels, device):
    """Whose work a kernel is: hw3/ndarray_cuda_matmul for ("matmul", cuda()), else the CPU's."""
    return f"hw3/ndarray_{'cuda' if device == nd.cuda() else 'cpu'}_{kernels}"


def cases(names, values):
    """Parametrize by readable ids: test_reshape[cpu-case3] says less than its arguments."""
    return pytest.mark.parametrize(names, values, ids=lambda value: str(value).replace(" ", ""))


def pair(device, *shape, scale=1.0):
    """The same random float32 values as a NumPy array and as an NDArray."""
    values = (np.random.standard_normal(shape) * scale).astype(np.float32)
    return values, nd.array(values, device=device)


def numbered(device, *shape):
    """The numbers 0, 1, 2, ..., so that each tells its place, as a NumPy array and as an NDArray."""
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    return values, nd.array(values, device=device)


def product(x, y):
    """x @ y in float64, and what it becomes by mistake."""
    (m, n), p = x.shape, y.shape[1]
    x, y = x.astype(np.float64), y.astype(np.float64)
    desired = x @ y
    if m == n == p:
        desired = slip("A is read transposed: element (i, k)", desired, x.T @ y)
        desired = slip("B is read transposed: element (k, j)", desired, x @ y.T)
        desired = slip("the factors are exchanged", desired, y @ x)
    if n:
        last = np.outer(x[:, -1], y[-1])
        desired = slip("only the last term of each sum: add to what stands there", desired, last)
        desired = slip("the last term of each sum is left out", desired, desired - last)
        first = np.outer(x[:, 0], y[0])
        desired = slip("the first term of each sum is left out", desired, desired - first)
    two = 384 < n <= 512  # slices of n, of kDepth, kDeep, or both alike
    for length in {256, 384, (n + 1) // 2} if two else {n} if n else ():
        says = f"only the last slice of n, from {length} on: write C when `first`, else add to it"
        desired = slip(says, desired, x[:, length:] @ y[length:]) if two else desired
        says = "blocks of A are packed row by row: all rows of column 0, all rows of column 1, ..."
        says += f" (slices of {length})" if two else ""
        desired = slip(says, desired, lambda length=length: packed_by_rows(x, length) @ y)
    return desired


def packed_by_rows(x, length, rows=6):
    """What a kernel takes for x, whose blocks of `rows` rows and `length` columns lie row by row."""
    read = np.empty_like(x)
    for i in range(0, x.shape[0], rows):
        for k in range(0, x.shape[1], length):
            block = x[i : i + rows, k : k + length]
            read[i : i + rows, k : k + length] = block.ravel().reshape(block.shape[::-1]).T
    return read


def keep_rank(index):
    """NumPy's index with every int i as the slice i:i+1, as NDArray reads it."""
    return tuple(slice(i, i + 1 if i != -1 else None) if isinstance(i, int) else i for i in index)


def assert_same_view(actual, desired, base, problem="hw3/ndarray_python_ops"):
    """`actual` (NDArray) is the view of `base` that `desired` (NumPy) is of the base's copy."""
    __tracebackhide__ = True
    same = actual._handle.ptr() == base._handle.ptr()
    assert same, f"{problem}: a view must not copy its buffer"
    got = Layout(actual.shape, actual.strides, actual._offset)
    wanted = Layout(desired.shape, [stride // 4 for stride in desired.strides], offset_of(desired))
    if got.says() != wanted.says():
        compared(False)
        raise AssertionError(
            f"{problem}: wrong layout of the view\n  got       {got}\n  expected  {wanted}\n"
            f"  of an array of shape {base.shape}, strides {base.strides}"
            + layout_hint(got, wanted)
        )
    assert_close(actual, desired, problem=problem, rtol=0, atol=0)


def offset_of(view):
    """At which element of its buffer a NumPy view starts."""
    root = view
    while isinstance(root.base, np.ndarray):
        root = root.base
    return (view.ctypes.data - root.ctypes.data) // 4


class Layout:
    """Shape, strides and offset of a view, in elements."""

    def __init__(self, shape, strides, offset):
        self.shape, self.strides, self.offset = tuple(shape), tuple(strides), offset

    def __str__(self):
        return f"shape {self.shape}, strides {self.strides}, offset {self.offset}"

    def says(self):
        """What means something: no stride of an axis of length 1, no place of an empty view."""
        if 0 in self.shape:
            return self.shape
        strides = [s for s, n in zip(self.strides, self.shape) if n > 1]
        return self.shape, strides, self.offset


def layout_hint(got, wanted):
    """What makes a view's layout wrong, where it is plain."""
    hint = ""
    if got.shape == wanted.shape:
        pairs = [p for p, n in zip(zip(got.strides, wanted.strides), got.shape) if n > 1]
        off = [(g, w) for g, w in pairs if g != w]
        if not off:
            hint = "the view starts elsewhere: offsets add up, and count elements of the buffer"
        elif all(w == 0 for _, w in off):
            hint = "an axis that is repeated has stride 0"
        elif all(g and w % g == 0 for g, w in off):
            hint = "the step of a slice multiplies the stride"
        elif sorted(g for g, _ in pairs) == sorted(w for _, w in pairs):
            hint = "the strides stand in another order: they move with their axes"
    elif sorted(got.shape) == sorted(wanted.shape):
        hint = "the axes stand in another order: axis i of the result is axis new_axes[i]"
    elif len(got.shape) == len(wanted.shape) and all(
        w - g in (0, 1) for g, w in zip(got.shape, wanted.shape)
    ):
        hint = "too short: with a step, the length is (stop - start) / step rounded up"
    return f"\n  hint: {hint}" if hint else ""


def refusal(function, error=ValueError):
    """What is wrong with the way in which the function refuses its arguments; "" for this error."""
    try:
        function()
    except error:
        return ""
    except NotImplementedError:
        raise
    except Exception as other:
        return f"raises {type(other).__name__}: {error.__name__} is asked"
    return f"is taken: {error.__name__} is asked"


@st.composite
def view_chains(draw):
    """A shape, and steps that each turn one view into another."""
    shape = first = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    steps = []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["permute", "getitem", "broadcast_to"]))
        if kind == "permute":
            argument = tuple(draw(st.permutations(range(len(shape)))))
            shape = tuple(shape[axis] for axis in argument)
        elif kind == "getitem":
            argument = tuple(draw(one_index(n)) for n in shape)
            shape = np.empty(shape)[keep_rank(argument)].shape
        else:
            grown = tuple(draw(st.integers(1, 4)) if n == 1 else n for n in shape)
            added = draw(st.lists(st.integers(1, 3), max_size=5 - len(shape)))
            shape = argument = (*added, *grown)
        steps.append((kind, argument))
    return first, steps


def one_index(length):
    """An index of one axis that leaves something of it, except now and then."""
    edge = st.none() | st.integers(-length - 2, length + 2)
    ints = st.integers(-length, length - 1) if length else st.just(slice(None))
    return ints | st.builds(slice, edge, edge, st.none() | st.integers(1, 3))


def walk(steps, x, a):
    """The chain's last view of NumPy's x and of NDArray a."""
    for kind, argument in steps:
        if kind == "getitem":
            x, a = x[keep_rank(argument)], a[argument]
        elif kind == "permute":
            x, a = x.transpose(argument), a.permute(argument)
        else:
            x, a = np.broadcast_to(x, argument), a.broadcast_to(argument)
    return x, a


def arrays(rng, device, *shapes):
    values = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    return [nd.array(value, device=device) for value in values]
