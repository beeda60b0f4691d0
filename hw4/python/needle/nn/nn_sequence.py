"""Layers for sequences: recurrent networks and the embedding of words.

Sequences are (T, B, F): time, batch, features.
"""

import math

from .. import init, ops
from ..autograd import Tensor
from .nn_basic import Module, Parameter


class Sigmoid(Module):
    """1 / (1 + exp(-x)), also where exp(-x) is too large for a float32."""

    def forward(self, x):
        ### BEGIN YOUR SOLUTION hw4/lstm
        raise NotImplementedError("hw4/lstm: Sigmoid.forward is yours to write")
        ### END YOUR SOLUTION


def _parameters_of_cell(cell, input_size, width, bias, device, dtype):
    """Give `cell` its four parameters, all uniform on [-1/sqrt(H), 1/sqrt(H)] with H its hidden_size.

    Drawn in the order W_ih (input_size, width), W_hh (H, width), bias_ih (width,), bias_hh (width,);
    without `bias` the last two are None and not drawn.
    (Yours to use or not: both cells need it.)
    """
    ### BEGIN YOUR SOLUTION hw4/rnn
    raise NotImplementedError("hw4/rnn: _parameters_of_cell is yours to write or not")
    ### END YOUR SOLUTION


def _parameters_of(cell):
    """The four parameters in their order, to be handed on. (Yours to use or not.)"""
    return cell.W_ih, cell.W_hh, cell.bias_ih, cell.bias_hh


def _shapes(state):
    """The shape of a Tensor, a tuple of them for several; of anything else the name of its class."""
    if isinstance(state, (tuple, list)):
        return tuple(map(_shapes, state))
    return state.shape if isinstance(state, Tensor) else type(state).__name__


def _state_of(module, x, state, *layers, pair=False):
    """The state in which `module` meets the input x (..., B, I): `state`, or zeros where that is None.

    h, of shape (*layers, B, H) with H the module's hidden_size; with `pair` a tuple of h and c. What
    is something else, or has another shape, is a ValueError that says so.
    (Yours to use or not: cells and networks need it.)
    """
    ### BEGIN YOUR SOLUTION hw4/rnn
    raise NotImplementedError("hw4/rnn: _state_of is yours to write or not")
    ### END YOUR SOLUTION


class RNNCell(Module):
    """One step of a recurrent network: h' = tanh(x W_ih + bias_ih + h W_hh + bias_hh).

    Args:
        input_size, hidden_size: features of x and of h.
        bias: whether the two biases exist.
        nonlinearity: "tanh" or "relu".

    Parameters, in the order in which they are drawn, all uniform on [-1/sqrt(H), 1/sqrt(H)]:
        W_ih (I, H), W_hh (H, H), bias_ih (H,), bias_hh (H,).
    """

    def __init__(
        self, input_size, hidden_size, bias=True, nonlinearity="tanh", device=None, dtype="float32"
    ):
        super().__init__()
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        self.hidden_size, self.nonlinearity = hidden_size, nonlinearity
        ### BEGIN YOUR SOLUTION hw4/rnn
        raise NotImplementedError("hw4/rnn: RNNCell.__init__ is yours to write")
        ### END YOUR SOLUTION

    def forward(self, X, h=None):
        """x (B, I) and h (B, H), zeros where None -> h' (B, H)."""
        ### BEGIN YOUR SOLUTION hw4/rnn
        raise NotImplementedError("hw4/rnn: RNNCell.forward is yours to write")
        ### END YOUR SOLUTION


class RNN(Module):
    """A recurrent network of `num_layers` RNNCells, each fed with the outputs of the one below.

    Attributes:
        rnn_cells: list of RNNCell; the first takes input_size features, the others hidden_size.
    """

    def __init__(self, input_size, hidden_size, num_layers=1, bias=True, nonlinearity="tanh",
                 device=None, dtype="float32"):  # fmt: skip
        super().__init__()
        self.hidden_size, self.num_layers = hidden_size, num_layers
        ### BEGIN YOUR SOLUTION hw4/rnn
        raise NotImplementedError("hw4/rnn: RNN.__init__ is yours to write")
        ### END YOUR SOLUTION

    def forward(self, X, h0=None):
        """X (T, B, I), h0 (layers, B, H), zeros where None.

        Returns:
            (output, h_n): the last layer's h at every step, (T, B, H), and every layer's h after
            the last step, (layers, B, H).
        """
        ### BEGIN YOUR SOLUTION hw4/rnn
        raise NotImplementedError("hw4/rnn: RNN.forward is yours to write")
        ### END YOUR SOLUTION


class LSTMCell(Module):
    """One step of a long short-term memory.

    With the gates i, f, g, o, which lie in this order along the 4H columns of
    x W_ih + bias_ih + h W_hh + bias_hh:

        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)        h' = sigmoid(o) * tanh(c')

    Parameters, in the order in which they are drawn, all uniform on [-1/sqrt(H), 1/sqrt(H)]:
        W_ih (I, 4H), W_hh (H, 4H), bias_ih (4H,), bias_hh (4H,).
    """

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype="float32"):
        super().__init__()
        self.hidden_size = hidden_size
        ### BEGIN YOUR SOLUTION hw4/lstm
        raise NotImplementedError("hw4/lstm: LSTMCell.__init__ is yours to write")
        ### END YOUR SOLUTION

    def forward(self, X, h=None):
        """x (B, I) and h = (h, c), both (B, H), zeros where None -> (h', c')."""
        ### BEGIN YOUR SOLUTION hw4/lstm
        raise NotImplementedError("hw4/lstm: LSTMCell.forward is yours to write")
        ### END YOUR SOLUTION


class LSTM(Module):
    """A network of `num_layers` LSTMCells, each fed with the outputs of the one below.

    Attributes:
        lstm_cells: list of LSTMCell; the first takes input_size features, the others hidden_size.
    """

    def __init__(
        self, input_size, hidden_size, num_layers=1, bias=True, device=None, dtype="float32"
    ):
        super().__init__()
        self.hidden_size, self.num_layers = hidden_size, num_layers
        ### BEGIN YOUR SOLUTION hw4/lstm
        raise NotImplementedError("hw4/lstm: LSTM.__init__ is yours to write")
        ### END YOUR SOLUTION

    def forward(self, X, h=None):
        """X (T, B, I), h = (h0, c0), both (layers, B, H), zeros where None.

        Returns:
            (output, (h_n, c_n)): the last layer's h at every step, (T, B, H), and every layer's h
            and c after the last step, (layers, B, H) each.
        """
        ### BEGIN YOUR SOLUTION hw4/lstm
        raise NotImplementedError("hw4/lstm: LSTM.forward is yours to write")
        ### END YOUR SOLUTION


class Embedding(Module):
    """A table with one vector for each word.

    Parameters:
        weight: (num_embeddings, embedding_dim), drawn from N(0, 1).
    """

    def __init__(self, num_embeddings, embedding_dim, device=None, dtype="float32"):
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        ### BEGIN YOUR SOLUTION hw4/language_model
        raise NotImplementedError("hw4/language_model: Embedding.__init__ is yours to write")
        ### END YOUR SOLUTION

    def forward(self, x):
        """Word ids (T, B), whole numbers of any dtype -> their vectors (T, B, embedding_dim)."""
        ids = x.numpy()
        if ids.size and not 0 <= ids.min() <= ids.max() < self.num_embeddings:
            raise ValueError(
                f"word ids from {ids.min():.0f} to {ids.max():.0f} are outside this vocabulary of "
                f"{self.num_embeddings} words: was the model made for another?"
            )
        ### BEGIN YOUR SOLUTION hw4/language_model
        raise NotImplementedError("hw4/language_model: Embedding.forward is yours to write")
        ### END YOUR SOLUTION
