"""The operators of homework 1 with their NumPy formulas, and what several test files do with them.

The oracles are NumPy in float64, finite differences of NumPy formulas, and Hessians measured by
numdifftools; none of them uses your code.
"""

import sys

sys.path.append("./python")

import needle as ndl
import numdifftools
import numpy as np
import pytest


class Case:
    """One operator with its NumPy formula and the shapes to try it on.

    `low` and `high` bound the inputs: logarithms and powers want positive numbers, denominators
    must keep away from zero.
    """

    def __init__(self, name, needle, numpy, *shapes, low=-2.0, high=2.0):
        self.name, self.needle, self.numpy = name, needle, numpy
        self.shapes, self.low, self.high = shapes, low, high

    def __repr__(self):
        return self.name + "_" + "_".join("x".join(map(str, s)) or "number" for s in self.shapes)

    def arrays(self, seed=1):
        random = np.random.RandomState(seed)
        return [random.uniform(self.low, self.high, size=shape) for shape in self.shapes]


def summed(axes):
    return lambda a: a.sum(axes), lambda a: a.sum(axis=axes)


def broadcast(shape):
    return lambda a: a.broadcast_to(shape), lambda a: np.broadcast_to(a, shape)


def reshaped(shape):
    return lambda a: a.reshape(shape), lambda a: a.reshape(shape)


def swapped(axes, i, j):
    return lambda a: ndl.transpose(a, axes=axes), lambda a: np.swapaxes(a, i, j)


POSITIVE = {"low": 0.5, "high": 2.0}

CASES = [
    Case("power", ndl.power, lambda a, b: a**b, (2, 3), (2, 3), **POSITIVE),
    Case("power", ndl.power, lambda a, b: a**b, (), (), **POSITIVE),
    Case("power_scalar_3", lambda a: ndl.power_scalar(a, scalar=3), lambda a: a**3, (2, 3)),
    Case("power_scalar_2", lambda a: a**2, lambda a: a**2, ()),
    Case("power_scalar_-1.5", lambda a: a**-1.5, lambda a: a**-1.5, (4,), **POSITIVE),
    Case("divide", ndl.divide, lambda a, b: a / b, (2, 3), (2, 3), **POSITIVE),
    Case("divide", ndl.divide, lambda a, b: a / b, (), (), **POSITIVE),
    Case("divide_scalar", lambda a: ndl.divide_scalar(a, scalar=12), lambda a: a / 12, (2, 3)),
    Case("divide_scalar", lambda a: a / 0.7, lambda a: a / 0.7, ()),
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
    Case("matmul", ndl.matmul, np.matmul, (2, 3), (3, 4)),
    Case("matmul", ndl.matmul, np.matmul, (2, 2, 3), (2, 3, 2)),
    Case("matmul", ndl.matmul, np.matmul, (2, 3, 2, 2), (2, 1)),
    Case("matmul", ndl.matmul, np.matmul, (1, 2), (2, 3, 2, 2)),
    Case("matmul", ndl.matmul, np.matmul, (2, 1, 2, 3), (1, 3, 3, 1)),
    Case("negate", ndl.negate, lambda a: -a, (2, 3)),
    Case("negate", ndl.negate, lambda a: -a, ()),
    Case("log", ndl.log, np.log, (2, 3), **POSITIVE),
    Case("log", ndl.log, np.log, (), **POSITIVE),
    Case("exp", ndl.exp, np.exp, (2, 3)),
    Case("exp", ndl.exp, np.exp, ()),
]

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
