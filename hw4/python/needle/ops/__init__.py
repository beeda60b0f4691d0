"""The operators: each computes a result and passes a gradient back."""

from .ops_mathematic import *

from .ops_logarithmic import *
from .ops_tuple import *
from .ops_layers import *

from .ops_conv import *
from .ops_chain import chained, linears, relu
from .ops_composite import kernels, step_by_kernel
from .ops_sequence import *
