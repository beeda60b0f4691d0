"""Fused kernels: whole layers as one operator, where the device has one (`shared/kernels/fused`).

A layer says what it computes operator by operator; that form works everywhere and is what the
course is about. A fused kernel computes the same in one or two passes over memory. To use it, a
layer's `forward` begins with

    if result := ops.fused("layer_norm", LayerNorm1d.forward, self, x):
        return result

Its gradient is a kernel too. The gradient of that gradient goes back to the layer's own form, so
that it can be differentiated as often as one likes.
"""

import contextlib
from collections import defaultdict

from ..autograd import Tensor, TensorOp, TensorTupleOp, find_topo_sort, sum_node_list
from ..backend_selection import NDArray
from ..init import zeros_like
from .ops_tuple import TupleGetItem


_switched_on = True


@contextlib.contextmanager
def without_fused_kernels():
    """Inside this context all layers compute operator by operator."""
    global _switched_on
    before, _switched_on = _switched_on, False
    try:
        yield
    finally:
        _switched_on = before


def _can_use(entry, tensors):
    """Whether all tensors are on one device that has the function (or class) `entry`."""
    device = tensors[0].device if _switched_on and tensors else None
    return hasattr(device, entry) and all(value.device is device for value in tensors)


def fused(name, own_form, layer, *inputs, **constants):
    """The result of a layer by its fused kernel, or None where the device has none.

    Args:
        name: of the kernel; the table in `fused/bindings.cc` has all, and what each takes.
        own_form: the function that computes the same by operators, of the layer (a copy with other
            Tensors as parameters), inputs and constants.
        inputs: Tensors.
        constants: Tensors that `own_form` takes by name; no gradient flows there.
    """
    fixed = {key: value.detach() for key, value in constants.items()}
    if not _can_use("FusedLayer", [*inputs, *fixed.values()]):
        return None
    call = (*inputs, *fixed.values())[0].device.FusedLayer(name, layer)
    parts = getattr(layer, "modules", (layer,))
    own = (getattr(part, key) for part, keys in zip(parts, call.parameters) for key in keys)
    others = [*fixed.values(), *(getattr(layer, key) for key in call.running)]
    others = [value.realize_cached_data() for value in others]
    # The operator must keep neither layer nor inputs alive: their .grad leads back here.
    shell, count = _with_parameters(layer, call.parameters, ()), len(inputs)

    def in_operators(values):
        twin = _with_parameters(shell, call.parameters, values[count:])
        with without_fused_kernels():
            result = own_form(twin, *values[:count], **fixed)
        return result if isinstance(result, tuple) else (result,)

    op = (_Fused if call.results == 1 else _FusedTuple)(call, others, in_operators)
    result = op(*inputs, *own)
    if call.running:
        result.realize_cached_data()  # a lazy graph has not computed it yet
        for key, array in zip(call.running, op.running):
            setattr(layer, key, Tensor.make_const(array))
    return result if call.results == 1 else tuple(result)


def _with_parameters(layer, keys, values):
    """A copy of a layer whose parameters are `values`, and None when there are no more.

    Args:
        keys: for each part of the layer, the names of its parameters. A Sequential has parts;
            any other layer is its own only part.
    """
    values = iter(values)
    parts = [
        _copy(part, {key: next(values, None) for key in own}) if own else part
        for part, own in zip(getattr(layer, "modules", (layer,)), keys)
    ]
    return _copy(layer, {"modules": parts}) if hasattr(layer, "modules") else parts[0]


def _copy(module, changes):
    """A copy of a module, not of what it holds, with some attributes changed."""
    twin = object.__new__(type(module))
    twin.__dict__.update(module.__dict__, **changes)
    return twin


def _arrays(pairs, device):
    """Arrays of the buffers and shapes that a kernel returns."""
    return [NDArray.make(shape, device=device, handle=buffer) for buffer, shape in pairs]


class _Fused(TensorOp):
    """A layer as one operator on its inputs and parameters.

    Attributes:
        call: the device's FusedLayer, which keeps what the gradient needs.
        others: arrays that the kernel takes besides.
        in_operators: the layer's own form, from a list of inputs and parameters to its results.
        running: new arrays for the layer's running statistics.
    """

    def __init__(self, call, others, in_operators):
        self.call, self.others, self.in_operators = call, others, in_operators

    def __repr__(self):
        return f"fused {self.call.name}"

    def compute(self, *arrays):
        made = _arrays(self.call.forward([*arrays, *self.others]), arrays[0].device)
        self.running = made[self.call.results :]
        return made[0] if self.call.results == 1 else tuple(made[: self.call.results])

    def gradient(self, out_grad, node):
        adjoints = (out_grad,) if self.call.results == 1 else out_grad
        inputs = node.inputs
        needed = [value.requires_grad for value in inputs]
        grads = _FusedGradient(self, needed)(*adjoints, *inputs)
        parts = (Tensor.make_from_op(TupleGetItem(k), (grads,)) for k in range(sum(needed)))
        return tuple(next(parts) if need else None for need in needed)


class _FusedTuple(TensorTupleOp, _Fused):
    """The same for a layer with several results."""


class _FusedGradient(TensorTupleOp):
    """From the adjoints of a layer's results, and its inputs, to the adjoints that are needed."""

    def __init__(self, layer_op, needed):
        self.layer_op, self.needed = layer_op, needed

    def compute(self, *arrays):
        grads = self.layer_op.call.backward([*arrays, *self.layer_op.others], self.needed)
        return tuple(_arrays(grads, arrays[0].device))

    def gradient(self, out_grad, node):
        leaves = [value + 0.0 for value in node.inputs]
        count = self.layer_op.call.results
        adjoints, inputs = leaves[:count], leaves[count:]
        grads = _adjoints(self.layer_op.in_operators(inputs), adjoints, inputs)
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


def fused_step(name, params, states, *settings):
    """A step of an optimizer by its fused kernel; False where a device has none.

    Args:
        name: "sgd" or "adam".
        params: Parameters that have a gradient.
        states: dicts of averages, from Parameter to Tensor, which the kernel changes in place.
        settings: numbers, in the order in which the kernel takes them.
    """
    if not _can_use("fused_step", params):
        return False
    for state in states:
        state.update((p, zeros_like(p)) for p in params if p not in state)
    columns = [params, [p.grad for p in params], *([state[p] for p in params] for state in states)]
    arrays = [[value.realize_cached_data() for value in column] for column in columns]
    device = params[0].device
    made = device.fused_step(name, arrays, settings)
    for p, array in zip(params, _arrays(made, device)):
        p.cached_data = array
    return True
