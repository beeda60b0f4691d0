"""Layers, losses, and what keeps their parameters together."""

from .nn_basic import *
from .nn_state import load, save

