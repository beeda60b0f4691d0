"""Homework 2: the initializers of weights, by their formulas and their order of draws."""

import math
import sys

sys.path.append("./python")

import numpy as np
import pytest
from course_testing import assert_close, assert_like, slip
from hw2_modules import draw_from_seed
from needle import init


def symmetric(draws):
    """Uniform numbers from -1 to 1 of numbers from 0 to 1."""
    return slip("from 0 to the bound: the numbers lie on both sides of 0", 2 * draws - 1, draws)


def test_init_xavier_uniform():
    a = 1.5 * math.sqrt(6 / (3 + 5))
    a = slip("fan_out is forgotten: both fans count", a, 1.5 * math.sqrt(6 / 3))
    a = slip("the standard deviation is taken for the bound", a, a / math.sqrt(3))
    a = slip("the gain is forgotten", a, a / 1.5)
    wanted, after = draw_from_seed(42, lambda: symmetric(np.random.rand(3, 5)) * a)
    weight, after_weight = draw_from_seed(42, lambda: init.xavier_uniform(3, 5, gain=1.5))
    assert_close(weight, wanted, problem="hw2/init", op="xavier_uniform", dtype="float32")
    assert after_weight == after, "one call of rand(3, 5), no other random numbers"


def test_init_xavier_normal():
    std = 0.33 * math.sqrt(2 / (3 + 5))
    std = slip("fan_out is forgotten: both fans count", std, 0.33 * math.sqrt(2 / 3))
    std = slip("this is the uniform distribution's bound: sqrt(2 / ...)", std, std * math.sqrt(3))
    std = slip("this is the variance: the deviation is its root", std, std**2)
    std = slip("the gain is forgotten", std, std / 0.33)
    wanted, after = draw_from_seed(42, lambda: np.random.randn(3, 5) * std)
    weight, after_weight = draw_from_seed(42, lambda: init.xavier_normal(3, 5, gain=0.33))
    assert_close(weight, wanted, problem="hw2/init", op="xavier_normal", dtype="float32")
    assert after_weight == after, "one call of randn(3, 5), no other random numbers"


def test_init_kaiming_uniform():
    bound = math.sqrt(2) * math.sqrt(3 / 3)
    bound = slip("the gain of ReLU, sqrt(2), is forgotten", bound, math.sqrt(3 / 3))
    bound = slip("the standard deviation is taken for the bound", bound, math.sqrt(2 / 3))
    bound = slip("fan_out is taken: fan_in counts", bound, math.sqrt(6 / 5))
    wanted, after = draw_from_seed(42, lambda: symmetric(np.random.rand(3, 5)) * bound)
    weight, after_weight = draw_from_seed(42, lambda: init.kaiming_uniform(3, 5))
    assert_close(weight, wanted, problem="hw2/init", op="kaiming_uniform", dtype="float32")
    assert after_weight == after, "one call of rand(3, 5), no other random numbers"


def test_init_kaiming_normal():
    std = math.sqrt(2) / math.sqrt(3)
    std = slip("fan_out is taken: fan_in counts", std, math.sqrt(2 / 5))
    std = slip("the gain of ReLU, sqrt(2), is forgotten", std, math.sqrt(1 / 3))
    std = slip("this is the variance: the deviation is its root", std, std**2)
    wanted, after = draw_from_seed(42, lambda: np.random.randn(3, 5) * std)
    weight, after_weight = draw_from_seed(42, lambda: init.kaiming_normal(3, 5))
    assert_close(weight, wanted, problem="hw2/init", op="kaiming_normal", dtype="float32")
    assert after_weight == after, "one call of randn(3, 5), no other random numbers"


INITIALIZERS = [
    init.xavier_uniform,
    init.xavier_normal,
    init.kaiming_uniform,
    init.kaiming_normal,
]


@pytest.mark.parametrize("initializer", INITIALIZERS, ids=lambda f: f.__name__)
def test_init_passes_its_keywords_on(initializer):
    weight = initializer(4, 2, dtype="float64", requires_grad=True)
    assert_like(weight, (4, 2), "float64", problem="hw2/init", op=initializer.__name__)
    assert weight.requires_grad


@pytest.mark.parametrize(
    "initializer, variance",
    [
        (init.xavier_uniform, 2 / (300 + 200)),
        (init.xavier_normal, 2 / (300 + 200)),
        (init.kaiming_uniform, 2 / 300),
        (init.kaiming_normal, 2 / 300),
    ],
    ids=lambda value: getattr(value, "__name__", "variance"),
)
def test_init_has_the_variance_that_keeps_activations_alive(initializer, variance):
    weight = initializer(300, 200).numpy()
    assert abs(weight.mean()) < 5 * math.sqrt(variance / weight.size)
    assert abs(weight.var() / variance - 1) < 0.05


def submit_init():
    import mugrade

    mugrade.rng()
    for initializer in INITIALIZERS:
        mugrade.submit(initializer(4, 3).numpy(), label=initializer.__name__)
    mugrade.submit(init.xavier_normal(2, 5, gain=0.7).numpy(), label="xavier_normal with a gain")
    for initializer in INITIALIZERS:
        weight = initializer(2, 3, dtype="float64").numpy()
        mugrade.submit(weight, label=f"{initializer.__name__} in float64")
