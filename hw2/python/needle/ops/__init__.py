"""The operators: each computes a result and passes a gradient back."""

from .ops_mathematic import *

from .ops_logarithmic import *
from .ops_tuple import *
from .ops_layers import *

