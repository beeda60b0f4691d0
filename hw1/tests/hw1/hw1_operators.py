"""The operators of homework 1 with their NumPy formulas, and what several test files do with them.

The oracles are NumPy in float64, finite differences of NumPy formulas, and Hessians measured by
numdifftools; none of them uses your code.
"""

import contextlib
import sys

sys.path.append("./python")

import needle as ndl
import numdifftools
import numpy as np
import pytest
from course_testing import assert_close, slip, twice


class Case:
    """One operator with its NumPy formula and the shapes to try it on.

    `low` and `high` bound the inputs: logarithms and powers want positive numbers, denominators
    must keep away from zero. `slips` is what people take for the gradient, as in
    `assert_gradients_close`.
    """

    def __init__(self, name, needle, numpy, *shapes, low=-2.0, high=2.0, slips=None):
        self.name, self.needle, self.numpy = name, needle, numpy
        self.shapes, self.low, self.high = shapes, low, high
        self.slips = slips or getattr(numpy, "slips", None)

    def __repr__(self):
        return self.name + "_" + "_".join("x".join(map(str, s)) or "number" for s in self.shapes)

    def arrays(self, seed=1):
        random = np.random.RandomState(seed)
        return [random.uniform(self.low, self.high, size=shape) for shape in self.shapes]


def summed(axes):
    def formula(a):
        right = a.sum(axis=axes)
        right = slip("the summed axes are kept: drop them", right, a.sum(axis=axes, keepdims=True))
        if isinstance(axes, tuple) and axes:
            right = slip("only the first of the axes is summed", right, a.sum(axis=axes[0]))
        return slip("this is the mean: the sum is asked", right, a.mean(axis=axes))

    return lambda a: a.sum(axes), formula


def broadcast(shape):
    def formula(a):
        name = "the entries are repeated row by row: broadcasting copies along axes"
        return slip(name, np.broadcast_to(a, shape), np.resize(a, shape))

    def averaged(out_grad, a):
        given = (1,) * (len(shape) - a.ndim) + a.shape
        copied = tuple(k for k, (m, n) in enumerate(zip(given, shape)) if m != n)
        return [out_grad.mean(axis=copied).reshape(a.shape)]

    formula.slips = {"the gradients of the copies are averaged: they add up": averaged}
    return lambda a: a.broadcast_to(shape), formula


def reshaped(shape):
    def formula(a):
        name = "column by column: a reshape keeps the order row by row"
        return slip(name, a.reshape(shape), a.reshape(shape, order="F"))

    return lambda a: a.reshape(shape), formula


def swapped(axes, i, j):
    def formula(a):
        right = np.swapaxes(a, i, j)
        if a.ndim > 2:
            right = slip("all axes are reversed: only two change places", right, a.T)
        if axes is None and a.ndim > 2:
            name = "the first two axes change places: without axes the last two are meant"
            right = slip(name, right, a.swapaxes(0, 1))
        return right

    return lambda a: ndl.transpose(a, axes=axes), formula


def power(a, b):
    return slip("base and exponent are exchanged", a**b, lambda: b**a)


def raised(number):
    """a ** number, in needle, in NumPy, and what people take for its gradient."""

    def formula(a):
        if not (a > 0).all():
            return a**number
        return slip("base and exponent are exchanged", a**number, lambda: abs(number) ** a)

    def not_lowered(out_grad, a):
        return [out_grad * number * a**number]

    def no_factor(out_grad, a):
        return [out_grad * a ** (number - 1)]

    slips = {
        "the exponent is not lowered: n a^(n-1)": not_lowered,
        "the exponent does not come down as a factor: n a^(n-1)": no_factor,
    }
    return (lambda a: ndl.power_scalar(a, scalar=number), formula), {"slips": slips}


def divide(a, b):
    return slip("numerator and denominator are exchanged", a / b, lambda: b / a)


def divided(number):
    def formula(a):
        return slip("fractions are lost: / and not //", a / number, a // number)

    slips = {"multiplied by the number: divide by it": lambda g, a: [g * number]}
    return (lambda a: ndl.divide_scalar(a, scalar=number), formula), {"slips": slips}


def matmul(a, b):
    name = "np.dot: it does not treat leading axes as a batch"
    return slip(name, np.matmul(a, b), lambda: np.dot(a, b))


def negate(a):
    return slip("positive numbers only: -a, not -|a|", -a, -abs(a))


def log(a):
    right = slip("this is the logarithm to base 10: the natural one", np.log(a), np.log10(a))
    return slip("this is the logarithm to base 2: the natural one", right, np.log2(a))


def exp(a):
    right = slip("this is 2 to the power of a: e to the power", np.exp(a), np.exp2(a))
    return slip("this is 10 to the power of a: e to the power", right, 10.0**a)


POSITIVE = {"low": 0.5, "high": 2.0}
POWER = {
    "slips": {
        "the exponent is not lowered: b a^(b-1)": lambda g, a, b: [g * b * a**b, None],
        "the exponent does not come down as a factor: b a^(b-1)": lambda g, a, b: [
            g * a ** (b - 1),
            None,
        ],
        "log of the exponent: a^b log(a)": lambda g, a, b: [None, g * a**b * np.log(b)],
        "log(a) is missing: a^b log(a)": lambda g, a, b: [None, g * a**b],
        "a^b is missing: a^b log(a)": lambda g, a, b: [None, g * np.log(a)],
    },
    **POSITIVE,
}
DIVIDE = {
    "slips": {
        "the minus sign of the quotient rule is missing: -a / b^2": lambda g, a, b: [
            None,
            g * a / b**2,
        ],
        "the denominator is not squared: -a / b^2": lambda g, a, b: [None, -g * a / b],
        "the numerator is missing: -a / b^2": lambda g, a, b: [None, -g / b**2],
    },
    **POSITIVE,
}
LOG = {"slips": {"multiplied by a: divide by it, 1 / a": lambda g, a: [g * a]}, **POSITIVE}
(cube, CUBE), (square, SQUARE), (root, ROOT) = raised(3), raised(2), raised(-1.5)
(twelfth, TWELFTH), (part, PART) = divided(12), divided(0.7)

CASES = [
    Case("power", ndl.power, power, (2, 3), (2, 3), **POWER),
    Case("power", ndl.power, power, (), (), **POWER),
    Case("power_scalar_3", *cube, (2, 3), **CUBE, **POSITIVE),
    Case("power_scalar_3", *cube, (2, 3), **CUBE),
    Case("power_scalar_2", lambda a: a**2, square[1], (), **SQUARE),
    Case("power_scalar_-1.5", lambda a: a**-1.5, root[1], (4,), **ROOT, **POSITIVE),
    Case("divide", ndl.divide, divide, (2, 3), (2, 3), **DIVIDE),
    Case("divide", ndl.divide, divide, (), (), **DIVIDE),
    Case("divide_scalar", *twelfth, (2, 3), **TWELFTH),
    Case("divide_scalar", lambda a: a / 0.7, part[1], (), **PART),
    Case("transpose", *swapped(None, -1, -2), (2, 3)),
    Case("transpose", *swapped(None, -1, -2), (2, 3, 4)),
    Case("transpose_axes_0_1", *swapped((0, 1), 0, 1), (2, 3, 2)),
    Case("transpose_axes_1_2", *swapped((1, 2), 1, 2), (3, 2, 4)),
    Case("transpose_axes_0_-1", *swapped((0, -1), 0, -1), (2, 1, 3)),
    Case("transpose_axes_2_0", *swapped((2, 0), 0, 2), (3, 5, 4, 1)),
    Case("reshape_to_2x3", *reshaped((2, 3)), (6,)),
    Case("reshape_to_4x3x1", *reshaped((4, 3, 1)), (2, 6)),
    Case("reshape_to_number", *reshaped(()), (1, 1)),
    Case("broadcast_to_3x3x3", *broadcast((3, 3, 3)), (1, 3)),
    Case("broadcast_to_2x3", *broadcast((2, 3)), ()),
    Case("broadcast_to_3x3", *broadcast((3, 3)), (3, 1)),
    Case("broadcast_to_3x3", *broadcast((3, 3)), (1,)),
    Case("broadcast_to_4x3", *broadcast((4, 3)), (3,)),
    Case("broadcast_to_5x4x3", *broadcast((5, 4, 3)), (5, 4, 1)),
    Case("broadcast_to_2x4x3x5", *broadcast((2, 4, 3, 5)), (4, 1, 5)),
    Case("broadcast_to_2x3", *broadcast((2, 3)), (2, 3)),
    Case("broadcast_to_1x3", *broadcast((1, 3)), (1, 3)),
    Case("broadcast_to_1x3", *broadcast((1, 3)), (3,)),
    Case("sum_all", *summed(None), (2, 3)),
    Case("sum_all", *summed(None), ()),
    Case("sum_axis_0", *summed(0), (2, 3)),
    Case("sum_axis_1", *summed(1), (2, 3)),
    Case("sum_axis_-1", *summed(-1), (2, 3, 2)),
    Case("sum_axes_0_1", *summed((0, 1)), (5, 2, 1)),
    Case("sum_axes_0_-1", *summed((0, -1)), (2, 3, 4)),
    Case("sum_axes_1", *summed((1,)), (3, 4, 2)),
    Case("sum_axes_none_given", *summed(()), (2, 3)),
    Case("matmul", ndl.matmul, matmul, (2, 3), (3, 4)),
    Case("matmul", ndl.matmul, matmul, (2, 2, 3), (2, 3, 2)),
    Case("matmul", ndl.matmul, matmul, (2, 3, 2, 2), (2, 1)),
    Case("matmul", ndl.matmul, matmul, (1, 2), (2, 3, 2, 2)),
    Case("matmul", ndl.matmul, matmul, (2, 1, 2, 3), (1, 3, 3, 1)),
    Case("negate", ndl.negate, negate, (2, 3)),
    Case("negate", ndl.negate, negate, ()),
    Case("log", ndl.log, log, (2, 3), **LOG),
    Case("log", ndl.log, log, (), **LOG),
    Case("exp", ndl.exp, exp, (2, 3)),
    Case("exp", ndl.exp, exp, ()),
]

RULES = {
    "transpose": "the same two axes change places again",
    "reshape": "the adjoint goes back into the shape of the input",
    "broadcast_to": "sum over the axes that were added, at the left, and over those that were stretched "
    "from length 1",
    "sum": "every element gets its sum's adjoint: the summed axes come back (an int, a tuple or None, "
    "from the end too) with length 1, and are broadcast",
}
"""What a gradient has to do that is a matter of shapes."""


@contextlib.contextmanager
def shapes_of(case):
    """Where a gradient's shapes do not fit, and it comes to no end, this says what it has to do."""
    try:
        yield
    except (TypeError, ValueError, IndexError) as error:
        rule = next((RULES[name] for name in RULES if case.name.startswith(name)), "")
        if not rule:
            raise
        told = f"hw1/backward: {case.name}.gradient: {error}\n  hint: {rule}"
        raise AssertionError(told) from error


GIVEN = [  # complete in the handout: they show that the table and the checks are sound
    Case("add", ndl.add, lambda a, b: a + b, (2, 3), (2, 3)),
    Case("add_scalar", lambda a: a + 1.5, lambda a: a + 1.5, ()),
    Case("multiply", ndl.multiply, lambda a, b: a * b, (2, 3), (2, 3)),
    Case("mul_scalar", lambda a: a * 1.5, lambda a: a * 1.5, ()),
]

SMALL_CASES = [case for case in CASES + GIVEN if sum(np.prod(s) for s in case.shapes) <= 12]

all_cases = pytest.mark.parametrize("case", CASES + GIVEN, ids=repr)


def tensors(arrays, dtype="float32", **kwargs):
    return [ndl.Tensor(array, dtype=dtype, **kwargs) for array in arrays]


def pull_back(output, out_grad, inputs):
    """The gradients of `output` with respect to `inputs`: a reverse pass of the tests' own.

    It needs nothing but each operator's `gradient`, so that operators can be judged before the
    homework's reverse pass is written. A node waits here until all its users have been handled.
    """
    users = {}

    def count(node):
        for value in node.inputs:
            users[value] = users.get(value, 0) + 1
            if users[value] == 1:
                count(value)

    count(output)
    adjoint, ready = {output: out_grad}, [output]
    while ready:
        node = ready.pop()
        if node.is_leaf():
            continue
        for value, grad in zip(node.inputs, node.op.gradient_as_tuple(adjoint[node], node)):
            adjoint[value] = adjoint[value] + grad if value in adjoint else grad
            users[value] -= 1
            if users[value] == 0:
                ready.append(value)
    return [adjoint.get(value) for value in inputs]


def weights_for(array, seed=2):
    """An incoming gradient in which no two entries are alike."""
    return np.random.RandomState(seed).uniform(0.5, 1.5, size=np.shape(array))


def assert_second(second, arrays, wanted, *, problem, op):
    """Compare second derivatives, None where there are none, with a flat array."""
    flat = [np.zeros(a.size) if g is None else g.numpy().ravel() for g, a in zip(second, arrays)]
    op = f"second derivative of {op}"
    wanted = twice(wanted)
    assert_close(np.concatenate(flat), wanted, problem=problem, op=op, rtol=1e-5, atol=1e-6)


def hessian_times(case, arrays, weights, moves):
    """H @ moves for f = sum(weights * case), as a flat array; H measured by numdifftools."""
    sizes = np.cumsum([array.size for array in arrays])[:-1]

    def f(flat):
        parts = [part.reshape(a.shape) for part, a in zip(np.split(flat, sizes), arrays)]
        return float((weights * case.numpy(*parts)).sum())

    point = np.concatenate([array.ravel() for array in arrays])
    return numdifftools.Hessian(f)(point) @ np.concatenate([move.ravel() for move in moves])


def sum_all(values):
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total
