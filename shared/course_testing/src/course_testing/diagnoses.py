"""What a wrong result looks like: mistakes that people make, told from the numbers alone."""

import itertools

import numpy as np


def close(actual, desired, rtol, atol):
    """Elementwise: is the entry right? NaN matches NaN, inf matches the same inf."""
    return np.isclose(
        actual.astype(np.float64), desired.astype(np.float64), rtol=rtol, atol=atol, equal_nan=True
    )


def looks_like(actual, other):
    """Is `actual` the array `other`, up to rounding? False for arrays that say nothing."""
    if actual.shape != other.shape or not np.isfinite(other).all() or not other.any():
        return False
    scale = float(np.abs(other).max())
    return bool(np.allclose(actual, other, rtol=1e-4, atol=1e-5 * scale))


def nothing_hints(actual, about):
    """Results that are no numbers; most often a function without a return."""
    if actual.ravel()[:1] != [None]:
        return []
    if "grad" in about or "deriv" in about:
        return ["it is None: no gradient arrived; is something computed outside of the graph?"]
    return ["the result is None: is a `return` missing?"]


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
    if actual.size == desired.size:
        return None
    for count in range(1, actual.ndim + 1 if actual.size else 1):
        for axes in itertools.combinations(range(actual.ndim), count):
            for reduced in (actual.sum(axis=axes), actual.mean(axis=axes)):
                if reduced.size == desired.size and np.allclose(
                    reduced.ravel(), desired.ravel(), rtol=1e-4, atol=1e-6
                ):
                    return axes
    return None


def value_hints(actual, desired, lengths=(), about="", device=""):
    """The first known mistake that explains the wrong values, as a list of at most one sentence.

    Args:
        about: what was computed; some mistakes are made with gradients only.
        device: "cpu" or "cuda" where the result lies in memory that compiled code writes.
    """
    kind = actual.dtype.kind
    actual, desired = actual.astype(np.float64), desired.astype(np.float64)
    hint = broken_hint(actual, desired, device)
    if hint is None and kind in "iu" and (np.abs(actual - desired) <= 1).all():
        hint = "fractions are cut off: the computation was done in an integer type"
    lengths = [*lengths, *desired.shape]
    if hint is None and desired.size and looks_like(actual, desired):
        hint = (
            "right to about four digits: a formula that loses some, or too coarse an approximation"
        )
    hint = hint or arrangement_hint(actual, desired)
    hint = hint or factor_hint(actual, desired, lengths, "grad" in about or "deriv" in about)
    hint = hint or function_hint(actual, desired) or region_hint(actual, desired)
    return [hint] if hint else []


def broken_hint(actual, desired, device):
    """Numbers that are none: NaN, infinity, zeros, memory that nobody wrote."""
    unexpected = np.isnan(actual) & ~np.isnan(desired)
    if unexpected.any() and not np.isfinite(desired).all():
        return None  # NaN may have come from the inputs
    if unexpected.any() and device == "cuda":
        return nan_of_new_memory(unexpected)
    if unexpected.any() and device == "cpu":
        return "NaN: memory that nobody wrote or past an end, 0/0, or the logarithm of a negative number"
    if unexpected.any():
        return "NaN: 0/0, inf - inf, or the logarithm of a negative number"
    if (np.isnan(desired) & ~np.isnan(actual)).any():
        return "NaN is lost: every comparison with NaN is false"
    if (np.isinf(actual) & np.isfinite(desired)).any() and device in ("cpu", "cuda"):
        return "inf: memory that nobody wrote or past an end, an overflow, or a division by zero"
    if (np.isinf(actual) & np.isfinite(desired)).any():
        return "inf: an overflow (exp of more than 88 in float32) or a division by zero"
    if desired.any() and not actual.any():
        if device not in ("cpu", "cuda"):
            return "every entry is 0"
        return "every entry is 0: the result was never written, or what was added never arrived"
    if not np.isfinite(actual).all():
        return None
    scale = float(np.abs(desired[np.isfinite(desired)]).max(initial=0.0))
    size = np.abs(actual)
    tiny = np.finfo(np.float32).tiny
    if (size > 1e9 * max(scale, 1.0)).any() or ((size > 0) & (size < tiny) & (desired != 0)).any():
        return "absurd numbers: memory that was never initialized, or read past its end"
    return None


def nan_of_new_memory(unexpected):
    """New memory of `cuda()` is NaN: which part of the result nobody wrote, where that is plain."""
    for axis in range(unexpected.ndim):
        whole = unexpected.all(axis=tuple(i for i in range(unexpected.ndim) if i != axis))
        count = int(whole.sum())
        if (
            count < unexpected.shape[axis]
            and unexpected.sum() * len(whole) == count * unexpected.size
        ):
            what = {0: "rows", 1: "columns"}.get(axis) if unexpected.ndim == 2 else None
            what = what or f"along axis {axis}, entries"
            if whole[-count:].all():
                return f"{what} {len(whole) - count} and above were never written (NaN: new memory)"
            if whole[:count].all():
                return f"{what} below {count} were never written (NaN: new memory)"
    return (
        "NaN: a number read before it was written, never written, or read past an end "
        "(new memory is NaN here)"
    )


def arrangement_hint(actual, desired):
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
    if desired.ndim == 1:
        return "the expected numbers in another order"
    return "the expected numbers stand in other places: a reshape or stride takes the wrong order"


def sorted_rows(array):
    rows = array.reshape(len(array), -1)
    return rows[np.lexsort(rows.round(4).T)]


def factor_hint(actual, desired, lengths, of_gradient):
    """The expected value times, or plus, one number everywhere."""
    largest = np.unravel_index(np.argmax(np.abs(desired)), desired.shape) if desired.size else ()
    if not desired.size or desired[largest] == 0:
        return None
    factor = float(actual[largest] / desired[largest])
    if factor and looks_like(actual, factor * desired):
        return name_of_factor(factor, desired, lengths, of_gradient)
    shift = float((actual - desired).flat[0])
    if desired.size > 1 and np.ptp(desired) > 0 and looks_like(actual, desired + shift):
        return f"off by a constant: {shift:+.6g} everywhere"
    if looks_like(np.abs(actual), np.abs(desired)):
        return "right sizes, but the sign is wrong in some entries"
    return None


def name_of_factor(factor, desired, lengths, of_gradient):
    """What a constant factor means."""
    for length in dict.fromkeys(lengths):
        if length > 2 and abs(factor / length - 1) < 1e-3:
            return (
                f"{length} times the expected value, an axis's length: a sum where a mean is asked?"
            )
        if length > 2 and abs(factor * length - 1) < 1e-3:
            return (
                f"the expected value divided by {length}, an axis's length: "
                "a mean where a sum is asked, or divided twice?"
            )
    known = {
        -1.0: "the expected value negated: a sign is wrong",
        2.0: "twice the expected value" + of_gradient * ": is a gradient counted twice?",
        0.5: "half the expected value",
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


def function_hint(actual, desired):
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


def region_hint(actual, desired):
    """Wrong only in one part: an edge that was forgotten."""
    if not np.isfinite(desired).all():
        return None
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
