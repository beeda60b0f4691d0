"""Layers, losses, and what keeps their parameters together."""

from .nn_basic import *
from .nn_state import load, save

from .nn_conv import *
from .nn_sequence import *
from .nn_transformer import *
