"""cuda() as Python sees it: which build it is, the rungs of the matrix product, bad input."""

import pytest

RUNGS = ["matmul", "matmul_naive", "matmul_shared_tiles", "matmul_register_tiles"]
UP = """
def up(x):
    buffer = d.Array(x.size)
    d.from_numpy(np.ascontiguousarray(x, dtype="float32"), buffer)
    return buffer

def down(buffer, *shape):
    return d.to_numpy(buffer, shape, nd.NDArray.compact_strides(shape), 0)

"""


def test_without_a_gpu_the_device_is_enabled_and_says_that_it_is_emulated(solved):
    got = solved.says("print(d, d.enabled(), d.device_kind, nd.cpu().device_kind)")
    assert got in ("cuda() True emulated cpu", "cuda() True hardware cpu")


@pytest.mark.parametrize("kind", ["emulated", "checked"])
def test_a_variable_chooses_the_build(solved, kind):
    assert solved.says("print(repr(d), d.device_kind)", NEEDLE_CUDA=kind) == f"cuda() {kind}"


def test_the_device_can_be_switched_off(solved):
    code = "print(d, d.enabled(), d.device_kind, d == nd.cuda())"
    assert solved.says(code, NEEDLE_CUDA="off") == "cuda() False off True"
    message = solved.raises("d.Array(3)", NEEDLE_CUDA="off")
    assert message == "RuntimeError: cuda() cannot be used: NEEDLE_CUDA=off is set"


def test_an_unknown_build_is_refused(solved):
    message = solved.raises("", NEEDLE_CUDA="gpu")
    assert "NEEDLE_CUDA is 'gpu'; it may be hardware, emulated, checked or off" in message


@pytest.mark.parametrize("order", ["forward", "reverse", "random:5"])
def test_every_rung_gives_the_same_product(solved, order):
    code = f"""{UP}
rng = np.random.default_rng(0)
shapes = [(1, 1, 1), (3, 4, 5), (16, 16, 16), (33, 17, 65), (64, 64, 64), (72, 36, 128),
          (100, 33, 77), (130, 16, 40), (0, 3, 2), (3, 0, 2), (40, 0, 40)]
for m, n, p in shapes:
    a, b = (rng.standard_normal(shape).astype("float32") for shape in ((m, n), (n, p)))
    wanted = a.astype("float64") @ b
    for name in {RUNGS} + ["matmul_vector_loads"] * (n % 4 == 0 and p % 4 == 0):
        out = d.Array(m * p)
        getattr(d, name)(up(a), up(b), out, m, n, p)
        bound = 2e-6 * (abs(a) @ abs(b)) + 1e-30
        assert np.all(abs(down(out, m, p) - wanted) <= bound), (name, m, n, p)
"""
    solved.says(code, NEEDLE_CUDA="emulated", NEEDLE_CUDA_ORDER=order)


def test_vector_loads_refuse_shapes_they_cannot_load(solved):
    code = UP + "d.matmul_vector_loads(up(np.ones(10)), up(np.ones(20)), d.Array(8), 2, 5, 4)"
    assert "vector loads need n and p to be multiples of 4, got n = 5, p = 4" in solved.raises(code)


@pytest.mark.parametrize("rows, length", [(1, 16384), (1, 16385), (3, 100_000), (2, 1_000_000)])
def test_rows_of_many_chunks_are_reduced(solved, rows, length):
    code = f"""{UP}
x = np.random.default_rng(1).standard_normal(({rows}, {length})).astype("float32")
out = d.Array({rows})
d.reduce_max(up(x), out, {length})
assert np.array_equal(down(out, {rows}), x.max(1))
d.reduce_sum(up(x), out, {length})
assert np.allclose(down(out, {rows}), x.sum(1, dtype="float64"), rtol=0, atol=1e-6 * abs(x).sum(1).max())
"""
    solved.says(code)


def test_a_launch_that_is_refused_names_kernel_and_shape(solved):
    # 65536 blocks of columns; a grid has at most 65535 in y.
    code = UP + "n = 65536 * 16\nd.matmul(up(np.ones(1)), up(np.ones(n)), d.Array(n), 1, 1, n)"
    message = solved.raises(code)
    assert "MatmulSharedTilesKernel<<<(1, 65536, 1), (16, 16, 1)>>>" in message
    assert "for shape (1, 1, 1048576) failed: invalid configuration argument" in message


def test_more_than_eight_axes_are_refused_in_one_sentence(solved):
    message = solved.raises(
        "nd.NDArray(np.ones((1,) * 8 + (2, 3)), device=d).permute("
        "(9, 8, 7, 6, 5, 4, 3, 2, 1, 0)).compact()"
    )
    assert "with 10 axes on the CUDA device, which takes at most 8" in message


@pytest.mark.parametrize("size", ["1 << 40", "1 << 61", "(1 << 62) - 1"])
def test_more_than_the_memory_is_a_memory_error(solved, size):
    assert solved.raises(f"d.Array({size})").startswith("MemoryError: no memory for an array of")


@pytest.mark.parametrize(
    "call",
    [
        "d.ewise_add(up(np.ones(3)), up(np.ones(4)), d.Array(3))",
        "d.scalar_mul(up(np.ones(3)), 2.0, d.Array(4))",
        "d.from_numpy(np.ones(3, 'float32'), d.Array(4))",
        "d.reduce_sum(up(np.ones(6)), d.Array(2), 4)",
        "d.matmul(up(np.ones(6)), up(np.ones(6)), d.Array(5), 2, 3, 2)",
        "d.compact(up(np.ones(6)), d.Array(6), [2, 3], [3, 1], 1)",
        "d.ewise_setitem(up(np.ones(6)), d.Array(6), [2, 3], [3, -1], 0)",
        "d.scalar_setitem(6, 1.0, d.Array(6), [6], [2], 0)",
        "d.to_numpy(up(np.ones(6)), [7], [1], 0)",
    ],
)
def test_sizes_that_do_not_fit_are_value_errors(solved, call):
    assert solved.raises(UP + call).startswith("ValueError: ")


def test_new_memory_shows_in_the_result_when_it_is_used_unwritten(solved):
    code = UP + "print(np.isnan(down(d.Array(5), 5)).all())"
    assert solved.says(code, NEEDLE_CUDA="emulated") == "True"


def test_the_checked_build_finds_nothing_in_the_reference(solved):
    code = f"""{UP}
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
    for name in {RUNGS}:
        getattr(d, name)(up(left), up(right), d.Array(m * p), m, n, p)
big = d.Array(1)
d.reduce_sum(up(np.ones(20000)), big, 20000)
print(d.device_kind, down(big, 1)[0])
"""
    assert solved.says(code, NEEDLE_CUDA="checked") == "checked 20000.0"
