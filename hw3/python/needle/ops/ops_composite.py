"""Composites: functions of Tensors for which a device may have a kernel.

The mathematics of a layer is a function, written with needle's operators:

    @composite
    def layer_norm(x, weight, bias, *, eps):
        ...

The function says what is computed. From homework 4 on a device may have a kernel for it, which
computes the same in one or two passes over memory. With `needle.kernels("given")` the kernel runs,
with `needle.kernels("own")`, and where there is none, the function itself. A kernel's gradient is a
kernel too; the gradient of that gradient is the function's, so that it can be differentiated as
often as one likes.

A kernel comes in by `device.kernel("layer_norm")`. It is called with a list that says which of the
Tensors are given and which are None, and with a dict of settings, the function's keywords. It
answers None if it does not compute this, else one call of itself, which has

    results, rest          how many results have a gradient, and how many behind them have none
    constants              how many of the Tensors, the last ones, have none (class ids)
    forward(arrays)        all results, as pairs (buffer, shape)
    backward(arrays, needed)
                           takes the adjoints of the results, then what `forward` took; returns the
                           adjoints of those that need one, as such pairs
"""

import functools
import os
from collections import defaultdict
from itertools import compress, repeat
from operator import is_not

from ..autograd import Tensor, TensorOp, TensorTuple, TensorTupleOp, find_topo_sort, sum_node_list
from ..backend_selection import NDArray, library
from ..init import zeros_like
from .ops_tuple import TupleGetItem


class kernels:
    """Which form of a composite runs: a device's "given" kernel, or your "own" function.

    `kernels("own")` sets it from now on, `with kernels("own"):` inside the block.
    """

    form = "given"

    def __init__(self, form):
        if form not in ("given", "own"):
            raise ValueError(f'kernels are "given" or your "own", not {form!r}')
        self.before, kernels.form = kernels.form, form

    def __enter__(self):
        return self

    def __exit__(self, *error):
        kernels.form = self.before


kernels(os.environ.get("NEEDLE_KERNELS", "given"))


def composite(function):
    """The function, or where a device has a kernel of its name, that kernel.

    Its positional arguments are Tensors, or None where one may be left out; its keywords are
    settings. It returns a Tensor or a tuple of Tensors.
    """
    name = function.__name__

    @functools.wraps(function)
    def run(*tensors, **settings):
        join = getattr(tensors[0], "joined", None) if tensors and not settings else None
        if join and (chain := join(name, *tensors[1:])):
            return chain
        given = list(map(is_not, tensors, repeat(None)))
        values = list(compress(tensors, given))
        kernel = kernel_for(name, values)
        call = kernel and kernel(given, settings)
        if call is None:
            return function(*tensors, **settings)
        count = len(values) - call.constants
        constants = [value.detach() for value in values[count:]] if call.constants else []

        def own(*inputs):
            values = iter([*inputs, *constants])
            with kernels("own"):
                results = function(*[next(values) if g else None for g in given], **settings)
            return results[: call.results] if isinstance(results, tuple) else (results,)

        op = (_Kernel if call.results == 1 else _KernelOfTuple)(name, call, own, constants)
        if call.results > 1:
            return tuple(TensorTuple.make_from_op(op, values[:count]))
        result = Tensor.make_from_op(op, values[:count])
        return (result, *op.rest_of(result)) if call.rest else result

    return run


def kernel_for(name, values):
    """The kernel of this name on the device where all `values` are; None if there is none."""
    device = None
    for value in values if kernels.form == "given" else ():
        if not isinstance(value, Tensor):
            return None
        data = value._record.data
        here = library.device_of(value.realize_cached_data() if data is None else data)
        if device is not None and here is not device:
            return None
        device = here
    return device and device.kernel(name)


def _array(pair, device):
    """The array of a kernel's (buffer, shape)."""
    return NDArray.make(pair[1], None, device, pair[0])


class _Kernel(TensorOp):
    """One call of a kernel, as an operator.

    Attributes:
        call: what keeps the numbers that the gradient needs.
        own: the function, from the Tensors that have a gradient to a tuple of results. It must not
            keep Tensors alive whose .grad leads back to here.
        constants: arrays of the Tensors that have none.
    """

    def __init__(self, name, call, own, constants):
        self.name, self.call, self.own = name, call, own
        self.constants = [value.cached_data for value in constants] if constants else []

    def __repr__(self):
        return f"kernel {self.name}"

    def compute(self, *arrays):
        (buffer, shape), *self.rest = self.call.forward([*arrays, *self.constants])
        return NDArray.make(shape, None, library.device_of(arrays[0]), buffer)

    def rest_of(self, result):
        """The results that have no gradient; a lazy graph computes them now."""
        device = library.device_of(result.realize_cached_data())
        return [Tensor.make_const(_array(pair, device)) for pair in self.rest]

    def gradient(self, out_grad, node):
        adjoints = (out_grad,) if self.call.results == 1 else out_grad
        needed = [value.requires_grad for value in node.inputs]
        grads = _Gradient(self, needed)(*adjoints, *node.inputs)
        parts = (Tensor.make_from_op(TupleGetItem(k), (grads,)) for k in range(sum(needed)))
        return tuple(next(parts) if need else None for need in needed)


class _KernelOfTuple(TensorTupleOp, _Kernel):
    """The same with several results."""

    def compute(self, *arrays):
        device = library.device_of(arrays[0])
        return tuple(_array(pair, device) for pair in self.call.forward([*arrays, *self.constants]))


class _Gradient(TensorTupleOp):
    """From the adjoints of a kernel's results, and its inputs, to the adjoints that are needed."""

    def __init__(self, kernel, needed):
        self.kernel, self.needed = kernel, needed

    def __repr__(self):
        return f"gradient of {self.kernel}"

    def compute(self, *arrays):
        device = library.device_of(arrays[0])
        given = [*arrays, *self.kernel.constants]
        grads = self.kernel.call.backward(given, self.needed)
        return tuple(_array(pair, device) for pair in grads)

    def gradient(self, out_grad, node):
        leaves = [value + 0.0 for value in node.inputs]
        count = self.kernel.call.results
        adjoints, inputs = leaves[:count], leaves[count:]
        grads = _adjoints(self.kernel.own(*inputs), adjoints, inputs)
        wanted = [grad for grad, need in zip(grads, self.needed) if need]
        return tuple(_adjoints(wanted, out_grad, leaves))


def _adjoints(results, adjoints, leaves):
    """Reverse mode from `results` down to `leaves` and no further, without setting any `.grad`."""
    collected = defaultdict(list)
    for result, adjoint in zip(results, adjoints):
        collected[result].append(adjoint)
    stops = set(leaves)
    for node in reversed(find_topo_sort(list(results))):
        if not node.is_leaf() and node not in stops:
            grads = node.op.gradient_as_tuple(sum_node_list(collected[node]), node)
            for value, grad in zip(node.inputs, grads):
                collected[value].append(grad)
    return [sum_node_list(collected[leaf]) or zeros_like(leaf) for leaf in leaves]


def step_all(step, params, averages, settings):
    """A step of an optimizer: p, *averages = step(p, p.grad, *averages, **settings) for each p.

    A device may have a kernel of the name of the function `step` that does it for all at once, and
    changes the averages where they are.

    Args:
        params: Parameters that have a gradient.
        averages: dicts from Parameter to Tensor.
    """
    columns = [
        params,
        [p.grad for p in params],
        *([average[p] for p in params] for average in averages),
    ]
    kernel = kernel_for(step.__name__, [value for column in columns for value in column])
    if kernel:
        arrays = [[value.realize_cached_data() for value in column] for column in columns]
        for p, pair in zip(params, kernel(arrays, **settings)):
            p.cached_data = _array(pair, p.device)
        return
    for p, *others in zip(*columns):
        p.data, *new = step(p.data, *[value.data for value in others], **settings)
        for average, value in zip(averages, new):
            average[p] = value
