"""Homework 3: elementwise and scalar operators."""

import sys

sys.path.append("./python")

import numpy as np
import pytest
from course_testing import assert_close, slip
from hw3_arrays import arrays, cases, devices, pair, problem_of
from needle import backend_ndarray as nd

SHAPES = [(1,), (7,), (16,), (33,), (4, 5, 6), (0, 3), (), (300, 301)]
BINARY = {
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "subtract": lambda a, b: a - b,
    "equal": lambda a, b: a == b,
    "unequal": lambda a, b: a != b,
    "at_least": lambda a, b: a >= b,
    "at_most": lambda a, b: a <= b,
    "greater": lambda a, b: a > b,
    "less": lambda a, b: a < b,
}


def known(name, x, y):
    """What the operator gives, and what it gives by mistake."""
    right = BINARY[name](x, y)
    others = {
        "multiply": {"this is the sum": x + y},
        "divide": {"b / a: a is divided by b": y / x},
        "subtract": {"b - a: b is subtracted from a": y - x, "this is the sum": x + y},
        "equal": {
            "numbers that are nearly equal count: equal means equal": np.abs(x - y) < 1e-2,
            "always 1: compare": np.ones_like(right),
        },
        "at_least": {"this is >: equal numbers count": x > y, "this is <=": x <= y},
        "at_most": {"this is <: equal numbers count": x < y, "this is >=": x >= y},
        "greater": {"this is >=: equal numbers do not count": x >= y},
        "less": {"this is <=: equal numbers do not count": x <= y},
    }
    for sentence, wrong in others.get(name, {}).items():
        right = slip(sentence, right, wrong)
    return right


@cases("shape", SHAPES)
@pytest.mark.parametrize("name", BINARY)
@devices
def test_ewise_fn(name, shape, device):
    x, a = pair(device, *shape)
    y, b = pair(device, *shape)
    y.reshape(-1)[::3] = x.reshape(-1)[::3]  # some equal elements
    b = nd.array(y, device=device)
    desired = known(name, x.astype(np.float64), y.astype(np.float64))
    assert_close(
        BINARY[name](a, b),
        desired,
        problem=problem_of("ops", device),
        op=name,
        dtype="float32",
        rtol=1e-6,
    )


@cases("shape", SHAPES)
@devices
def test_ewise_max(shape, device):
    x, a = pair(device, *shape)
    y, b = pair(device, *shape)
    assert_close(
        a.maximum(b),
        slip("this is the smaller one", np.maximum(x, y), np.minimum(x, y)),
        problem=problem_of("ops", device),
        op="maximum",
        rtol=0,
        atol=0,
    )
    larger = np.maximum(x, np.float32(0.25))
    larger = slip("this is max(a, 0): the larger of element and number", larger, np.maximum(x, 0))
    assert_close(
        a.maximum(0.25),
        larger,
        problem=problem_of("ops", device),
        rtol=0,
        atol=0,
    )


SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.5, 3e38, 1e-40], np.float32)


@devices
def test_ewise_max_is_nan_when_an_operand_is(device):
    x, y = (side.ravel() for side in np.meshgrid(SPECIAL, SPECIAL))
    a, b = nd.array(x, device=device), nd.array(y, device=device)
    assert_close(
        a.maximum(b),
        np.maximum(x, y),
        problem=problem_of("ops", device),
        op="maximum",
        rtol=0,
        atol=0,
    )
    assert_close(
        a.maximum(-1.0),
        np.maximum(x, -1),
        problem=problem_of("ops", device),
        op="maximum",
        rtol=0,
        atol=0,
    )


@pytest.mark.parametrize("name", BINARY)
@devices
def test_ewise_fn_of_nan_infinity_and_zero(name, device):
    x, y = (side.ravel() for side in np.meshgrid(SPECIAL, SPECIAL))
    with np.errstate(all="ignore"):
        desired = BINARY[name](x, y)
    actual = BINARY[name](nd.array(x, device=device), nd.array(y, device=device))
    if device.name == "cuda":  # GPUs may round numbers below the normal range to zero
        keep = (np.abs(x) != SPECIAL[-1]) & (np.abs(y) != SPECIAL[-1])
        actual, desired = actual.numpy()[keep], desired[keep]
    assert_close(actual, desired, problem=problem_of("ops", device), op=name, rtol=1e-6, atol=0)


SCALAR = {
    "a * s": lambda a, s: a * s,
    "s * a": lambda a, s: s * a,
    "a / s": lambda a, s: a / s,
    "a - s": lambda a, s: a - s,
    "s - a": lambda a, s: s - a,
    "s / a": lambda a, s: s / a,
    "a == s": lambda a, s: a == s,
    "a != s": lambda a, s: a != s,
    "a >= s": lambda a, s: a >= s,
    "a <= s": lambda a, s: a <= s,
    "a > s": lambda a, s: a > s,
    "a < s": lambda a, s: a < s,
}


@cases("shape", SHAPES)
@pytest.mark.parametrize("name", SCALAR)
@devices
def test_scalar_fn(name, shape, device):
    x, a = pair(device, *shape)
    x.reshape(-1)[::3] = -1.5
    a = nd.array(x, device=device)
    exact = x.astype(np.float64)
    desired = SCALAR[name](exact, -1.5)
    if name == "a / s":
        desired = slip("s / a: the element is divided by the number", desired, -1.5 / exact)
    if name in ("a * s", "s * a"):
        desired = slip("divided by the number: multiply", desired, exact / -1.5)
    if name == "a == s":
        desired = slip("always 1: compare with the number", desired, np.ones_like(exact))
    if name == "a >= s":
        desired = slip("s >= a: the element stands on the left", desired, exact <= -1.5)
        desired = slip("this is >: equal numbers count", desired, exact > -1.5)
    assert_close(
        SCALAR[name](a, -1.5),
        desired,
        problem=problem_of("ops", device),
        op=name,
        dtype="float32",
        rtol=1e-6,
    )


@cases("exponent", [0, 1, 2, 3, 4, -1, -2, 0.5, -0.5, 1.5, 2.7])
@devices
def test_scalar_power(exponent, device):
    x, a = pair(device, 5, 67)
    if exponent != int(exponent):
        x = np.abs(x)
        a = nd.array(x, device=device)
    exact = x.astype(np.float64)
    desired = exact**exponent
    if exponent >= 0:
        with np.errstate(divide="ignore"):
            turned = np.float64(exponent) ** exact
        desired = slip("s ** a: the array is the base", desired, turned)
    positive = np.where(exact < 0, np.nan, np.abs(exact) ** exponent)
    desired = slip("a negative base gives NaN: exp(s log(a)) has none", desired, positive)
    assert_close(
        a**exponent,
        desired,
        problem=problem_of("ops", device),
        op=f"a ** {exponent}",
        rtol=2e-6,
        atol=0,
    )


@devices
def test_scalar_power_of_zero_infinity_and_negative_numbers(device):
    x = np.array([0.0, -0.0, np.inf, -np.inf, -8.0, 1.0, np.nan], np.float32)
    for exponent in (0, 1, 2, 3, -1, -3, 1.5, -1.5, 2.5):
        with np.errstate(all="ignore"):
            desired = np.power(x, np.float32(exponent))
        actual = nd.array(x, device=device) ** exponent
        assert_close(
            actual,
            desired,
            problem=problem_of("ops", device),
            op=f"a ** {exponent}",
            rtol=2e-6,
            atol=0,
        )


@cases("shape", SHAPES)
@devices
def test_log(shape, device):
    x = np.abs(np.random.standard_normal(shape)).astype(np.float32) + 5.0
    a = nd.array(x, device=device)
    assert_close(
        a.log(),
        slip(
            "this is the logarithm to base 2: the natural one",
            exact := np.log(x.astype(np.float64)),
            exact / np.log(2),
        ),
        problem=problem_of("ops", device),
        op="log",
        rtol=1e-6,
        atol=0,
    )


@cases("shape", SHAPES)
@devices
def test_exp(shape, device):
    x, a = pair(device, *shape, scale=15)
    assert_close(
        a.exp(),
        slip("exp(x) - 1: exp(x)", exact := np.exp(x.astype(np.float64)), exact - 1),
        problem=problem_of("ops", device),
        op="exp",
        rtol=1e-6,
        atol=0,
    )


@cases("shape", SHAPES)
@devices
def test_tanh(shape, device):
    x, a = pair(device, *shape, scale=3)
    assert_close(
        a.tanh(),
        slip(
            "this is the sigmoid",
            np.tanh(x.astype(np.float64)),
            1 / (1 + np.exp(-x.astype(np.float64))),
        ),
        problem=problem_of("ops", device),
        op="tanh",
        rtol=1e-6,
        atol=0,
    )


@pytest.mark.parametrize("name", ["log", "exp", "tanh"])
@devices
def test_log_exp_tanh_of_extreme_numbers(name, device):
    wide = np.concatenate([10.0 ** np.arange(-37, 39, 3), [88.0, 89.0, 103.0]]).astype(np.float32)
    x = np.concatenate([SPECIAL[:-1], wide, -wide])
    with np.errstate(all="ignore"):
        desired = getattr(np, name)(x.astype(np.float64)).astype(np.float32)
    desired[np.abs(desired) < np.finfo(np.float32).tiny] = 0  # may be rounded to zero
    actual = getattr(nd, name)(nd.array(x, device=device)).numpy()
    actual[np.abs(actual) < np.finfo(np.float32).tiny] = 0
    assert_close(actual, desired, problem=problem_of("ops", device), op=name, rtol=1e-6, atol=0)


def _submit_ops(device):
    import mugrade

    a, b = arrays(mugrade.rng(), device, (7, 9), (7, 9))
    results = {
        "multiply": a * b,
        "divide": a / b,
        "subtract": a - b,
        "maximum": a.maximum(b),
        "equal": (a >= 0.0) == (b >= 0.0),
        "at least": a >= b,
        "times a number": a * 1.75,
        "divided by a number": a / -0.3,
        "power": a.maximum(0.1) ** 1.7,
        "maximum with a number": a.maximum(0.2),
        "equal to a number": a.maximum(0.5) == 0.5,
        "at least a number": a >= -0.1,
        "log": a.maximum(0.05).log(),
        "exp": (a * 3).exp(),
        "tanh": a.tanh(),
    }
    for label, result in results.items():
        mugrade.submit(result.numpy(), label=label)
    rng = mugrade.rng()
    values = rng.standard_normal((4, 9)).astype(np.float32)
    near = (values + rng.randint(-1, 2, (4, 9)) * 1e-3).astype(np.float32)
    x, y = nd.array(values, device=device), nd.array(near, device=device)
    mugrade.submit((x == y).numpy(), label="equal, of numbers that are nearly equal")
    mugrade.submit((x >= y).numpy(), label="at least, of numbers some of which are equal")
    mugrade.submit((x**2).numpy(), label="the square, of negative numbers too")
    mugrade.submit((x**3).numpy(), label="the cube, of negative numbers too")
    mugrade.submit((x * 60).tanh().numpy(), label="tanh of large numbers")
    special = np.where(rng.rand(4, 9) < 0.4, np.nan, values).astype(np.float32)
    special[rng.rand(4, 9) < 0.2] = np.inf
    z = nd.array(special, device=device)
    mugrade.submit(
        [x.maximum(z).numpy(), z.maximum(x).numpy()], label="an edge case: maximum with NaN"
    )
    mugrade.submit((z == z).numpy(), label="an edge case: NaN and infinity, equal to themselves?")


def submit_ndarray_cpu_ops():
    _submit_ops(nd.cpu())


def submit_ndarray_cuda_ops():
    _submit_ops(nd.cuda())
