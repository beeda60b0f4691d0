"""What all course tests compare with: `assert_close`, and gradients by finite differences.

`assert_close(actual, desired)` fails with a message made for a person who is learning: the
problem, the shapes and types, the first wrong entry, and, when the result looks like a mistake
that people make, the name of that mistake. What an oracle knows of mistakes it says by `slip`, see
course_testing.slips. Needs NumPy only, knows nothing of needle.
"""

import contextlib

import numpy as np

from course_testing.diagnoses import close, dtype_hint, nothing_hints, shape_hints, value_hints
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
    device = "" if isinstance(actual, np.ndarray) else device_id(getattr(actual, "device", ""))
    actual, desired = as_array(actual), as_array(desired)
    rtol, atol = tolerances(actual, desired, rtol, atol, terms)
    name = ": ".join(str(part) for part in (problem, op) if part) or "result"
    if actual.dtype.kind not in "biuf":
        fault, hints = "not numbers", nothing_hints(actual, name)
    elif actual.shape != desired.shape:
        fault, hints = "wrong shape", shape_hints(actual, desired)
    elif not close(actual, desired, rtol, atol).all():
        fault, hints = (
            "wrong values",
            value_hints(actual, desired, lengths, about=name, device=device),
        )
    elif dtype is not None and actual.dtype != np.dtype(dtype):
        fault, hints = "wrong type", []
    else:
        compared(True)
        return
    compared(False)
    if "afterwards" in name or "after the step" in name:
        hints = []  # what was changed is no attempt at anything
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


def assert_constant(alive, problem, cause):
    """Assert that the number of Values alive is the same after every step.

    Args:
        alive: `needle.autograd.TENSOR_COUNTER` after each.
        cause: what keeps them where there are more and more.
    """
    __tracebackhide__ = True
    if len(set(alive)) > 1:
        shown = ", ".join(map(str, alive[:3])) + (f" ... {alive[-1]}" if len(alive) > 3 else "")
        raise AssertionError(f"{problem}: {cause}: Values alive after each step: {shown}")


@contextlib.contextmanager
def any_axes(problem, op):
    """What takes its axes for a tuple fails on an int or None in Python's words; these are ours."""
    try:
        yield
    except TypeError as error:
        if not any(
            word in str(error) for word in ("not iterable", "no len()", "not subscriptable")
        ):
            raise
        raise AssertionError(
            f"{problem}: {op}: {error}: axes are an int, a tuple or None"
        ) from error


def twice(second):
    """What a second derivative must be; numbers computed outside of the graph have none."""
    return slip(twice.sentence, second, 0 * np.asarray(second))


twice.sentence = (
    "the gradient is not differentiable: something in it is computed outside of the graph "
    "(NumPy, .data, .detach())"
)


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


def report(name, fault, actual, desired, dtype, rtol, atol, hints):
    """The text of a failure."""
    wanted = f", {np.dtype(dtype)}" if dtype is not None else ""
    lines = [
        f"{name}: {fault}",
        f"  got       shape {actual.shape}, {actual.dtype}",
        f"  expected  shape {desired.shape}{wanted}",
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


def numerical_gradients(function, arrays, weights=None, step=1e-5, only=None):
    """Gradients of sum(weights * function(*arrays)) by central differences, in float64.

    Args:
        function: takes float64 arrays of the shapes of `arrays`, returns an array or number;
            it must compute in float64 (differences of float32 numbers are mostly rounding).
        arrays: the point, a sequence of arrays.
        weights: array of the result's shape, the incoming gradient; ones when None.
        step: half the distance of the two points that are compared.
        only: the numbers of the arrays whose gradients are wanted; all when None.

    Returns a list of float64 arrays, one of each input's shape. Costs two calls an entry: for
    large inputs use `assert_directional_gradient`.
    """
    point = [np.array(array, dtype=np.float64) for array in arrays]
    weights = out_grad(weights)

    def value():
        result = as_array(function(*point)).astype(np.float64)
        return float((result * weights).sum())

    gradients = []
    for array in point if only is None else [point[number] for number in only]:
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


def out_grad(weights):
    """The incoming gradient of a check."""
    if weights is None:
        return 1.0
    return slip("the incoming gradient (out_grad) is not used: the chain rule", weights, 1.0)


def assert_gradients_close(
    function,
    arrays,
    gradients,
    *,
    weights=None,
    problem=None,
    op=None,
    slips=None,
    names=(),
    **tol,
):
    """Assert that `gradients` are those of sum(weights * function(*arrays)), entry by entry.

    Args:
        gradients: one for each of `arrays`; None where an input has no gradient.
        slips: {sentence: wrong formula}, what people take for the gradient. A formula is called with
            the weights and the arrays; it returns one gradient for each array, None where it is right.
        names: of the inputs, such as ("the images", "the kernel").

    Further keywords go to `assert_close`; the default rtol is 1e-4.
    """
    __tracebackhide__ = True
    assert len(gradients) == len(arrays), f"{len(gradients)} gradients of {len(arrays)} inputs"
    tol.setdefault("rtol", 1e-4)
    measured = numerical_gradients(function, arrays, weights)
    for sentence, formula in (slips or {}).items():
        measured = slip(
            sentence,
            measured,
            lambda formula=formula, right=measured: [
                r if w is None else w for w, r in zip(formula(weights, *arrays), right)
            ],
        )
    for number, (gradient, wanted) in enumerate(zip(gradients, measured)):
        if gradient is not None:
            of = names[number] if number < len(names) else f"input {number}"
            name = f"gradient with respect to {of}" + (f" of {op}" if op else "")
            assert_close(gradient, wanted, problem=problem, op=name, **tol)


FEW = 400
"""So many entries of a gradient are measured one by one when a direction has found a fault."""


def assert_directional_gradient(
    function,
    arrays,
    gradients,
    *,
    weights=None,
    problem=None,
    op=None,
    directions=3,
    seed=0,
    slips=None,
    names=(),
    **tol,
):
    """As `assert_gradients_close`, along random directions: two calls each, whatever the size.

    Along a direction d the derivative of sum(weights * function) must be the sum of
    gradient * d; a wrong gradient passes a random direction with probability zero. Where one fails,
    the inputs are examined apart, and of the first wrong one, if it is small, each entry.

    Args:
        slips: as there.
        names: as there.
    """
    __tracebackhide__ = True
    random = np.random.RandomState(seed)
    point = [np.array(array, dtype=np.float64) for array in arrays]
    gradients = [as_array(gradient) for gradient in gradients]
    names = [*names, *(f"input {number}" for number in range(len(names), len(point)))]
    dtype, step = tol.pop("dtype", None), 1e-5
    of_op = f" of {op}" if op else ""
    for name, gradient, array in zip(names, gradients, point, strict=True):
        about = f"gradient with respect to {name}{of_op}"
        assert_like(gradient, array.shape, dtype, problem=problem, op=about)
    tol.setdefault("rtol", 1e-4)
    incoming = out_grad(weights)
    for _ in range(directions):
        moves = [random.randn(*array.shape) for array in point]

        def derivative(numbers, moves=moves):
            """Along the moves of some inputs."""

            def value(t):
                chosen = (move * (k in numbers) for k, move in enumerate(moves))
                result = function(*(array + t * move for array, move in zip(point, chosen)))
                return (as_array(result).astype(np.float64) * incoming).sum()

            return (value(step) - value(-step)) / (2 * step)

        def wrong(formula, moves=moves, derivative=derivative):
            found = formula(weights, *point)
            sums = [float((f * m).sum()) for f, m in zip(found, moves) if f is not None]
            right = [k for k, f in enumerate(found) if f is None]
            return sum(sums) + (derivative(right) if right else 0.0)

        measured = derivative(range(len(point)))
        for sentence, formula in (slips or {}).items():
            measured = slip(sentence, measured, lambda formula=formula: wrong(formula))
        products = [gradient.astype(np.float64) * move for gradient, move in zip(gradients, moves)]
        size = sum(float(np.abs(product).sum()) for product in products)
        total = sum(float(product.sum()) for product in products)
        about = f"derivative along a random direction{of_op}"
        limits = {"atol": 1e-5 * size + 1e-12, **tol}
        if not np.isclose(total, measured, rtol=limits["rtol"], atol=limits["atol"]):
            for number, (name, product) in enumerate(zip(names, products)):
                single = derivative([number])
                if np.isclose(product.sum(), single, rtol=limits["rtol"], atol=limits["atol"]):
                    continue
                about = f"gradient with respect to {name}{of_op}"
                if product.size <= FEW:
                    wanted = numerical_gradients(function, arrays, weights, only=[number])[0]
                    assert_close(gradients[number], wanted, problem=problem, op=about, **tol)
                total, measured = float(product.sum()), single
                about = f"{about}, along a random direction"
                break
        assert_close(total, measured, problem=problem, op=about, **limits)


# ------------------------------------------------------------------------------------- small things


def device_id(device):
    """The name of a device for test ids: "cpu", "cuda", "cpu_numpy", "numpy"."""
    return getattr(device, "name", None) or str(device).removesuffix("()")
