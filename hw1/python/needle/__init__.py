"""needle: necessary elements of deep learning."""

from . import ops
from .ops import *
from .autograd import Op, Tensor, TensorOp, TensorTuple, TensorTupleOp, Value
from . import init
from .init import ones, ones_like, zeros, zeros_like

from .backend_selection import *
