"""What all course tests compare with: `assert_close`, and gradients by finite differences.

`assert_close(actual, desired)` fails with a message made for a person who is learning: the
problem, the shapes and types, the first wrong entry, and, when the result looks like a mistake
that people make, the name of that mistake. What an oracle knows of mistakes it says by `slip`, see
course_testing.slips. Needs NumPy only, knows nothing of needle.
"""

import numpy as np

from course_testing.diagnoses import dtype_hint, nothing_hints, shape_hints, value_hints
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
