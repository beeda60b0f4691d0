"""What all course tests compare with: `assert_close`, and gradients by finite differences.

`assert_close(actual, desired)` fails with a message made for a person who is learning: the
problem, the shapes and types, the first wrong entry, and, when the result looks like a mistake
that people make, the name of that mistake. What an oracle knows of mistakes it says by `slip`, see
course_testing.slips. Needs NumPy only, knows nothing of needle.
"""

import itertools

import numpy as np

from course_testing.slips import compared
from course_testing.slips import slip as slip

FLOAT32_EPS = float(np.finfo(np.float32).eps)

# ------------------------------------------------------------------------------- the comparison


def assert_close(
    actual,
    desired,
    *,
    problem=None,
    op=None,
    rtol=None,
    atol=None,
    dtype=None,
    terms=1,
    lengths=(),
):
    """Assert that `actual` equals `desired` to within the rounding of float32.

    Args:
        actual: the student's result: array, number, list, or anything with a `.numpy()` method.
        desired: the right result, preferably computed in float64. Shapes must be equal.
        problem: id of the problem, such as "hw0/softmax_loss".
        op: what was computed, such as "EWiseDiv.gradient of b".
        rtol, atol: an entry is right when |actual - desired| <= atol + rtol * |desired|.
            Default rtol: 32 float32 roundings, growing with sqrt(terms); default atol: rtol times
            the largest desired entry, because sums that cancel keep the error of their terms.
            Whole numbers are compared exactly.
        dtype: the type that `actual` must have, such as "float32".
        terms: how many numbers are added up for one entry.
        lengths: sizes (batch, classes) to look for when the result is off by a factor.
    """
    __tracebackhide__ = True
    actual, desired = as_array(actual), as_array(desired)
    rtol, atol = tolerances(actual, desired, rtol, atol, terms)
    name = ": ".join(str(part) for part in (problem, op) if part) or "result"
    if actual.dtype.kind not in "biuf":
        fault, hints = "not numbers", nothing_hints(actual)
    elif actual.shape != desired.shape:
        fault, hints = "wrong shape", shape_hints(actual, desired)
    elif not close(actual, desired, rtol, atol).all():
        fault, hints = "wrong values", value_hints(actual, desired, lengths)
    elif dtype is not None and actual.dtype != np.dtype(dtype):
        fault, hints = "wrong type", []
    else:
        compared(True)
        return
    compared(False)
    if dtype is not None and actual.dtype != np.dtype(dtype):
        hints = hints + [dtype_hint(actual.dtype, np.dtype(dtype))]
    raise AssertionError(report(name, fault, actual, desired, dtype, rtol, atol, hints))


def assert_like(actual, shape, dtype=None, *, problem=None, op=None):
    """Assert shape and type only, with the report of `assert_close`."""
    __tracebackhide__ = True
    actual = as_array(actual)
    if actual.shape == tuple(shape):
        desired = actual
    else:
        desired = np.zeros(shape, dtype or actual.dtype)
    assert_close(actual, desired, problem=problem, op=op, dtype=dtype)


def as_array(value):
    """A NumPy array of `value`; Tensors and NDArrays give theirs through `.numpy()`."""
    if not isinstance(value, np.ndarray) and hasattr(value, "numpy"):
        value = value.numpy()
    return np.asarray(value)


def tolerances(actual, desired, rtol, atol, terms):
    """The given tolerances, with the documented defaults for those that are None."""
    if rtol is None and atol is None and desired.dtype.kind in "biu":
        return 0.0, 0.0
    if rtol is None:
        rtol = 32 * FLOAT32_EPS * max(1.0, terms) ** 0.5
    if atol is None:
        finite = np.abs(desired[np.isfinite(desired)]) if desired.size else np.zeros(0)
        atol = rtol * float(finite.max(initial=0.0) or 1.0)
    return rtol, atol


def close(actual, desired, rtol, atol):
    """Elementwise: is the entry right? NaN matches NaN, inf matches the same inf."""
    return np.isclose(
        actual.astype(np.float64), desired.astype(np.float64), rtol=rtol, atol=atol, equal_nan=True
    )


def report(name, fault, actual, desired, dtype, rtol, atol, hints):
    """The text of a failure."""
    wanted = np.dtype(dtype) if dtype is not None else desired.dtype
    lines = [
        f"{name}: {fault}",
        f"  got       shape {actual.shape}, {actual.dtype}",
        f"  expected  shape {desired.shape}, {wanted}",
    ]
    if fault == "wrong values":
        wrong = ~close(actual, desired, rtol, atol)
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        where = f" at index {index}" if index else ""
        lines += [
            f"  first difference{where}: got {actual[index]:.9g}, expected {desired[index]:.9g}",
            f"  {int(wrong.sum())} of {wrong.size} entries differ "
            f"(tolerance: rtol {rtol:.2g}, atol {atol:.2g})",
        ]
    return "\n".join(lines + [f"  hint: {hint}" for hint in hints])


# --------------------------------------------------------------------------------- the diagnoses


def looks_like(actual, other):
    """Is `actual` the array `other`, up to rounding? False for arrays that say nothing."""
    if actual.shape != other.shape or not np.isfinite(other).all() or not other.any():
        return False
    scale = float(np.abs(other).max())
    return bool(np.allclose(actual, other, rtol=1e-4, atol=1e-5 * scale))


def nothing_hints(actual):
    """Results that are no numbers; most often a function without a return."""
    return ["the result is None: is a `return` missing?"] if actual.ravel()[:1] == [None] else []


def dtype_hint(actual, wanted):
    if actual == np.float64 and wanted == np.float32:
        return (
            "float64: some step left float32 (a one-hot matrix, np.zeros/np.ones without dtype, "
            "or a NumPy float64 scalar such as np.sqrt(2))"
        )
    if actual.kind in "iu" and wanted.kind == "f":
        return f"{actual} is an integer type: fractions are lost, convert to {wanted}"
    return f"the type must be {wanted}, not {actual}"


def shape_hints(actual, desired):
    """Mistakes that show in the shape."""
    got, want = actual.shape, desired.shape
    if got == want[::-1]:
        same = looks_like(actual, desired.T)
        return ["this is the transpose of the expected value" if same else "the axes are reversed"]
    if sorted(got) == sorted(want):
        return ["the axes stand in another order: permute them"]
    if [n for n in got if n != 1] == [n for n in want if n != 1]:
        return ["only axes of length 1 differ: look at keepdims, or reshape"]
    axes = missing_reduction(actual, desired)
    if axes:
        return [f"not summed over axis {axes}, along which the input was broadcast or reduced"]
    if broadcasts(want, got):
        return [f"not reduced: the result still has the broadcast shape {got}"]
    if broadcasts(got, want):
        return [f"this shape is reduced too far, or must still be broadcast to {want}"]
    if actual.size == desired.size:
        return ["the number of entries is right: a reshape is missing or wrong"]
    return []


def broadcasts(small, large):
    """Can an array of shape `small` be broadcast to shape `large`?"""
    try:
        return np.broadcast_shapes(small, large) == large
    except ValueError:
        return False


def missing_reduction(actual, desired):
    """The axes over which `actual` must be summed (or averaged) to give `desired`, or None."""
    for count in range(1, actual.ndim + 1 if actual.size else 1):
        for axes in itertools.combinations(range(actual.ndim), count):
            for reduced in (actual.sum(axis=axes), actual.mean(axis=axes)):
                if reduced.size == desired.size and np.allclose(
                    reduced.ravel(), desired.ravel(), rtol=1e-4, atol=1e-6
                ):
                    return axes
    return None


def value_hints(actual, desired, lengths):
    """The first known mistake that explains the wrong values, as a list of at most one sentence."""
    kind = actual.dtype.kind
    actual, desired = actual.astype(np.float64), desired.astype(np.float64)
    hint = broken_hint(actual, desired)
    if hint is None and kind in "iu" and (np.abs(actual - desired) <= 1).all():
        hint = "fractions are cut off: the computation was done in an integer type"
    for find in (arrangement_hint, factor_hint, function_hint, region_hint):
        hint = hint or find(actual, desired, lengths)
    return [hint] if hint else []


def broken_hint(actual, desired):
    """Numbers that are none: NaN, infinity, zeros, memory that nobody wrote."""
    if (np.isnan(actual) & ~np.isnan(desired)).any():
        return "NaN: 0/0, inf - inf, or the logarithm of a negative number"
    if (np.isinf(actual) & np.isfinite(desired)).any():
        return "inf: an overflow (exp of more than 88 in float32) or a division by zero"
    if desired.any() and not actual.any():
        return "all zeros: the result was never written, or the update never added"
    scale = float(np.abs(desired[np.isfinite(desired)]).max(initial=0.0))
    size = np.abs(actual)
    tiny = np.finfo(np.float32).tiny
    if (size > 1e9 * max(scale, 1.0)).any() or ((size > 0) & (size < tiny) & (desired != 0)).any():
        return "absurd numbers: memory that was never initialized, or read past its end"
    return None


def arrangement_hint(actual, desired, lengths):
    """The right numbers in the wrong places."""
    if desired.size < 2 or np.ptp(desired) == 0:
        return None
    if looks_like(actual, desired.T):
        return "this is the transpose of the expected value"
    if desired.ndim > 2 and looks_like(actual, desired.swapaxes(-1, -2)):
        return "the last two axes of the expected value are swapped"
    for axis in range(desired.ndim):
        if looks_like(actual, np.flip(desired, axis)):
            return f"axis {axis} of the expected value is reversed (flipped)"
    if desired.ndim > 1 and looks_like(actual, np.flip(desired)):
        return "all axes of the expected value are reversed (flipped)"
    for axis in range(desired.ndim):
        for step in (1, -1):
            if desired.shape[axis] > 2 and looks_like(actual, np.roll(desired, step, axis)):
                return f"everything is shifted by one along axis {axis}: an offset is off by one"
    if looks_like(actual, desired.ravel(order="F").reshape(desired.shape)):
        return "the entries were laid out column by column: a transposed array was reshaped"
    if not looks_like(np.sort(actual, axis=None), np.sort(desired, axis=None)):
        return None
    if desired.ndim > 1 and looks_like(sorted_rows(actual), sorted_rows(desired)):
        return "the expected rows in another order: rows are permuted"
    return "the expected numbers stand in other places: a reshape or stride takes the wrong order"


def sorted_rows(array):
    rows = array.reshape(len(array), -1)
    return rows[np.lexsort(rows.round(4).T)]


def factor_hint(actual, desired, lengths):
    """The expected value times, or plus, one number everywhere."""
    largest = np.unravel_index(np.argmax(np.abs(desired)), desired.shape) if desired.size else ()
    if not desired.size or desired[largest] == 0:
        return None
    factor = float(actual[largest] / desired[largest])
    if factor and looks_like(actual, factor * desired):
        return name_of_factor(factor, desired, lengths)
    shift = float((actual - desired).flat[0])
    if desired.size > 1 and np.ptp(desired) > 0 and looks_like(actual, desired + shift):
        return f"off by a constant: {shift:+.6g} everywhere"
    if looks_like(np.abs(actual), np.abs(desired)):
        return "right sizes, but the sign is wrong in some entries"
    return None


def name_of_factor(factor, desired, lengths):
    """What a constant factor means."""
    for length in dict.fromkeys([*lengths, *desired.shape]):
        if length > 2 and abs(factor / length - 1) < 1e-3:
            return (
                f"{length} times the expected value, an axis's length: a sum where a mean is asked"
            )
        if length > 2 and abs(factor * length - 1) < 1e-3:
            return (
                f"the expected value divided by {length}, an axis's length: "
                "a mean where a sum is asked, or divided twice"
            )
    known = {
        -1.0: "the expected value negated: a sign is wrong",
        2.0: "twice the expected value: is a gradient counted twice?",
        0.5: "half the expected value: a factor 2, or one of two paths, is missing",
        -2.0: "minus twice the expected value: a sign and a factor are wrong",
        -0.5: "minus half the expected value: a sign and a factor are wrong",
    }
    for value, meaning in known.items():
        if abs(factor / value - 1) < 1e-3:
            return meaning
    if desired.size > 1:
        return f"{factor:.6g} times the expected value everywhere"
    if factor > 2.5 and abs(factor - round(factor)) < 1e-3:
        return f"{round(factor)} times the expected value: a sum where a mean is asked?"
    return None


def function_hint(actual, desired, lengths):
    """A function of the expected value: a step too many or too few."""
    functions = {
        "the square of the expected value: is a square root missing?": np.square,
        "the square root of the expected value: is a square missing?": np.sqrt,
        "one over the expected value: numerator and denominator are exchanged": np.reciprocal,
        "exp of the expected value: is a logarithm missing?": np.exp,
        "the logarithm of the expected value: is an exp missing?": np.log,
    }
    with np.errstate(all="ignore"):
        for meaning, function in functions.items():
            if looks_like(actual, function(desired)):
                return meaning
    for axis in range(desired.ndim):
        if desired.shape[axis] < 2:
            continue
        if looks_like(actual, np.cumsum(desired, axis)):
            return f"running sums of the expected value along axis {axis}: reset the accumulator"
        for reduce, word in ((np.sum, "sum"), (np.mean, "mean")):
            whole = np.broadcast_to(reduce(desired, axis=axis, keepdims=True), desired.shape)
            if looks_like(actual, whole):
                return f"every entry is the {word} of the expected ones along axis {axis}"
    return None


def region_hint(actual, desired, lengths):
    """Wrong only in one part: an edge that was forgotten."""
    wrong = ~close(actual, desired, 1e-4, 1e-5 * float(np.abs(desired).max(initial=0.0)))
    for axis in range(desired.ndim):
        lines = wrong.any(axis=tuple(i for i in range(desired.ndim) if i != axis))
        bad = np.flatnonzero(lines)
        if 0 < len(bad) <= len(lines) // 2 and len(lines) > 2:
            if bad[0] == len(lines) - len(bad):
                return (
                    f"only the end of axis {axis} is wrong, from {bad[0]} on: is the rest handled?"
                )
            if bad[-1] == len(bad) - 1:
                return f"only the start of axis {axis} is wrong, up to {bad[-1]}"
    return None


# ------------------------------------------------------------------ gradients, measured not derived


def numerical_gradients(function, arrays, weights=None, step=1e-5):
    """Gradients of sum(weights * function(*arrays)) by central differences, in float64.

    Args:
        function: takes float64 arrays of the shapes of `arrays`, returns an array or number;
            it must compute in float64 (differences of float32 numbers are mostly rounding).
        arrays: the point, a sequence of arrays.
        weights: array of the result's shape, the incoming gradient; ones when None.
        step: half the distance of the two points that are compared.

    Returns a list of float64 arrays, one of each input's shape. Costs two calls an entry: for
    large inputs use `assert_directional_gradient`.
    """
    point = [np.array(array, dtype=np.float64) for array in arrays]

    def value():
        result = as_array(function(*point)).astype(np.float64)
        return float((result if weights is None else result * weights).sum())

    gradients = []
    for array in point:
        gradient = np.zeros_like(array)
        for index in np.ndindex(*array.shape):
            kept = array[index]
            array[index] = kept + step
            above = value()
            array[index] = kept - step
            below = value()
            array[index] = kept
            gradient[index] = (above - below) / (2 * step)
        gradients.append(gradient)
    return gradients


def assert_gradients_close(
    function, arrays, gradients, *, weights=None, problem=None, op=None, **tol
):
    """Assert that `gradients` are those of sum(weights * function(*arrays)), entry by entry.

    `gradients` has one entry for each of `arrays`; None where an input has no gradient.
    Further keywords go to `assert_close`; the default rtol is 1e-4.
    """
    __tracebackhide__ = True
    assert len(gradients) == len(arrays), f"{len(gradients)} gradients of {len(arrays)} inputs"
    tol.setdefault("rtol", 1e-4)
    measured = numerical_gradients(function, arrays, weights)
    for number, (gradient, wanted) in enumerate(zip(gradients, measured)):
        if gradient is not None:
            name = f"gradient with respect to input {number}" + (f" of {op}" if op else "")
            assert_close(gradient, wanted, problem=problem, op=name, **tol)


def assert_directional_gradient(
    function, arrays, gradients, *, weights=None, problem=None, op=None, directions=3, seed=0, **tol
):
    """As `assert_gradients_close`, along random directions: two calls each, whatever the size.

    Along a direction d the derivative of sum(weights * function) must be the sum of
    gradient * d; a wrong gradient passes a random direction with probability zero.
    """
    __tracebackhide__ = True
    random = np.random.RandomState(seed)
    point = [np.array(array, dtype=np.float64) for array in arrays]
    gradients = [as_array(gradient) for gradient in gradients]
    dtype, step = tol.pop("dtype", None), 1e-5
    of_op = f" of {op}" if op else ""
    for number, (gradient, array) in enumerate(zip(gradients, point, strict=True)):
        name = f"gradient with respect to input {number}{of_op}"
        assert_like(gradient, array.shape, dtype, problem=problem, op=name)
    tol.setdefault("rtol", 1e-4)
    for _ in range(directions):
        moves = [random.randn(*array.shape) for array in point]

        def value(t, moves=moves):
            result = function(*(array + t * move for array, move in zip(point, moves)))
            result = as_array(result).astype(np.float64)
            return (result if weights is None else result * weights).sum()

        measured = (value(step) - value(-step)) / (2 * step)
        products = [gradient.astype(np.float64) * move for gradient, move in zip(gradients, moves)]
        size = sum(float(np.abs(product).sum()) for product in products)
        assert_close(
            sum(float(product.sum()) for product in products),
            measured,
            problem=problem,
            op=f"derivative along a random direction{of_op}",
            **{"atol": 1e-5 * size + 1e-12, **tol},
        )


# ------------------------------------------------------------------------------------- small things


def device_id(device):
    """The name of a device for test ids: "cpu", "cuda", "cpu_numpy", "numpy"."""
    return getattr(device, "name", None) or repr(device).removesuffix("()")
