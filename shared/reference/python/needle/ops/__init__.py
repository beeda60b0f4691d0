"""The operators: each computes a result and passes a gradient back."""

from .ops_mathematic import *

### FROM hw2
from .ops_logarithmic import *
from .ops_tuple import *

### END
### FROM hw4
from .ops_conv import *
from .ops_fused import fused, fused_step, without_fused_kernels
### END
