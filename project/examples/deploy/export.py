"""From a trained needle model to an ONNX file, in float32 or with int8 weights.

`to_onnx` walks the modules and writes one or more ONNX nodes for each. Layers whose behaviour differs between
training and evaluation are exported as in evaluation. `quantize` turns a weight matrix into int8 with one
scale for each output: w ~ q * scale, q in [-127, 127].

Sources: the ONNX operator specification, opset 17; Jacob et al., "Quantization and Training of Neural
Networks for Efficient Integer-Arithmetic-Only Inference" (2018).
"""

import numpy as np
import onnx
from needle import nn
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


class NotExportable(ValueError):
    """A module for which no rule exists."""


def quantize(weight, axis):
    """(q int8, scale float32): symmetric, one scale for each index along `axis`.

    The rounding error of every entry is at most scale / 2. An all-zero slice gets scale 1.
    """
    others = tuple(i for i in range(weight.ndim) if i != axis)
    largest = np.abs(weight).max(axis=others)
    scale = np.where(largest > 0, largest / 127, 1).astype("float32")
    shape = [-1 if i == axis else 1 for i in range(weight.ndim)]
    return np.rint(weight / scale.reshape(shape)).astype("int8"), scale


class Exporter:
    """Collects ONNX nodes and constants while it walks a model."""

    def __init__(self, int8=False):
        self.nodes, self.constants, self.int8, self.count = [], [], int8, 0

    def name(self, what):
        self.count += 1
        return f"{what}_{self.count}"

    def constant(self, array, what):
        name = self.name(what)
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def weight(self, array, axis):
        """A weight, as float32 or as int8 with a DequantizeLinear node behind it."""
        if not self.int8:
            return self.constant(array.astype("float32"), "weight")
        q, scale = quantize(array, axis)
        zero = self.constant(np.zeros(scale.shape, dtype="int8"), "zero_point")
        return self.node(
            "DequantizeLinear",
            self.constant(q, "weight_int8"),
            self.constant(scale, "scale"),
            zero,
            axis=axis,
        )

    def node(self, op, *inputs, **attributes):
        output = self.name(op)
        self.nodes.append(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def module(self, m, x):
        """Write `m` applied to the value named `x`; the name of the result."""
        for kind, rule in RULES:
            if isinstance(m, kind):
                return rule(self, m, x)
        known = ", ".join(sorted(k.__name__ for k, _ in RULES))
        raise NotExportable(f"{type(m).__name__} has no export rule; there are rules for {known}")


def _sequential(e, m, x):
    for child in m.modules:
        x = e.module(child, x)
    return x


def _linear(e, m, x):
    x = e.node("MatMul", x, e.weight(m.weight.numpy(), axis=1))
    return (
        e.node("Add", x, e.constant(m.bias.numpy().reshape(-1), "bias"))
        if m.bias is not None
        else x
    )


def _batch_norm(e, m, x):
    values = (m.weight, m.bias, m.running_mean, m.running_var)
    arrays = [e.constant(v.numpy().reshape(-1), "batch_norm") for v in values]
    return e.node("BatchNormalization", x, *arrays, epsilon=float(m.eps))


def _conv(e, m, x):
    # needle keeps (K, K, in, out); ONNX wants (out, in, K, K). Both take NCHW images.
    weight = m.weight.numpy().transpose(3, 2, 0, 1)
    inputs = [x, e.weight(weight, axis=0)]
    if m.bias is not None:
        inputs.append(e.constant(m.bias.numpy().reshape(-1), "bias"))
    k = weight.shape[-1]
    return e.node("Conv", *inputs, strides=[m.stride] * 2, pads=[k // 2] * 4, kernel_shape=[k, k])


RULES = [
    (nn.Sequential, _sequential),
    (nn.Linear, _linear),
    (nn.Conv, _conv),
    (nn.BatchNorm1d, _batch_norm),  # BatchNorm2d is one, with the channel axis in the same place
    (nn.ReLU, lambda e, m, x: e.node("Relu", x)),
    (nn.Flatten, lambda e, m, x: e.node("Flatten", x, axis=1)),
    (nn.Residual, lambda e, m, x: e.node("Add", e.module(m.fn, x), x)),
    (nn.Dropout, lambda e, m, x: x),
    (nn.Identity, lambda e, m, x: x),
]


def to_onnx(model, input_shape, path, int8=False):
    """Write `model`, (batch, *input_shape) -> (batch, logits), to `path`; the batch size stays free.

    Raises:
        NotExportable: a module without a rule, by name.
    """
    e = Exporter(int8)
    result = e.module(model, "input")
    e.nodes.append(helper.make_node("Identity", [result], ["output"]))
    graph = helper.make_graph(
        e.nodes,
        "needle",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", *input_shape])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", "logits"])],
        initializer=e.constants,
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, str(path))
