"""The operators: each computes a result and passes a gradient back."""

from .ops_mathematic import *

