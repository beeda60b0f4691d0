"""Tensors filled with constants, with random numbers, and with first weights."""

from .init_basic import *

from .init_initializers import *
