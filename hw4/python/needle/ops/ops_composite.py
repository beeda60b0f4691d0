"""Composites: functions of Tensors for which a device may have a kernel.

The mathematics of a layer is a function, written with needle's operators:

    @composite
    def layer_norm(x, weight, bias, *, eps):
        ...

The function says what is computed. A device may have a kernel for it, which computes the same in one
or two passes over memory. With `needle.kernels("given")` the kernel runs,
with `needle.kernels("own")`, and where there is none, the function itself. A kernel's gradient is a
kernel too; the gradient of that gradient is the function's, so that it can be differentiated as
often as one likes.

A kernel comes in by `device.kernel("layer_norm")`. It is called with a list that says which of the
Tensors are given and which are None, and with a dict of settings, the function's keywords. It
answers None if it does not compute this, else one call of itself, which has

    results, rest      how many results have a gradient, and how many behind them have none
    constants          how many of the Tensors, the last ones, have none (class ids)
    forward(arrays)    all results, arrays too, in a tuple
    backward(adjoints of the results + arrays, needed)
                       the adjoints of those arrays that need one
"""

import functools
import os
from collections import defaultdict
from itertools import compress, repeat
from operator import attrgetter, is_not

from ..autograd import Tensor, TensorOp, TensorTupleOp, find_topo_sort, sum_node_list
from ..backend_selection import library
from ..init import zeros_like


class kernels:
    """Which form of a composite runs: a device's "given" kernel, or your "own" function.

    `kernels("own")` sets it from now on, `with kernels("own"):` inside the block.
    """

    form = os.environ.get("NEEDLE_KERNELS", "given")

    def __init__(self, form):
        if form not in ("given", "own"):
            raise ValueError(f'kernels are "given" or your "own", not {form!r}')
        self.before, kernels.form = kernels.form, form

    def __enter__(self):
        return self

    def __exit__(self, *error):
        kernels.form = self.before


def composite(function):
    """The function, or where a device has a kernel of its name, that kernel.

    Its positional arguments are Tensors, or None where one may be left out; its keywords are
    settings. It returns a Tensor or a tuple of Tensors.
    """
    name, defaults = function.__name__, function.__kwdefaults__ or {}

    @functools.wraps(function)
    def run(*tensors, **settings):
        join = getattr(tensors[0], "joined", None)  # a Chain: see ops_chain.py
        if join and (longer := join(name, tensors)):
            return longer
        given = list(map(is_not, tensors, repeat(None)))
        inputs = list(compress(tensors, given))
        kernel = kernel_for(name, inputs)
        call = kernel and kernel(given, defaults | settings)
        if call is None:
            return function(*tensors, **settings)
        varying = len(inputs) - call.constants
        inputs[varying:] = map(Tensor.detach, inputs[varying:])
        if call.results > 1:
            return tuple(_KernelOfTuple(call, function, given, settings)(*inputs))
        op = _Kernel(call, function, given, settings)
        result = Tensor.make_from_op(op, tuple(inputs))
        if not call.rest:
            return result
        result.realize_cached_data()  # a lazy graph has not computed it, and op.rest, yet
        return result, *map(Tensor.make_const, op.rest)

    return run


def kernel_for(name, values):
    """The kernel of this name on the device where all `values` are; None if there is none."""
    try:
        devices = list(map(library.device_of, map(attrgetter("_record.data"), values)))
    except AttributeError:  # no Tensor, or one that a lazy graph has not computed yet
        return
    if kernels.form == "given" and devices and devices.count(devices[0]) == len(devices):
        return devices[0].kernel(name)


class _Kernel(TensorOp):
    """One call of a kernel, as an operator: `call` keeps the numbers that the gradient needs.

    No Tensors, for their .grad leads back to here.
    """

    def __init__(self, call, function, given, settings):
        self.call, self.results = call, call.results
        self.function, self.given, self.settings = function, given, settings

    def __repr__(self):
        return f"kernel {self.function.__name__}"

    def compute(self, *arrays):
        made = self.call.forward(arrays)
        self.rest = made[1:]  # behind several results there is none
        return made[0] if self.results == 1 else made

    def gradient(self, out_grad, node):
        needed = [record.requires_grad for record in node._record.inputs]
        adjoints = (out_grad,) if self.results == 1 else out_grad
        parts = iter(_Gradient(self, needed)(*adjoints, *node.inputs))
        return tuple([next(parts) if need else None for need in needed])

    def own(self, inputs):
        """The function instead, from a list of Tensors to a tuple of results."""
        values = iter(inputs)
        tensors = [next(values) if given else None for given in self.given]
        with kernels("own"):
            results = self.function(*tensors, **self.settings)
        return results[: self.results] if isinstance(results, tuple) else (results,)


class _KernelOfTuple(TensorTupleOp, _Kernel):
    """The same with several results."""


class _Gradient(TensorTupleOp):
    """From the adjoints of a kernel's results, and its inputs, to the adjoints that are needed."""

    def __init__(self, kernel, needed):
        self.kernel, self.needed = kernel, needed

    def compute(self, *arrays):
        return self.kernel.call.backward(arrays, self.needed)

    def gradient(self, out_grad, node):
        leaves = [value + 0.0 for value in node.inputs]
        inputs = leaves[self.kernel.results :]  # before them stand the adjoints of the results
        grads = _adjoints(self.kernel.own(inputs), leaves, inputs)
        return _adjoints(list(compress(grads, self.needed)), out_grad, leaves)


def _adjoints(results, adjoints, leaves):
    """Reverse mode from `results` down to `leaves` and no further, without setting any `.grad`."""
    collected = defaultdict(list)
    for result, adjoint in zip(results, adjoints):
        collected[result].append(adjoint)
    for node in reversed(find_topo_sort(list(results))):
        if not node.is_leaf() and node not in leaves:
            grads = node.op.gradient_as_tuple(sum_node_list(collected[node]), node)
            for value, grad in zip(node.inputs, grads):
                collected[value].append(grad)
    return [sum_node_list(collected[leaf]) or zeros_like(leaf) for leaf in leaves]


def step_by_kernel(name, columns, settings):
    """A step of an optimizer by a device's kernel, for all parameters at once.

    Args:
        columns: the parameters, their gradients, and their averages, which change where they are.

    Returns:
        The kernel; None if the device of the parameters has none of this name.
    """
    kernel = kernel_for(name, columns[0])
    if kernel:
        arrays = [[value.realize_cached_data() for value in column] for column in columns]
        for p, array in zip(columns[0], kernel(arrays, **settings)):
            p._record.data = array
    return kernel
