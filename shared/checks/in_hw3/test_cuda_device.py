"""cuda() as Python sees it: which build it is, the rungs of the matrix product, bad input."""

import shutil

import numpy as np
import pytest
from needle import backend_ndarray as nd

RUNGS = ["matmul", "matmul_naive", "matmul_shared_tiles", "matmul_register_tiles"]


@pytest.fixture
def d():
    return nd.cuda()


def up(x):
    """The numbers in a new buffer of the device."""
    buffer = nd.cuda().Array(x.size)
    nd.cuda().from_numpy(np.ascontiguousarray(x, dtype="float32"), buffer)
    return buffer


def down(buffer, *shape):
    """The buffer's numbers as a NumPy array."""
    return nd.cuda().to_numpy(buffer, shape, nd.NDArray.compact_strides(shape), 0)


# ------------------------------------------------------------------------------- which build it is


def test_without_a_gpu_the_device_is_enabled_and_says_that_it_is_emulated(d):
    assert (repr(d), d.enabled(), nd.cpu().device_kind) == ("cuda()", True, "cpu")
    assert d.device_kind in ("emulated", "hardware")


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.own_process(NEEDLE_CUDA=kind))
        for kind in ("emulated", "checked")
    ],
)
def test_a_variable_chooses_the_build(kind):
    d = nd.cuda()
    assert (repr(d), d.device_kind) == ("cuda()", kind)


@pytest.mark.own_process(NEEDLE_CUDA="off")
def test_the_device_can_be_switched_off():
    d = nd.cuda()
    assert (repr(d), d.enabled(), d.device_kind, d == nd.cuda()) == ("cuda()", False, "off", True)
    with pytest.raises(RuntimeError) as caught:
        d.Array(3)
    assert str(caught.value) == "cuda() cannot be used: NEEDLE_CUDA=off is set"


@pytest.mark.own_process(NEEDLE_CUDA="gpu")
def test_an_unknown_build_is_refused():
    with pytest.raises(ValueError) as caught:
        nd.cuda()
    says = "NEEDLE_CUDA is 'gpu'; it may be hardware, emulated, checked or off"
    assert says in str(caught.value)


@pytest.mark.skipif(
    shutil.which("nvcc") is None,
    reason="there is no nvcc on this machine: the hardware build was not looked at",
)
@pytest.mark.own_process(NEEDLE_CUDA="hardware")
def test_without_a_gpu_the_hardware_build_says_so_in_one_sentence():
    from needle.backend_ndarray import ndarray_backend_cuda as module

    d = nd.cuda()
    if module.device_count() > 0:
        assert d.device_kind == "hardware"
        return
    assert (repr(d), d.enabled()) == ("cuda()", False)
    with pytest.raises(RuntimeError) as caught:
        d.Array(3)
    assert str(caught.value) == "cuda() cannot be used: no CUDA device was found"
    with pytest.raises(RuntimeError) as caught:
        module.Array(3)
    assert str(caught.value) == "no CUDA device was found on this machine"


# ------------------------------------------------------------------------------------------ results


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(
            order,
            marks=pytest.mark.own_process(NEEDLE_CUDA="emulated", NEEDLE_CUDA_ORDER=order),
        )
        for order in ("forward", "reverse", "random:5")
    ],
)
def test_every_rung_gives_the_same_product(order, d):
    rng = np.random.default_rng(0)
    shapes = [(1, 1, 1), (3, 4, 5), (16, 16, 16), (33, 17, 65), (64, 64, 64), (72, 36, 128)]
    shapes += [(100, 33, 77), (130, 16, 40), (0, 3, 2), (3, 0, 2), (40, 0, 40)]
    for m, n, p in shapes:
        a, b = (rng.standard_normal(shape).astype("float32") for shape in ((m, n), (n, p)))
        wanted = a.astype("float64") @ b
        for name in RUNGS + ["matmul_vector_loads"] * (n % 4 == 0 and p % 4 == 0):
            out = d.Array(m * p)
            getattr(d, name)(up(a), up(b), out, m, n, p)
            bound = 2e-6 * (abs(a) @ abs(b)) + 1e-30
            assert np.all(abs(down(out, m, p) - wanted) <= bound), (name, m, n, p)


@pytest.mark.parametrize("rows, length", [(1, 16384), (1, 16385), (3, 100_000), (2, 1_000_000)])
def test_rows_of_many_chunks_are_reduced(rows, length, d):
    x = np.random.default_rng(1).standard_normal((rows, length)).astype("float32")
    out = d.Array(rows)
    d.reduce_max(up(x), out, length)
    assert np.array_equal(down(out, rows), x.max(1))
    d.reduce_sum(up(x), out, length)
    wanted = x.sum(1, dtype="float64")
    assert np.allclose(down(out, rows), wanted, rtol=0, atol=1e-6 * abs(x).sum(1).max())


@pytest.mark.own_process(NEEDLE_CUDA="emulated")
def test_new_memory_shows_in_the_result_when_it_is_used_unwritten(d):
    assert np.isnan(down(d.Array(5), 5)).all()


@pytest.mark.own_process(NEEDLE_CUDA="checked")
def test_the_checked_build_finds_nothing_in_the_reference(d):
    x = np.random.default_rng(0).standard_normal((36, 40)).astype("float32")
    a = nd.NDArray(x, device=d)
    b = nd.NDArray(np.zeros((36, 40)), device=d)
    b[1:35:2, :] = a[0:34:2, :]
    b[0:2, 3:9] = 7.0
    y = ((a + b) * a / 3.0 - b).maximum(0.5) ** 2.0
    y = (y.tanh() + (y >= a) + (y == b)).exp().log()
    assert np.isfinite(y.sum().numpy()).all() and y.max(axis=1).shape == (36,)
    for m, n, p in [(36, 40, 36), (33, 7, 34), (5, 9, 3)]:
        left, right = a.numpy().ravel()[: m * n], a.numpy().ravel()[: n * p]
        for name in RUNGS:
            getattr(d, name)(up(left), up(right), d.Array(m * p), m, n, p)
    big = d.Array(1)
    d.reduce_sum(up(np.ones(20000)), big, 20000)
    assert (d.device_kind, down(big, 1)[0]) == ("checked", 20000.0)


# --------------------------------------------------------------------------------------- bad input


def test_vector_loads_refuse_shapes_they_cannot_load(d):
    with pytest.raises(ValueError) as caught:
        d.matmul_vector_loads(up(np.ones(10)), up(np.ones(20)), d.Array(8), 2, 5, 4)
    says = "vector loads need n and p to be multiples of 4, got n = 5, p = 4"
    assert says in str(caught.value)


def test_a_launch_that_is_refused_names_kernel_and_shape(d):
    n = 65536 * 16  # 65536 blocks of columns; a grid has at most 65535 in y
    with pytest.raises(RuntimeError) as caught:
        d.matmul(up(np.ones(1)), up(np.ones(n)), d.Array(n), 1, 1, n)
    message = str(caught.value)
    assert "MatmulSharedTilesKernel<<<(1, 65536, 1), (16, 16, 1)>>>" in message
    assert "for shape (1, 1, 1048576) failed: invalid configuration argument: Matmul" in message
    assert "(65536 blocks along y, at most 65535)" in message


def test_more_than_eight_axes_are_refused_in_one_sentence(d):
    array = nd.NDArray(np.ones((1,) * 8 + (2, 3)), device=d)
    with pytest.raises(RuntimeError) as caught:
        array.permute((9, 8, 7, 6, 5, 4, 3, 2, 1, 0)).compact()
    assert "with 10 axes on the CUDA device, which takes at most 8" in str(caught.value)


@pytest.mark.parametrize("size", [1 << 40, 1 << 61, (1 << 62) - 1])
def test_more_than_the_memory_is_a_memory_error(size, d):
    with pytest.raises(MemoryError, match="no memory for an array of"):
        d.Array(size)


MISFITS = {
    "ewise_add": lambda d: d.ewise_add(up(np.ones(3)), up(np.ones(4)), d.Array(3)),
    "scalar_mul": lambda d: d.scalar_mul(up(np.ones(3)), 2.0, d.Array(4)),
    "from_numpy": lambda d: d.from_numpy(np.ones(3, "float32"), d.Array(4)),
    "reduce_sum": lambda d: d.reduce_sum(up(np.ones(6)), d.Array(2), 4),
    "matmul": lambda d: d.matmul(up(np.ones(6)), up(np.ones(6)), d.Array(5), 2, 3, 2),
    "compact": lambda d: d.compact(up(np.ones(6)), d.Array(6), [2, 3], [3, 1], 1),
    "ewise_setitem": lambda d: d.ewise_setitem(up(np.ones(6)), d.Array(6), [2, 3], [3, -1], 0),
    "scalar_setitem": lambda d: d.scalar_setitem(6, 1.0, d.Array(6), [6], [2], 0),
    "to_numpy": lambda d: d.to_numpy(up(np.ones(6)), [7], [1], 0),
}


@pytest.mark.parametrize("call", MISFITS)
def test_sizes_that_do_not_fit_are_value_errors(call, d):
    with pytest.raises(ValueError):
        MISFITS[call](d)
