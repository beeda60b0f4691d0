"""Recurrent networks and their cells refuse a state that is not theirs in one sentence: what they take,
for which input, and what was given."""

import re

import needle as ndl
import numpy as np
import pytest
from needle import nn

ONE, ALL = (2, 4), (3, 2, 4)  # a batch of 2, 4 hidden units; 3 layers

NETWORKS = {
    "RNNCell": (lambda: nn.RNNCell(5, 4), (2, 5), ONE),
    "LSTMCell": (lambda: nn.LSTMCell(5, 4), (2, 5), (ONE, ONE)),
    "RNN": (lambda: nn.RNN(5, 4, 3), (6, 2, 5), ALL),
    "LSTM": (lambda: nn.LSTM(5, 4, 3), (6, 2, 5), (ALL, ALL)),
}


def zeros(shape):
    """Zeros of a shape, a tuple of them for a tuple of shapes; what is no shape as it is."""
    if not isinstance(shape, tuple):
        return shape
    if isinstance(shape[0], int):
        return ndl.init.zeros(*shape)
    return tuple(map(zeros, shape))


def wrong_states(state):
    """(a state, how it is told) where `state`, a shape or a pair of them, is expected."""
    single = state if isinstance(state[0], int) else state[0]
    longer, batch_of_1 = (single[0] + 1, *single[1:]), (*single[:-2], 1, single[-1])
    wider = (*single[:-1], single[-1] + 1)
    shapes = [longer, batch_of_1, wider, single[1:], (1, *single), (single,), (single,) * 3]
    shapes += [(single, wider), (batch_of_1, single), single, (single, single), (longer, longer)]
    told = [(zeros(shape), str(shape)) for shape in shapes if shape != state]
    array = np.zeros(single, "float32")
    return [*told, (array, "ndarray"), ((array, array), "('ndarray', 'ndarray')"), (0, "int")]


@pytest.mark.parametrize("form", ["given", "own"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_state_of_another_kind_number_or_shape_is_refused(name, form):
    make, shape, state = NETWORKS[name]
    network, x = make(), ndl.Tensor(np.ones(shape), dtype="float32")
    for wrong, told in wrong_states(state):
        text = f"{name} takes a state of shape {state} for an input of shape {shape}, got {told}"
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"), ndl.kernels(form):
            network(x, wrong)


@pytest.mark.parametrize("name", NETWORKS)
def test_no_state_is_zeros_and_a_pair_may_be_a_list(name):
    make, shape, state = NETWORKS[name]
    network, x = make(), ndl.Tensor(np.ones(shape), dtype="float32")
    given = zeros(state)
    for same in [given, list(given)] if isinstance(given, tuple) else [given]:
        one, other = ndl.nn.nn_state.named, ndl.Tensor
        for (_, a), (_, b) in zip(
            one(network(x), other), one(network(x, same), other), strict=True
        ):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
