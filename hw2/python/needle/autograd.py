"""Values, operators and reverse-mode automatic differentiation.

In here, in the order of reading: `Op`, what an operator is; the backward pass, which homework 1
asks you to write; `Tensor`, what a program computes with; and how a Tensor remembers where it came
from. Not in here: the operators themselves (`ops/`), and the arrays that they compute with
(`backend_selection`).

In homework 1 read on to "How a value remembers". All that the backward pass needs of a Tensor is

    node.op          the operator that made it; None for a leaf
    node.inputs      the Tensors that the operator was applied to
    node.grad        where `backward` leaves the adjoint
"""

import sys
from operator import attrgetter
from weakref import ref

import numpy

from . import init
from .backend_selection import NDArray, default_device, library

# ----------------------------------------------------------------------------------- operators


class Op:
    """An operator: how to compute a result, and how to pass a gradient back through it."""

    def __call__(self, *args):
        raise NotImplementedError(f"{self} cannot be called: derive it from TensorOp")

    @classmethod
    def apply_to(cls, a, *settings, **named):
        """A new operator of this class, made with these settings, on the value `a`."""
        return cls(*settings, **named)(a)

    def __repr__(self):
        return f"{type(self).__name__}{vars(self) or ''}"

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
        inputs = node._record.inputs
        if out_grad is None:
            return (None,) * len(inputs)
        grads = self.gradient(out_grad, node)
        if type(grads) is not tuple:
            grads = tuple(grads) if type(grads) is list else (grads,)
        if len(grads) != len(inputs):
            raise ValueError(f"{self}.gradient gave {len(grads)} gradients, not {len(inputs)}")
        for grad, record in zip(grads, inputs):
            try:
                if record.data.shape != grad._record.data.shape:
                    self._refuse(grad.shape, record.data.shape)
            except AttributeError:  # None has no shape, nor a tuple, nor what waits to be computed
                if not isinstance(grad, Value) and (grad is not None or record.requires_grad):
                    kind = type(grad).__name__
                    raise TypeError(f"{self}.gradient must return Tensors, got {kind}") from None
        return grads

    def _refuse(self, given, wanted):
        """An error for a gradient that has not the shape of its input."""
        # Can a broadcast be the cause? Only if it can make the given shape of the wanted one.
        pairs = zip(reversed(wanted), reversed(given))
        stretched = len(wanted) <= len(given) and all(n in (1, m) for n, m in pairs)
        hint = ": sum back what was broadcast" if stretched else ""
        raise ValueError(
            f"{self}.gradient returned shape {given} for an input of shape {wanted}{hint}"
        )


class TensorOp(Op):
    """An operator whose result is one Tensor."""

    def __call__(self, *args):
        return Tensor.make_from_op(self, args)

    @classmethod
    def function(cls):
        """The function, or method, of Tensors that applies a new operator without settings."""
        make = Tensor.make_from_op
        return lambda *args: make(cls(), args)


class TensorTupleOp(Op):
    """An operator whose result is a TensorTuple."""

    def __call__(self, *args):
        return TensorTuple.make_from_op(self, args)


# ---------------------------------------------------------------------------- the backward pass


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

    A graph may be 100,000 nodes deep: Python's call stack is not. (Yours to use or not.)
    """
    ### BEGIN YOUR SOLUTION hw1/topo_sort
    raise NotImplementedError("hw1/topo_sort: topo_sort_dfs is yours to write or not")
    ### END YOUR SOLUTION


def sum_node_list(node_list):
    """The sum of a list of Tensors, from left to right; a single one is returned as it is.

    None stands for a gradient that nobody needs; the sum of nothing else is None.
    """
    if len(node_list) == 1 and type(node_list[0]) in (Tensor, TensorTuple):
        return node_list[0]
    known = [node for node in node_list if node is not None]
    if known and isinstance(known[0], TensorTuple):
        return ops.add_tuples(known)
    if len(known) > 1:
        return ops.AddAll()(*known)
    return known[0] if known else None


# --------------------------------------------------------------------------------- the values


def _of_record(name, doc):
    """A property of Values: the attribute `name` of their record."""

    def put(self, content):
        setattr(self._record, name, content)

    return property(attrgetter(f"_record.{name}"), put, doc=doc)


def _of_data(read, doc):
    """A property of Tensors: what `read` finds in their array."""
    return property(lambda self: read(self.realize_cached_data()), doc=doc)


class Value:
    """What an operator takes and gives: a Tensor, or a TensorTuple.

    Values are compared and hashed by identity, so that they can be keys of a dict.
    """

    __slots__ = ("__weakref__", "_grad", "_inputs", "_path", "_record")
    num_outputs = 1

    op = _of_record("op", "The operator that made it; None for a leaf.")
    requires_grad = _of_record("requires_grad", "Does a gradient flow here?")
    cached_data = _of_record("data", "The array; None if it is not computed yet.")

    @property
    def inputs(self):
        """The Values that the operator was applied to, as a tuple; empty for a leaf."""
        values = self._inputs
        return tuple(map(Record.its_value, self._record.inputs)) if values is None else values

    def _set_grad(self, value):
        self._grad = value
        if value is not None:
            value._inputs = None  # `self` may be among them: see Record

    # The gradient that the last backward pass left.
    grad = property(attrgetter("_grad"), _set_grad, doc="A Tensor, or None.")

    def realize_cached_data(self):
        """The array itself, not a copy; computed now if it was not."""
        data = self._record.data
        return self._record.realize() if data is None else data

    def become(self, made, name):
        """Be what `made` is, for a Value without a record, which waited until somebody asked for
        its attribute `name`: that is returned."""
        self.__class__ = type(made)
        self._record, self._inputs, self._grad, self._path = made._record, made._inputs, None, None
        self._record.value = ref(self)
        return getattr(self, name)

    def is_leaf(self):
        """True if no operator made this value."""
        return self._record.op is None

    def _init(self, op, inputs, *, num_outputs=1, cached_data=None, requires_grad=None):
        """Give this value a record of its own. `requires_grad=None`: if any input requires it."""
        records = [value._record for value in inputs]
        for value in inputs:
            value._record.value = ref(value)
        if requires_grad is None:
            requires_grad = any(record.requires_grad for record in records)
        _remember(self, op, tuple(inputs), records, cached_data, requires_grad)

    @classmethod
    def make_const(cls, data, requires_grad=False):
        """A leaf that shares `data`: an array, or the data of another Value."""
        if issubclass(type(data), Value):  # isinstance would ask an array for its __class__
            data = data.realize_cached_data()
        return _remember(_new(cls), None, (), (), data, requires_grad)

    @classmethod
    def make_from_op(cls, op, inputs):
        """`op` applied to the Values `inputs`: computed at once, unless in lazy mode.

        If no input needs a gradient, the result is a constant that remembers no graph.
        """
        records, arrays, requires_grad = [], [], False
        for value in inputs:
            try:
                record = value._record
            except AttributeError as error:
                raise TypeError(
                    f"{op} takes Tensors, got {type(value).__name__}: wrap arrays in Tensor(...)"
                ) from error
            records.append(record)
            if record.value is None:
                record.value = ref(value)
            requires_grad = requires_grad or record.requires_grad
            if not LAZY_MODE:
                arrays.append(record.realize() if record.data is None else record.data)
        data = None if LAZY_MODE else _compute(op, arrays)
        if not requires_grad and not LAZY_MODE:
            op, inputs, records = None, (), ()
        return _remember(_new(cls), op, inputs, records, data, requires_grad)

    def detach(self):
        """A constant with the same data, without the graph."""
        return self.make_const(self)

    def __reduce__(self):
        """Copied and pickled as a leaf: the data, without the graph and the gradient."""
        return type(self).make_const, (self.realize_cached_data(), self.requires_grad)


# The method that computes `number <operator> tensor`, by the name of NumPy's function for it.
_REFLECTED = {"add": "__radd__", "subtract": "__rsub__", "multiply": "__rmul__"}
_REFLECTED |= {"divide": "__rtruediv__", "power": "__rpow__"}


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
        data = None
        if isinstance(array, Tensor):
            device, dtype = device or array.device, dtype or array.dtype
            if device == array.device and dtype == array.dtype:
                data = array.realize_cached_data()
        if data is None:
            data = library.new_array(array, dtype, device)  # a copy, which nobody else can change
        self._init(None, (), cached_data=data, requires_grad=requires_grad)

    def _set_data(self, value):
        assert isinstance(value, Tensor), f"data must be a Tensor, got {type(value).__name__}"
        same = value.dtype == self.dtype and value.device == self.device
        # Another dtype: some step before this one left float32.
        assert same, f"{value.dtype} on {value.device} cannot replace {self.dtype} on {self.device}"
        self.cached_data = value.realize_cached_data()

    # This tensor as a constant that shares the array: `p.data = ...` replaces the array.
    data = property(Value.detach, _set_data, doc="A constant on the same array; = replaces that.")
    shape = _of_data(attrgetter("shape"), "Tuple of ints.")
    dtype = _of_data(attrgetter("dtype"), 'On an NDArray "float32".')
    device = _of_data(library.device_of, "The device that holds the data.")

    def numpy(self):
        """A copy of the data as a NumPy array."""
        return library.to_numpy(self.realize_cached_data())

    def __array__(self, dtype=None, copy=None):
        """For numpy.asarray and plotting programs: a copy of the data, without the graph."""
        return numpy.asarray(self.numpy(), dtype)

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        """`number * tensor` with a number of NumPy's is needle's to compute, and nothing else is."""
        if inputs[0] is self or ufunc.__name__ not in _REFLECTED:
            ways = "use needle's operators, which remember the graph, or x.numpy()"
            raise TypeError(f"numpy.{ufunc.__name__} does not take a Tensor: {ways}")
        return getattr(self, _REFLECTED[ufunc.__name__])(inputs[0])

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
        if out_grad is None:
            out_grad = init.ones_like(self)
        if not isinstance(out_grad, Tensor):
            raise TypeError(f"backward takes a Tensor, got {type(out_grad).__name__}")
        for what in ("shape", "device", "dtype"):
            given, expected = getattr(out_grad, what), getattr(self, what)
            if given != expected:
                kind = TypeError if what == "dtype" else ValueError
                raise kind(f"out_grad of {what} {given} does not fit a result of {what} {expected}")
        compute_gradient_of_variables(self, out_grad)

    # x + y, -x, x @ w, x.sum(axes), ...: what one operator computes is said in ops/__init__.py.

    def __sub__(self, other):
        return self + (-other)

    def __rsub__(self, other):
        return -self + other

    def __rtruediv__(self, other):
        return init.ones_like(self) * other / self

    def __rpow__(self, other):
        return (init.ones_like(self) * other) ** self

    def to(self, device):
        """This tensor on another device; itself if it is there already. Gradients flow back."""
        return self if device == self.device else ops.to_device(self, device)


class TensorTuple(Value):
    """A value that is a tuple of arrays, for operators with several results. Not nested."""

    __slots__ = ()

    def __len__(self):
        return len(self.realize_cached_data())

    def __getitem__(self, index):
        return ops.tuple_get_item(self, index)

    def __iter__(self):
        return iter(self.tuple())

    def tuple(self):
        """The parts, as a Python tuple of Tensors; all at once, for there may be many."""
        if isinstance(self.op, ops.MakeTensorTuple):
            return self.inputs
        arrays, record = self.realize_cached_data(), self._record
        if not record.requires_grad:
            return tuple(map(Tensor.make_const, arrays))
        record.value = ref(self)
        get, inputs, records, parts = ops.get_item, (self,), (record,), enumerate(arrays)
        return tuple([_remember(_new(Tensor), get(k), inputs, records, a, True) for k, a in parts])

    def __repr__(self):
        return f"needle.TensorTuple{self.tuple()}"

    def __add__(self, other):
        fits = isinstance(other, TensorTuple) and len(self) == len(other)
        assert fits, f"{other} cannot be added to a TensorTuple of {len(self)} parts"
        return ops.add_tuples([self, other])


# ----------------------------------------------------------------------- how a value remembers
#
# Behind every Value stands a Record: the operator, the records of its inputs, and the result.
# Records refer to records, and a record knows its Value by a weak reference only. A Value refers to
# its record and to the Values that it was computed from; but what becomes a gradient lets go of them:
#
#     Tensor x --> Record x        the graph, reachable from `x.grad`, may contain Record x, but
#       .grad                      never the Tensor x: no reference cycle. The moment a program drops
#         Tensor --> Record --+    its tensors, the graph goes too, without a garbage collector.
#                    Record x <-+
#
# The `inputs` of a gradient are found by the records: the Value that somebody holds, as long as
# there is one, else a fresh one. After `y.backward()` the Tensor y holds all Tensors on the way, so
# that their gradients can be looked at.


class Record:
    """How a value came to be: an operator, the records it was applied to, and the result.

    A leaf has `op` None and no inputs. `data` is None until it is computed (lazy mode).
    `value` is a weak reference to the Value that somebody holds; None until that is an input of an
    operator, as many gradients never are.
    """

    __slots__ = ("data", "inputs", "op", "requires_grad", "value")

    def its_value(self):
        """The Value on this record that somebody holds, or else a new one."""
        value = self.value and self.value()
        if value is None:
            value = _new(TensorTuple if isinstance(self.op, TensorTupleOp) else Tensor)
            value._record, value._inputs, value._grad, self.value = self, None, None, ref(value)
        return value

    def realize(self):
        """The data, computed now if it was not; the inputs come first.

        A stack and not recursion: a lazy graph may be deeper than Python's call stack.
        """
        stack = [self]
        while stack:
            record = stack[-1]
            waiting = [other for other in record.inputs if other.data is None]
            if waiting:
                stack.extend(waiting)
            elif stack.pop().data is None:
                record.data = _compute(record.op, [other.data for other in record.inputs])
        return self.data


_new = object.__new__  # calling a class costs twice as much, and every operator makes a Value
_nobody = sys.getrefcount(Record)  # with no record at all


def _remember(value, op, inputs, records, data, requires_grad):
    """The new Value `value`, computed from the Values `inputs`, with a record of its own."""
    record = value._record = _new(Record)
    value._inputs = inputs
    value._grad = None
    record.op = op
    record.inputs = records
    record.data = data
    record.requires_grad = requires_grad
    record.value = None
    return value


# What an operator may raise for inputs that do not fit.
_MISFITS = ValueError, AssertionError, IndexError, ZeroDivisionError


def _compute(op, arrays):
    """The result of `op` on `arrays`; an error names operator and shapes."""
    if op is None:
        raise RuntimeError("a leaf of the graph was never computed: make leaves with Tensor(array)")
    try:
        data = op.compute(*arrays)
    except _MISFITS as error:
        shapes = ", ".join(f"{getattr(array, 'shape', 'a tuple')}" for array in arrays)
        text = f"{op} does not fit inputs of shape {shapes}: {error}"
        # Not type(error), which may take more than a text.
        raise next(kind for kind in _MISFITS if isinstance(error, kind))(text) from error
    if data is None:
        raise TypeError(f"{op}.compute returned None: is a `return` missing?")
    return data if type(data) is NDArray else as_data(data, arrays)


def as_data(data, arrays):
    """Arrays for what NumPy returns of zero-dimensional operands: scalars, at times of float64."""
    if isinstance(data, list):
        return tuple(data)
    if not isinstance(data, numpy.generic):
        return data
    dtypes = [array.dtype for array in arrays if hasattr(array, "dtype")]
    dtype = numpy.result_type(*dtypes or [data])
    return numpy.asarray(data, dtype=dtype if data.dtype.kind == dtype.kind == "f" else None)


# ------------------------------------------------------ kept for programs of the public course

from .backend_selection import all_devices, array_api, cpu  # noqa: E402

LAZY_MODE = False  # True: compute a value when its data is first asked for


def __getattr__(name):
    """TENSOR_COUNTER, the values alive in all graphs: as many as records refer to their class.

    Python keeps that number anyway; counting up and down ourselves would cost every operator more.
    """
    if name == "TENSOR_COUNTER":
        return sys.getrefcount(Record) - _nobody
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


from . import ops  # noqa: E402  (the operators are made of the classes above)
