"""Fused kernels: whole layers as one operator, where the device offers one (`src/fused/`).

A layer says what it computes operator by operator; that form works everywhere and is what the
course is about. A fused kernel computes the same in one or two passes over memory. To use it, a
layer's `forward` begins with

    if result := ops.fused("layer_norm", self, x):
        return result

Its gradient is a kernel too. The gradient of that gradient goes back to the layer's own form, so
that it can be differentiated as often as one likes.
"""

import contextlib
import copy
from collections import defaultdict

from ..autograd import Tensor, TensorOp, TensorTupleOp, find_topo_sort, sum_node_list
from ..backend_selection import NDArray
from ..init import zeros_like
from .ops_mathematic import relu

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


def has_kernel(device, entry):
    """Whether `device` has the function `entry` of a fused kernel, and may use it."""
    return _switched_on and hasattr(device, entry)


def fused(name, module, *inputs, **constants):
    """The result of a layer by its fused kernel, or None where the device has none.

    Args:
        name: of the kernel, a key of KERNELS.
        module: the layer; its parameters that the kernel names are inputs as well.
        inputs: Tensors.
        constants: Tensors that the layer's own form takes by name; no gradient flows there.
    """
    kernel = KERNELS[name]
    if not kernel.fits(module):
        return None
    tensors = [*inputs, *kernel.parameters_of(module)]
    devices = {value.device for value in (*tensors, *constants.values())}
    if len(devices) > 1 or not has_kernel(devices.pop(), kernel.entry):
        return None  # on different devices: the layer's own form says so in clear words
    op = (_FusedTuple if kernel.results > 1 else _Fused)(kernel(module, constants))
    result = op(*tensors)
    return tuple(result) if kernel.results > 1 else result


class _Fused(TensorOp):
    """A layer as one operator on its inputs and parameters."""

    def __init__(self, kernel):
        self.kernel = kernel

    def __repr__(self):
        return type(self.kernel).__name__

    def compute(self, *arrays):
        return self.kernel.forward(*arrays)

    def gradient(self, out_grad, node):
        adjoints = tuple(out_grad) if self.kernel.results > 1 else (out_grad,)
        needed = [value.requires_grad for value in node.inputs]
        return tuple(_FusedGradient(self.kernel, needed)(*adjoints, *node.inputs))


class _FusedTuple(_Fused, TensorTupleOp):
    """The same for a layer with several results."""

    __call__ = TensorTupleOp.__call__


class _FusedGradient(TensorTupleOp):
    """The adjoints of a layer's inputs and parameters; zeros where none is needed."""

    def __init__(self, kernel, needed):
        self.kernel = kernel
        self.needed = needed

    def compute(self, *arrays):
        adjoints, inputs = arrays[: self.kernel.results], arrays[self.kernel.results :]
        grads = self.kernel.backward(self.needed, *adjoints, *inputs)
        return tuple(
            x.device.full((1,) * x.ndim, 0.0).broadcast_to(x.shape) if grad is None else grad
            for grad, x in zip(grads, inputs)
        )

    def gradient(self, out_grad, node):
        leaves = [value + 0.0 for value in node.inputs]
        adjoints, inputs = leaves[: self.kernel.results], leaves[self.kernel.results :]
        with without_fused_kernels():
            results = self.kernel.in_operators(inputs)
        return tuple(_adjoints(_adjoints(results, adjoints, inputs), out_grad, leaves))


def _adjoints(results, adjoints, leaves):
    """Reverse mode from `results` down to `leaves` and no further, without setting any `.grad`."""
    collected = defaultdict(list)
    for result, adjoint in zip(results, adjoints):
        collected[result].append(adjoint)
    order = find_topo_sort(list(results))
    for node in reversed(order):
        if node.is_leaf() or node not in collected or any(node is leaf for leaf in leaves):
            continue
        grads = node.op.gradient_as_tuple(sum_node_list(collected[node]), node)
        for value, grad in zip(node.inputs, grads):
            collected[value].append(grad)
    return [
        sum_node_list(collected[leaf]) if leaf in collected else zeros_like(leaf) for leaf in leaves
    ]


def _new(like, shape):
    """A new array on the device of `like`, not initialised."""
    return NDArray.make(shape, device=like.device)


def _handles(*arrays):
    """The buffers of arrays, compact; None stays None."""
    return [None if a is None else a.compact()._handle for a in arrays]


class Kernel:
    """A fused kernel at work for one call of a layer; what `backward` needs is kept on it.

    Attributes:
        entry: name of the device's function.
        parameters: names of the layer's parameters, which follow the inputs.
        results: how many Tensors the layer returns.
        method: the layer's own form, called with inputs and constants.
    """

    entry = ""
    parameters = ()
    results = 1
    method = "forward"

    def __init__(self, module, constants):
        self.module = module
        self.constants = constants

    @classmethod
    def fits(cls, module):
        """Whether the kernel can do what this layer does."""
        return True

    @classmethod
    def parameters_of(cls, module):
        """The layer's parameters that the kernel takes, those that are None left out."""
        values = [getattr(module, name, None) for name in cls.parameters]
        return [value for value in values if value is not None]

    def in_operators(self, inputs):
        """The results computed by the layer's own operators; parameters come after the inputs."""
        module = copy.copy(self.module)
        names = [key for key in self.parameters if getattr(module, key, None) is not None]
        count = len(inputs) - len(names)
        for name, value in zip(names, inputs[count:]):
            setattr(module, name, value)
        result = getattr(module, self.method)(*inputs[:count], **self.constants)
        return result if self.results > 1 else (result,)


class LinearKernel(Kernel):
    """Linear layers, each perhaps with a ReLU: one Linear, or a Sequential of Linear and ReLU."""

    entry = "fused_mlp"

    @staticmethod
    def layers(module):
        """A list of [Linear, is a ReLU behind it?]; empty if there is any other layer."""
        found = []
        for part in getattr(module, "modules", (module,)):
            if type(part).__name__ == "Linear":
                found.append([part, False])
            elif type(part).__name__ == "ReLU" and found and not found[-1][1]:
                found[-1][1] = True
            else:
                return []
        return found

    @classmethod
    def fits(cls, module):
        return bool(cls.layers(module))

    @classmethod
    def parameters_of(cls, module):
        layers = cls.layers(module)
        return [p for layer, _ in layers for p in (layer.weight, layer.bias) if p is not None]

    def in_operators(self, inputs):
        x, *values = inputs
        for layer, has_relu in self.layers(self.module):
            layer = copy.copy(layer)
            layer.weight = values.pop(0)
            layer.bias = values.pop(0) if layer.bias is not None else None
            x = layer.forward(x)
            x = relu(x) if has_relu else x
        return (x,)

    def forward(self, x, *parameters):
        left = list(parameters)
        self.relus, ws, bs, self.ys = [], [], [], []
        width = x.shape[-1]
        for layer, has_relu in self.layers(self.module):
            w, b = left.pop(0), left.pop(0) if layer.bias is not None else None
            if w.shape[0] != width or (b is not None and b.size != w.shape[1]):
                raise ValueError("the last axis of the input must have in_features")
            width = w.shape[1]
            self.relus.append(has_relu)
            ws.append(w)
            bs.append(b)
            self.ys.append(_new(x, (*x.shape[:-1], width)))
        self.rows = x.size // x.shape[-1]
        self.weights = (_handles(*ws), _handles(*bs), self.relus, _handles(*self.ys), self.rows)
        x.device.fused_mlp(*_handles(x), *self.weights)
        return self.ys[-1]

    def backward(self, needed, g, x, *parameters):
        grads = [_new(x, p.shape) for p in parameters]
        left, dw, db = _handles(*grads), [], []
        for b in self.weights[1]:
            dw.append(left.pop(0))
            db.append(left.pop(0) if b is not None else None)
        dx = _new(x, x.shape) if needed[0] else None
        x.device.fused_mlp_backward(*_handles(x), *self.weights, *_handles(g, dx), dw, db)
        return dx, *grads


class ReLUKernel(Kernel):
    entry = "fused_relu_backward"

    def forward(self, x):
        self.y = x.maximum(0.0)
        return self.y

    def backward(self, needed, g, x):
        dx = _new(x, x.shape)
        x.device.fused_relu_backward(*_handles(self.y, g, dx))
        return (dx,)


class SoftmaxLossKernel(Kernel):
    entry = "fused_softmax_loss"

    def forward(self, logits):
        loss, self.lse = _new(logits, ()), _new(logits, (logits.shape[0],))
        self.classes = self.constants["y"].realize_cached_data()
        logits.device.fused_softmax_loss(*_handles(logits, self.classes, loss, self.lse))
        return loss

    def backward(self, needed, g, logits):
        grad = _new(logits, logits.shape)
        logits.device.fused_softmax_loss_backward(
            *_handles(logits, self.classes, self.lse, g, grad)
        )
        return (grad,)


class EmbeddingKernel(Kernel):
    entry = "fused_gather"
    parameters = ("weight",)

    def forward(self, w):
        self.ids = self.constants["x"].realize_cached_data()
        out = _new(w, (*self.ids.shape, w.shape[1]))
        w.device.fused_gather(*_handles(w, self.ids, out), w.shape[1])
        return out

    def backward(self, needed, g, w):
        dw = _new(w, w.shape)
        w.device.fused_scatter_add(*_handles(g, self.ids, dw), w.shape[1])
        return (dw,)


class LayerNormKernel(Kernel):
    entry = "fused_layer_norm"
    parameters = ("weight", "bias")

    def forward(self, x, w, b):
        if x.shape[-1] != w.size:
            raise ValueError("the last axis of the input must have as many features as the layer")
        y, self.stats = _new(x, x.shape), _new(x, (x.size // w.size, 2))
        x.device.fused_layer_norm(*_handles(x, w, b, y, self.stats), self.module.eps)
        return y

    def backward(self, needed, g, x, w, b):
        grads = [_new(x, a.shape) for a in (x, w, b)]
        x.device.fused_layer_norm_backward(*_handles(x, w, self.stats, g, *grads))
        return grads


class BatchNormKernel(Kernel):
    """Of (N, C) or (N, C, H, W), in training."""

    entry = "fused_batch_norm"
    parameters = ("weight", "bias")

    def forward(self, x, w, b):
        if x.shape[1] != w.size:
            raise ValueError("axis 1 of the input must have as many features as the layer")
        y, self.mean, self.var = _new(x, x.shape), _new(x, w.shape), _new(x, w.shape)
        self.sizes = (x.shape[0], x.size // (x.shape[0] * x.shape[1]), self.module.eps)
        x.device.fused_batch_norm(*_handles(x, w, b, y, self.mean, self.var), *self.sizes)
        for name, seen in (("running_mean", self.mean), ("running_var", self.var)):
            old, momentum = getattr(self.module, name), self.module.momentum
            new = (1 - momentum) * old + momentum * Tensor(seen, requires_grad=False)
            setattr(self.module, name, new)
        return y

    def backward(self, needed, g, x, w, b):
        grads = [_new(x, a.shape) for a in (x, w, b)]
        x.device.fused_batch_norm_backward(
            *_handles(x, w, self.mean, self.var, g, *grads), *self.sizes
        )
        return grads


class ConvKernel(Kernel):
    """Of images (N, C, H, W)."""

    entry = "fused_conv"
    parameters = ("weight", "bias")

    def forward(self, x, w, b=None):
        k, stride, p = w.shape[0], self.module.stride, self.module.padding
        self.sizes = [*x.shape, k, w.shape[3], stride, p]
        size = [(n + 2 * p - k) // stride + 1 for n in x.shape[2:]]
        y = _new(x, (x.shape[0], w.shape[3], *size))
        x.device.fused_conv(*_handles(x, w, b, y), self.sizes)
        return y

    def backward(self, needed, g, x, w, b=None):
        dx = _new(x, x.shape) if needed[0] else None
        dw, db = _new(x, w.shape), _new(x, (w.shape[3],))
        x.device.fused_conv_backward(*_handles(x, w, g, dx, dw, db), self.sizes)
        return (dx, dw, db)[: 2 if b is None else 3]


class LSTMKernel(Kernel):
    """A cell along a sequence: x (T, B, I), h and c (B, H) -> all outputs, last h, last c."""

    entry = "fused_lstm"
    parameters = ("W_ih", "W_hh", "bias_ih", "bias_hh")
    results = 3
    method = "run"

    def forward(self, x, h, c, W_ih, W_hh, b_ih=None, b_hh=None):
        steps, batch, width = *x.shape[:2], h.shape[1]
        out, self.cells = (_new(x, (steps, batch, width)) for _ in range(2))
        self.out, self.gates = out, _new(x, (steps, batch, 4 * width))
        x.device.fused_lstm(
            *_handles(x, h, c, W_ih, W_hh, b_ih, b_hh, out, self.gates, self.cells), steps, batch
        )
        last = [a[steps - 1 :, :, :].compact().reshape(h.shape) for a in (out, self.cells)]
        return out, *last

    def backward(self, needed, g, dh, dc, x, h, c, W_ih, W_hh, *biases):
        dx = _new(x, x.shape) if needed[0] else None
        grads = [_new(x, a.shape) for a in (h, c, W_ih, W_hh)]
        db = _new(x, biases[0].shape) if biases else None
        x.device.fused_lstm_backward(
            *_handles(x, h, c, W_ih, W_hh, self.out, self.gates, self.cells, g, dh, dc),
            *_handles(dx, *grads, db), *x.shape[:2],
        )  # fmt: skip
        return dx, *grads, *(db for _ in biases)


class AttentionKernel(Kernel):
    """Of q (B, H, T, D), k and v (B, H, S, D), without dropout -> (result, probs)."""

    entry = "fused_attention"
    results = 2

    def forward(self, q, k, v):
        self.sizes = (q.shape[0] * q.shape[1], q.shape[2], k.shape[2])
        out, self.probs = _new(q, q.shape), _new(q, (*q.shape[:3], k.shape[2]))
        q.device.fused_attention(
            *_handles(q, k, v, out, self.probs), *self.sizes, self.module.causal
        )
        return out, self.probs

    def backward(self, needed, g, dprobs, q, k, v):
        grads = [_new(a, a.shape) for a in (q, k, v)]
        q.device.fused_attention_backward(*_handles(q, k, v, self.probs, g, dprobs, *grads),
                                          *self.sizes)  # fmt: skip
        return grads


KERNELS = {
    "linear": LinearKernel, "relu": ReLUKernel, "softmax_loss": SoftmaxLossKernel,
    "embedding": EmbeddingKernel, "layer_norm": LayerNormKernel, "batch_norm": BatchNormKernel,
    "conv": ConvKernel, "lstm": LSTMKernel, "attention": AttentionKernel,
}  # fmt: skip


def fused_step(optimizer, name, update):
    """One step of an optimizer by its fused kernel; False where a device has none.

    Args:
        name: the device's function for one parameter.
        update: called with that function, the parameter, and the buffers of its data, of its
            gradient and for its new data.
    """
    params = [p for p in optimizer.params if p.grad is not None]
    if not all(has_kernel(p.device, name) for p in params):
        return False
    for p in params:
        if p.grad.shape != p.shape:
            raise ValueError(f"a gradient of shape {p.grad.shape} for a parameter of {p.shape}")
        data, grad = p.realize_cached_data(), p.grad.realize_cached_data()
        out = _new(data, data.shape)
        update(getattr(p.device, name), p, *_handles(data, grad, out))
        p.cached_data = out
    return True
