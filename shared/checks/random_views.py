"""Operators on random views of NDArrays against NumPy; homeworks 3 and 4 both run this."""

import operator

import numpy as np
from needle import backend_ndarray as nd

OPERATORS = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.eq,
    operator.ge,
]


def view(rng, shape):
    """The same random view as a NumPy array and as an NDArray."""
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


def check(seed, trials=150):
    """Elementwise operators, reductions and matrix products agree with NumPy."""
    rng = np.random.RandomState(seed)
    for trial in range(trials):
        shape = tuple(int(n) for n in rng.randint(1, 7, rng.randint(1, 5)))
        if trial % 50 == 0:
            shape = (300, 5, 200)  # enough for several threads
        (x, a), (y, b) = view(rng, shape), view(rng, shape)
        for f in OPERATORS:
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
        (u, c), (v, d) = view(rng, (2, m, n)), view(rng, (1, n, p))
        same(c @ d, u @ v)
