"""Values, operators and reverse-mode automatic differentiation.

In here: `Op` and its two kinds, `Tensor` and `TensorTuple`, the topological sort and the
backward pass. Not in here: the operators themselves (`ops/`) and the arrays that they compute
with (`backend_selection`).

Who holds what
--------------
The computational graph is made of nodes. A `Node` knows the operator that made it, the nodes that
the operator was applied to, and the result. A `Tensor` is what a program holds: a thin handle on
one node, with the gradient beside it. Nodes refer to nodes, handles to nodes, and a node knows its
handle only by a weak reference:

    Tensor x --> Node x          the graph, reachable from `x.grad`, may contain Node x, but never
      .grad                      the Tensor x: no reference cycle. The moment a program drops its
        Tensor --> Node --+      tensors, the graph goes too, without a garbage collector.
                    Node x <-+

Everything a program touches, `node.inputs` included, is a `Tensor`: the one that it holds, as long
as it holds one, else a fresh handle. After `y.backward()` the Tensor y holds all Tensors on the way,
so that their gradients can be looked at.
"""

import weakref
from functools import reduce
from operator import add, attrgetter

import numpy

from . import init
from .backend_selection import BACKEND, NDArray, all_devices, array_api, cpu, default_device

LAZY_MODE = False  # True: compute a value when its data is first asked for
TENSOR_COUNTER = 0  # values alive in all graphs


class Op:
    """An operator: how to compute a result, and how to pass a gradient back through it."""

    def __call__(self, *args):
        raise NotImplementedError(f"{self} cannot be called: derive it from TensorOp")

    def __repr__(self):
        return type(self).__name__

    def compute(self, *args):
        """The result, an array, of the operator on the arrays `args`."""
        raise NotImplementedError(f"{self} has no forward: define {self}.compute(*arrays)")

    def gradient(self, out_grad, node):
        """The adjoints of the inputs of `node`, given the adjoint of `node` itself.

        Args:
            out_grad: Tensor, the adjoint of `node`, of the same shape and dtype as `node`.
            node: the Tensor that this operator made; `node.inputs` are its arguments.

        Returns:
            A Tensor (one input), or a tuple of Tensors, each of the shape of its input. They are
            made by needle's own operators, so that they can be differentiated again.
        """
        raise NotImplementedError(f"{self} has no gradient: define gradient(out_grad, node)")

    def gradient_as_tuple(self, out_grad, node):
        """`gradient`, always as a tuple with one adjoint for each input of `node`.

        An adjoint may be None where the input is a constant (`requires_grad` False).
        """
        inputs = node._node.inputs
        if out_grad is None:
            return (None,) * len(inputs)
        grads = self.gradient(out_grad, node)
        grads = tuple(grads) if isinstance(grads, (tuple, list)) else (grads,)
        if len(grads) != len(inputs):
            raise ValueError(
                f"{self}.gradient gave {len(grads)} gradients for {len(inputs)} inputs"
            )
        for grad, value in zip(grads, inputs):
            self._check_gradient(grad, value)
        return grads

    def _check_gradient(self, grad, value):
        """A gradient has the shape of its input."""
        if grad is None and not value.requires_grad:
            return
        if not isinstance(grad, Value):
            raise TypeError(f"{self}.gradient must return Tensors, got {type(grad).__name__}")
        given, wanted = (getattr(data, "shape", None) for data in (grad._node.data, value.data))
        if None in (given, wanted) or given == wanted:  # None: a tuple, or not computed yet
            return
        shapes = f"shape {given} for an input of shape {wanted}"
        hint = ": sum back what was broadcast" if _broadcasts_to(wanted, given) else ""
        raise ValueError(f"{self}.gradient returned {shapes}{hint}")


def _broadcasts_to(shape, other):
    """Can an array of `shape` be broadcast to the shape `other`?"""
    try:
        return numpy.broadcast_shapes(shape, other) == tuple(other)
    except ValueError:
        return False


class TensorOp(Op):
    """An operator whose result is one Tensor."""

    def __call__(self, *args):
        return Tensor.make_from_op(self, args)


class TensorTupleOp(Op):
    """An operator whose result is a TensorTuple."""

    def __call__(self, *args):
        return TensorTuple.make_from_op(self, args)


class Node:
    """A node of the graph: an operator, the nodes it was applied to, and the result.

    A leaf has `op` None and no inputs. `data` is None until it is computed (lazy mode).
    `handle` is a weak reference to the Value that a program holds on this node.
    """

    __slots__ = ("data", "handle", "inputs", "op", "requires_grad")

    def __del__(self):
        global TENSOR_COUNTER
        TENSOR_COUNTER -= 1

    def realize(self):
        """The data of this node, computed now if it was not; the inputs come first.

        A stack and not recursion: a lazy graph may be deeper than Python's call stack.
        """
        stack = [self]
        while stack:
            node = stack[-1]
            waiting = [value for value in node.inputs if value.data is None]
            if node.data is None and not waiting:
                node.data = _compute(node.op, [value.data for value in node.inputs])
            if node.data is not None:
                stack.pop()
            stack.extend(waiting)
        return self.data


def _compute(op, arrays):
    """The result of `op` on `arrays`; an error names operator and shapes."""
    if op is None:
        raise RuntimeError("a leaf of the graph was never computed: make leaves with Tensor(array)")
    try:
        data = op.compute(*arrays)
    except (ValueError, AssertionError) as error:
        kind = ValueError if isinstance(error, ValueError) else AssertionError
        shapes = ", ".join(str(getattr(array, "shape", "a tuple")) for array in arrays)
        raise kind(f"{op} does not fit inputs of shape {shapes}: {error}") from error
    return data if type(data) is NDArray else _as_data(data, arrays)


def _as_data(data, arrays):
    """Arrays for what NumPy returns of zero-dimensional operands: scalars, at times of float64."""
    if isinstance(data, NDArray):
        return data
    if isinstance(data, (tuple, list)):
        parts = [_as_data(part, arrays) for part in data]
        return tuple(parts) if type(data) in (tuple, list) else data
    dtype = numpy.result_type(*[array.dtype for array in arrays if hasattr(array, "dtype")])
    return numpy.asarray(data, dtype=dtype if data.dtype.kind == dtype.kind == "f" else None)


def _handle_of(node):
    """The Value that a program holds on `node`, or a fresh one if there is none."""
    handle = node.handle()
    if handle is None:
        is_tuple = isinstance(node.data, tuple) or isinstance(node.op, TensorTupleOp)
        handle = _new(TensorTuple if is_tuple else Tensor)._attach(node)
    return handle


_new = object.__new__  # calling a class costs twice as much, and every operator makes two objects


def _of_node(name, doc):
    """A property of a Value that is an attribute of its node."""
    setter = lambda value, new: setattr(value._node, name, new)
    return property(attrgetter(f"_node.{name}"), setter, doc=doc)


class Value:
    """A handle on a node of the graph, with the gradient that the last backward pass left.

    Values are compared and hashed by identity, so that they can be keys of a dict.
    """

    __slots__ = ("__weakref__", "_node", "_path", "grad")
    num_outputs = 1

    op = _of_node("op", "The operator that made this value; None for a leaf.")
    requires_grad = _of_node("requires_grad", "Does a gradient flow here?")
    cached_data = _of_node("data", "The array; None if it is not computed yet.")

    @property
    def inputs(self):
        """The Values that the operator was applied to, as a tuple; empty for a leaf."""
        return tuple(map(_handle_of, self._node.inputs))

    def realize_cached_data(self):
        """The array itself, not a copy; computed now if it was not."""
        data = self._node.data
        return self._node.realize() if data is None else data

    def is_leaf(self):
        """True if no operator made this value."""
        return self._node.op is None

    def _init(self, op, inputs, *, num_outputs=1, cached_data=None, requires_grad=None):
        """Put this handle on a new node. `requires_grad=None`: if any input requires it."""
        global TENSOR_COUNTER
        if requires_grad is None:
            requires_grad = any(value.requires_grad for value in inputs)
        node = _new(Node)
        node.op, node.data, node.requires_grad = op, cached_data, requires_grad
        node.inputs = tuple([value._node for value in inputs])
        TENSOR_COUNTER += 1
        self._attach(node)

    def _attach(self, node):
        self._node, self.grad = node, None
        node.handle = weakref.ref(self)
        return self

    @classmethod
    def make_const(cls, data, requires_grad=False):
        """A leaf that shares `data`: an array, or the data of another Value."""
        if isinstance(data, Value):
            data = data.realize_cached_data()
        value = _new(cls)
        value._init(None, (), cached_data=data, requires_grad=requires_grad)
        return value

    @classmethod
    def make_from_op(cls, op, inputs):
        """`op` applied to the Values `inputs`: computed at once, unless in lazy mode.

        If no input needs a gradient, the result is a constant that remembers no graph.
        """
        requires_grad = False
        for value in inputs:
            if not isinstance(value, Value):
                kind = type(value).__name__
                raise TypeError(f"{op} takes Tensors, got {kind}: wrap arrays in Tensor(...)")
            requires_grad = requires_grad or value._node.requires_grad
        data = None if LAZY_MODE else _compute(op, [v.realize_cached_data() for v in inputs])
        if not requires_grad and not LAZY_MODE:
            return cls.make_const(data)
        result = _new(cls)
        result._init(op, inputs, cached_data=data, requires_grad=requires_grad)
        return result

    def detach(self):
        """A constant with the same data, without the graph."""
        return self.make_const(self.realize_cached_data())

    def __reduce__(self):
        """Copied and pickled as a leaf: the data, without the graph and the gradient."""
        return type(self).make_const, (self.realize_cached_data(), self.requires_grad)


class TensorTuple(Value):
    """A value that is a tuple of arrays, for operators with several results. Not nested."""

    __slots__ = ()

    def __len__(self):
        return len(self.realize_cached_data())

    def __getitem__(self, index):
        return ops.tuple_get_item(self, index)

    def __iter__(self):
        return (self[k] for k in range(len(self)))

    def tuple(self):
        """The parts, as a Python tuple of Tensors."""
        return tuple(self)

    def __repr__(self):
        return f"needle.TensorTuple{self.tuple()}"

    def __add__(self, other):
        fits = isinstance(other, TensorTuple) and len(self) == len(other)
        assert fits, f"{other} cannot be added to a TensorTuple of {len(self)} parts"
        return ops.AddTuples()(self, other)


class Tensor(Value):
    """An array that remembers how it was computed.

    Args:
        array: numbers, a NumPy array (copied), or a Tensor (its data is shared if it fits).
        device: where the data lives; default: that of `array`, else `default_device()`.
        dtype: default: that of `array`. Python floats make float64, as in NumPy.
        requires_grad: does `backward` reach this tensor? True unless you say so.
    """

    __slots__ = ()

    def __init__(self, array, *, device=None, dtype=None, requires_grad=True, **kwargs):
        is_tensor = isinstance(array, Tensor)
        if is_tensor or (BACKEND == "nd" and isinstance(array, NDArray)):
            device = device or array.device  # a NumPy array's `.device` is a string
        if is_tensor:
            dtype = dtype or array.dtype
            shares = (device, dtype) == (array.device, array.dtype)
            array = array.realize_cached_data() if shares else array.numpy()
        if not (is_tensor and shares):
            array = Tensor._array_from_numpy(array, device or default_device(), dtype)
        self._init(None, (), cached_data=array, requires_grad=requires_grad)

    @staticmethod
    def _array_from_numpy(numpy_array, device, dtype):
        """A new array on `device`: always a copy, so that nobody else can change it."""
        if BACKEND == "np":
            return numpy.array(numpy_array, dtype=dtype)
        return array_api.array(numpy_array, device=device, dtype=dtype)

    @property
    def data(self):
        """This tensor as a constant that shares the array: `p.data = ...` replaces the array."""
        return self.detach()

    @data.setter
    def data(self, value):
        assert isinstance(value, Tensor), f"data must be a Tensor, got {type(value).__name__}"
        same = value.dtype == self.dtype and value.device == self.device
        # Another dtype: some step before this one left float32.
        assert same, f"{value.dtype} on {value.device} cannot replace {self.dtype} on {self.device}"
        self._node.data = value.realize_cached_data()

    shape = property(lambda self: self.realize_cached_data().shape, doc="Tuple of ints.")
    dtype = property(lambda self: self.realize_cached_data().dtype, doc='On an NDArray "float32".')

    @property
    def device(self):
        """The device that holds the data."""
        return default_device() if BACKEND == "np" else self.realize_cached_data().device

    def numpy(self):
        """A copy of the data as a NumPy array."""
        data = self.realize_cached_data()
        return numpy.array(data) if BACKEND == "np" else data.numpy()

    def __array__(self, dtype=None, copy=None):
        """For numpy.asarray and plotting programs: a copy of the data, without the graph."""
        return self.numpy() if dtype is None else self.numpy().astype(dtype)

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        """`number * tensor` with a number of NumPy's is needle's to compute, and nothing else is."""
        reflected = _REFLECTED.get(ufunc.__name__)
        if method != "__call__" or kwargs or inputs[0] is self or reflected is None:
            name = ufunc.__name__
            raise TypeError(
                f"numpy.{name} does not take a Tensor: use needle's operators, which remember the "
                f"graph, or numpy.{name} on x.numpy()"
            )
        return getattr(self, reflected)(inputs[0])

    def item(self):
        """The one element as a Python number; a ValueError if there are more."""
        return self.numpy().item()

    __float__ = item

    def __repr__(self):
        return f"needle.Tensor({self.realize_cached_data()})"

    def __str__(self):
        return str(self.realize_cached_data())

    def backward(self, out_grad=None):
        """Set `.grad` of every tensor that this one was computed from, itself included.

        A `.grad` is replaced, never added to. It is a Tensor with a graph of its own, so that it
        can be differentiated again.

        Args:
            out_grad: the adjoint of this tensor, of its shape and dtype; default: ones.
        """
        out_grad = init.ones_like(self) if out_grad is None else out_grad
        if not isinstance(out_grad, Tensor):
            raise TypeError(f"backward takes a Tensor, got {type(out_grad).__name__}")
        for what in ("shape", "device", "dtype"):
            given, expected = getattr(out_grad, what), getattr(self, what)
            if given != expected:
                kind = TypeError if what == "dtype" else ValueError
                raise kind(f"out_grad of {what} {given} does not fit a result of {what} {expected}")
        compute_gradient_of_variables(self, out_grad)

    def __add__(self, other):
        return (ops.add if isinstance(other, Tensor) else ops.add_scalar)(self, other)

    def __mul__(self, other):
        return (ops.multiply if isinstance(other, Tensor) else ops.mul_scalar)(self, other)

    def __pow__(self, other):
        return (ops.power if isinstance(other, Tensor) else ops.power_scalar)(self, other)

    def __sub__(self, other):
        return self + (-other)

    def __truediv__(self, other):
        return (ops.divide if isinstance(other, Tensor) else ops.divide_scalar)(self, other)

    def __rsub__(self, other):
        return -self + other

    def __rtruediv__(self, other):
        return ops.divide(self._constant(other), self)

    def __rpow__(self, other):
        return ops.power(self._constant(other), self)

    def _constant(self, number):
        """A constant of this tensor's shape, dtype and device, filled with `number`."""
        return init.constant(*self.shape, c=number, device=self.device, dtype=self.dtype)

    def __matmul__(self, other):
        return ops.matmul(self, other)

    def __neg__(self):
        return ops.negate(self)

    matmul = __matmul__

    def to(self, device):
        """This tensor on another device; itself if it is there already. Gradients flow back."""
        return self if device == self.device else ops.to_device(self, device)

    def sum(self, axes=None):
        return ops.summation(self, axes)

    def broadcast_to(self, shape):
        return ops.broadcast_to(self, shape)

    def reshape(self, shape):
        return ops.reshape(self, shape)

    def transpose(self, axes=None):
        return ops.transpose(self, axes)

    __radd__ = __add__
    __rmul__ = __mul__


# The method that computes `number <operator> tensor`, by NumPy's name of the operator.
_REFLECTED = {
    "add": "__radd__",
    "subtract": "__rsub__",
    "multiply": "__rmul__",
    "divide": "__rtruediv__",
    "power": "__rpow__",
}


def compute_gradient_of_variables(output_tensor, out_grad):
    """Set `node.grad` of `output_tensor` and of every node that it was computed from.

    Args:
        output_tensor: the Tensor to differentiate.
        out_grad: its adjoint, a Tensor of the same shape and dtype.
    """
    # For each node, the contributions to its adjoint, one from each use of the node.
    node_to_output_grads_list = {output_tensor: [out_grad]}
    # From the output towards the leaves: every node after all the nodes that use it.
    reverse_topo_order = list(reversed(find_topo_sort([output_tensor])))
    # Gradients of values that nobody else holds live as long as the output does.
    output_tensor._path = reverse_topo_order[1:]

    ### BEGIN YOUR SOLUTION hw1/compute_gradient
    raise NotImplementedError("hw1/compute_gradient: compute_gradient_of_variables is yours to write")
    ### END YOUR SOLUTION


def find_topo_sort(node_list):
    """All nodes that `node_list` was computed from, each once, inputs before what uses them.

    The order is that of a depth-first walk which writes a node down when it leaves it (post-order)
    and goes through `node.inputs` from left to right.

    Args:
        node_list: list of Values, the ends of the walk; they are in the result too.
    """
    ### BEGIN YOUR SOLUTION hw1/topo_sort
    raise NotImplementedError("hw1/topo_sort: find_topo_sort is yours to write")
    ### END YOUR SOLUTION


def topo_sort_dfs(node, visited, topo_order):
    """Append to `topo_order`, in post-order, what is reachable from `node` and not in `visited`.

    A graph may be 100,000 nodes deep: Python's call stack is not.
    """
    ### BEGIN YOUR SOLUTION hw1/topo_sort
    raise NotImplementedError("hw1/topo_sort: topo_sort_dfs is yours to write")
    ### END YOUR SOLUTION


def sum_node_list(node_list):
    """The sum of a list of Tensors, from left to right; a single one is returned as it is.

    None stands for a gradient that nobody needs; the sum of nothing else is None.
    """
    known = [node for node in node_list if node is not None]
    return reduce(add, known) if known else None


from . import ops  # noqa: E402  (the operators are made of the classes above)
