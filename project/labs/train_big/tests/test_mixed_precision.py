"""Numbers of 16 bits: rounding bit by bit, master weights, and a loss that is scaled."""

import needle as ndl
import numpy as np
import pytest
from course_testing import assert_close, slip
from needle import nn, optim
from train_big.mixed_precision import MixedPrecision, bfloat16, cast, float16

LARGEST = float.fromhex("0x1.fep127")  # of bfloat16

bits = {"problem": "train-big/bfloat16"}
trained = {"problem": "train-big/mixed_precision"}


def tensor(array, requires_grad=True):
    return ndl.Tensor(array, dtype="float32", requires_grad=requires_grad)


def parameter(array):
    return nn.Parameter(array, dtype="float32")


# -------------------------------------------------------------------------------------- rounding


def nearest(x):
    """The nearest bfloat16 by arithmetic in float64: x as a multiple of its last place."""
    x = np.asarray(x, dtype="float64")
    _, exponent = np.frexp(np.where(np.isfinite(x), x, 0))
    place = np.ldexp(1.0, np.maximum(exponent, -125) - 8)
    multiple = x / place
    multiple = slip("bits are cut off: round to the nearest", np.rint(multiple), np.trunc(multiple))
    away = np.sign(multiple) * np.floor(np.abs(x / place) + 0.5)
    multiple = slip("halfway numbers are rounded away from 0: to the even one", multiple, away)
    rounded = multiple * place
    return np.where(np.abs(rounded) > LARGEST, np.copysign(np.inf, x), rounded)


def from_bits(*patterns):
    return np.array(patterns, dtype="uint32").view("float32")


def test_bfloat16_of_the_worked_examples():
    x = np.array([1.0, 1 + 1 / 256, 1 + 3 / 256, 1 + 5 / 1024, 3.14159265, -0.1], dtype="float32")
    desired = nearest(x)  # 1, 1, 1.015625, 1.0078125, 3.140625, -0.10009765625
    assert_close(bfloat16(x), desired, rtol=0, atol=0, op="bfloat16", dtype="float32", **bits)


def test_bfloat16_keeps_every_number_that_it_has():
    x = (np.arange(2**16, dtype="uint32") << 16).view("float32")
    x = x[~np.isnan(x)]
    assert_close(bfloat16(x), x, rtol=0, atol=0, op="a bfloat16 is its own rounding", **bits)


def test_bfloat16_rounds_any_float32_to_the_nearest():
    patterns = np.random.RandomState(0).randint(0, 2**32, 20000, dtype="uint32")
    x = patterns.view("float32")
    x = x[np.isfinite(x)]
    assert_close(bfloat16(x), nearest(x), rtol=0, atol=0, op="bfloat16", dtype="float32", **bits)


def test_bfloat16_rounds_halves_to_the_even_neighbour():
    halves = (np.arange(0, 2**15, dtype="uint32") << 16 | 0x8000).view("float32")
    halves = np.concatenate([halves, -halves])
    halves = halves[np.isfinite(halves)]
    op = "bfloat16 of numbers in the middle"
    assert_close(bfloat16(halves), nearest(halves), rtol=0, atol=0, op=op, **bits)


def test_bfloat16_beyond_the_largest_is_infinite():
    x = from_bits(0x7F7F7FFF, 0x7F7F8000, 0x7F800000, 0xFF7FFFFF)
    desired = [LARGEST, np.inf, np.inf, -np.inf]
    assert_close(bfloat16(x), desired, rtol=0, atol=0, op="bfloat16 of large numbers", **bits)


@pytest.mark.parametrize("pattern", [0x7FC00000, 0x7F800001, 0xFFFFFFFF, 0x7FFFFFFF, 0xFF80FFFF])
def test_bfloat16_of_nan_is_nan(pattern):
    got = bfloat16(from_bits(pattern))
    assert np.isnan(got).all(), (
        f"train-big/bfloat16: NaN with the bits {pattern:#x} becomes {got[0]}: adding to its bits "
        "carries over into the exponent or the sign"
    )


def test_bfloat16_takes_any_shape_and_changes_nothing():
    x = np.full((2, 3), 1.001, dtype="float32")
    kept = x.copy()
    assert_close(bfloat16(x), np.ones((2, 3)), rtol=0, atol=0, op="bfloat16", **bits)
    assert_close(x, kept, rtol=0, atol=0, op="its argument, afterwards", **bits)
    number = bfloat16(np.float32(1.001))
    assert_close(number, 1.0, rtol=0, atol=0, op="bfloat16 of a number", **bits)


def submit_bfloat16():
    import mugrade

    rng = mugrade.rng()
    patterns = rng.randint(0, 2**32, 400, dtype="uint32")
    halves = patterns & 0xFFFF0000 | 0x8000
    small = patterns & 0x80FFFFFF
    for label, group in (("any", patterns), ("halves", halves), ("small", small)):
        x = group.view("float32")
        x = x[np.isfinite(x)]
        mugrade.submit(bfloat16(x).view("uint32") >> 16, label=label)
    nans = patterns | 0x7F800001
    kinds = [np.isnan(bfloat16(nans.view("float32"))), np.isinf(bfloat16(from_bits(0x7F7FC000)))]
    mugrade.submit([*np.concatenate(kinds).astype("int64"), int(patterns[0])], label="NaN and inf")


# ------------------------------------------------------------------- master weights, scaled loss


def sgd(lr, **settings):
    return lambda params: optim.SGD(params, lr=lr, **settings)


def give(params, *grads):
    for param, grad in zip(params, grads):
        param.grad = None if grad is None else tensor(np.asarray(grad, dtype="float32"))


def assert_exact(actual, desired, op):
    assert_close(actual, desired, rtol=0, atol=0, op=op, dtype="float32", **trained)


def test_mixed_precision_rounds_the_parameters_and_not_the_masters():
    params = [parameter([1 + 1 / 256, 2.0]), parameter([[3 / 1024]])]
    mixed = MixedPrecision(params, sgd(1.0), bfloat16)
    assert_exact(params[0], [1.0, 2.0], "a parameter before the first step")
    assert_exact(mixed.masters[0], [1 + 1 / 256, 2.0], "its master before the first step")
    give(params, [0.0, mixed.scale / 512], [[0.0]])
    assert mixed.step() is True
    assert_exact(mixed.masters[0], [1 + 1 / 256, 2 - 1 / 512], "a master after a step")
    assert_exact(params[0], [1.0, 2.0], "a parameter after a step")


def test_mixed_precision_masters_collect_steps_that_rounding_would_lose():
    params = [parameter([1.0])]
    mixed = MixedPrecision(params, sgd(1 / 1024), bfloat16, scale=4.0)
    seen = []
    for _ in range(8):
        give(params, [-4.0])  # the gradient -1, scaled
        mixed.step()
        seen.append(params[0].numpy().item())
    # 1 + k/1024; the neighbours of 1 are 1/128 apart, and halfway, at 4/1024, is the even one: 1
    desired = [1, 1, 1, 1, 1 + 1 / 128, 1 + 1 / 128, 1 + 1 / 128, 1 + 1 / 128]
    assert_close(seen, desired, rtol=0, atol=0, op="a parameter, step by step", **trained)


def test_mixed_precision_scales_the_loss_so_that_small_gradients_survive():
    w = parameter([0.5, -0.25])
    mixed = MixedPrecision([w], sgd(2.0**20), float16, scale=2.0**15)
    tiny = 2.0**-27  # what is below 2**-25 becomes 0 in float16
    mixed.backward((cast(w, float16) * tiny).sum())
    assert_exact(w.grad, [2.0**-12, 2.0**-12], "the gradient that backward leaves, scaled")
    mixed.step()
    op = "a master: minus lr times the gradient, no longer scaled"
    assert_exact(mixed.masters[0], [0.5 - 1 / 128, -0.25 - 1 / 128], op)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_mixed_precision_skips_the_step_and_halves_the_scale_if_anything_overflowed(bad):
    params = [parameter([1.0, 2.0]), parameter([3.0])]
    mixed = MixedPrecision(params, lambda p: optim.Adam(p, lr=0.5), float16, scale=64.0, patience=9)
    give(params, [1.0, 1.0], [1.0])
    mixed.step()
    masters, time = [m.numpy() for m in mixed.masters], mixed.optimizer.t
    give(params, [1.0, 1.0], [bad])
    assert mixed.step() is False, "train-big/mixed_precision: step() says whether it was made"
    for master, kept in zip(mixed.masters, masters):
        assert_exact(master, kept, "a master, when one gradient of all overflowed")
    assert mixed.optimizer.t == time, "train-big/mixed_precision: the optimizer made a step"
    assert mixed.scale == 32.0, f"train-big/mixed_precision: the scale is {mixed.scale}: halve it"
    assert mixed.good_steps == 0, "train-big/mixed_precision: good steps count in a row: begin anew"


def test_mixed_precision_doubles_the_scale_after_enough_good_steps_in_a_row():
    params = [parameter([1.0])]
    mixed = MixedPrecision(params, sgd(0.0), float16, scale=8.0, patience=3)
    scales = []
    for grad in (1, 1, np.inf, 1, 1, 1, 1, 1, 1, 1):
        give(params, [grad])
        mixed.step()
        scales.append(mixed.scale)
    desired = [8, 8, 4, 4, 4, 8, 8, 8, 16, 16]
    assert_close(scales, desired, op="the scale, step by step", **trained)


def test_mixed_precision_leaves_parameters_without_gradient_alone():
    params = [parameter([1.0]), parameter([2.0])]
    mixed = MixedPrecision(params, sgd(0.5, weight_decay=0.5), bfloat16, scale=2.0)
    give(params, [2.0], [2.0])
    mixed.step()
    kept = mixed.masters[1].numpy()
    give(params, [2.0], None)
    assert mixed.step()
    assert_exact(mixed.masters[1], kept, "a master whose parameter has no gradient")


def test_mixed_precision_learns_what_float32_learns():
    """A line, in float16, with gradients that float16 alone could not hold."""
    random = np.random.RandomState(0)
    X, true = random.randn(32, 3), random.randn(3, 1)
    x, y = tensor(X, requires_grad=False), tensor(X @ true, requires_grad=False)
    w = parameter(np.zeros((3, 1)))
    mixed = MixedPrecision([w], sgd(2.0**16), float16, scale=2.0**40, patience=4)
    made = 0
    for _ in range(60):
        error = cast(cast(x, float16) @ cast(w, float16), float16) - y
        with np.errstate(invalid="ignore"):  # infinite adjoints are what the scale is for
            mixed.backward((error * error).sum() * 2.0**-24)
        made += mixed.step()
    assert 30 < made < 60, (
        f"train-big/mixed_precision: {made} of 60 steps were made: with so large a scale the first "
        "ones overflow, until it has come down"
    )
    assert_close(mixed.masters[0], true, rtol=0, atol=0.01, op="the line", **trained)


def submit_mixed_precision():
    import mugrade

    rng = mugrade.rng()
    for label, rounding in (("bfloat16", bfloat16), ("float16", float16)):
        shapes = [(3, 2), (4,)]
        params = [parameter(rng.randint(-999, 999, shape) / 1024) for shape in shapes]
        scale = 2.0 ** int(rng.randint(2, 60))
        mixed = MixedPrecision(params, sgd(0.5), rounding, scale=scale, patience=3)
        scales, bad = [], int(rng.choice([1, 2, 4, 5]))
        for number in range(7):
            grads = [rng.randint(-99, 99, shape) / 16 * mixed.scale for shape in shapes]
            if number == bad:
                grads[1][0] = np.inf
            give(params, *grads)
            scales += [int(mixed.step()), mixed.good_steps, mixed.scale]
        mugrade.submit([m.numpy() for m in mixed.masters], label=f"masters, {label}")
        mugrade.submit([p.numpy() for p in params], label=f"parameters, {label}")
        mugrade.submit(scales, label=f"scales, {label}")
    w = parameter(rng.randint(1, 99, 3) / 128)
    mixed = MixedPrecision([w], sgd(1.0), float16, scale=2.0**14)
    mixed.backward((cast(w, float16) * (int(rng.randint(1, 4)) * 2.0**-26)).sum())
    mark = int(rng.randint(2**31 - 1))  # no two variants have the same numbers
    mugrade.submit([w.grad.numpy(), mark], label="a scaled gradient")
