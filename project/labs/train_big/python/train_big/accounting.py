"""What training a language model takes: weights, operations, bytes; before anything is bought.

Shapes: B batch, T time, F features of a token (`width`), H heads of D features, V words.

Sources: Narayanan et al., "Efficient Large-Scale Language Model Training on GPU Clusters", 2021
(operations); Rajbhandari et al., "ZeRO", 2020 (state); Korthikanti et al., "Reducing Activation
Recomputation in Large Transformer Models", 2023 (activations).
"""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Decoder:
    """A Transformer that predicts the next token: embedding, blocks, logits.

    A block is attention and a network. Attention has a matrix each for queries (F, H D), keys and
    values (F, key_heads D), and the result (H D, F). The network has (F, hidden) and (hidden, F); a
    gated one has (F, hidden) twice. A bias has the length of the second axis of its matrix.

    Attributes:
        layers: number of blocks.
        key_heads: heads of keys and values; fewer than H where queries share them.
        positions: learned vectors of length F for so many places; 0 if places are told otherwise.
        attention_bias, network_bias, logits_bias: whether these matrices have a bias.
        block_norms: normalizations of F numbers in a block.
        norm_vectors: parameters of one: 2 (scale and shift, layer norm) or 1 (scale, RMS norm).
        last_norm: whether there is one more between the last block and the logits.
        tied: whether the logits' matrix (F, V) is the embedding's, transposed.
    """

    layers: int
    width: int
    heads: int
    head_width: int
    key_heads: int
    hidden: int
    words: int
    positions: int = 0
    gated: bool = False
    attention_bias: bool = False
    network_bias: bool = False
    logits_bias: bool = False
    block_norms: int = 2
    norm_vectors: int = 2
    last_norm: bool = True
    tied: bool = False


def attention_matrices(model):
    """The four matrices of a block's attention, as (rows, columns)."""
    ### BEGIN YOUR SOLUTION train-big/accounting
    raise NotImplementedError("train-big/accounting: attention_matrices is yours to write or not")
    ### END YOUR SOLUTION


def network_matrices(model):
    """The two or three matrices of a block's network, as (rows, columns)."""
    ### BEGIN YOUR SOLUTION train-big/accounting
    raise NotImplementedError("train-big/accounting: network_matrices is yours to write or not")
    ### END YOUR SOLUTION


def parameters(model):
    """How many numbers the model learns."""

    ### BEGIN YOUR SOLUTION train-big/accounting
    raise NotImplementedError("train-big/accounting: parameters is yours to write")
    ### END YOUR SOLUTION


def block_operations(model, batch, time):
    """Operations of the forward pass of one block: of its matrices, and of its attention.

    A product of matrices (n, k) and (k, m) takes n k m multiplications and as many additions.
    Attention multiplies every query with every key, also where a mask hides the key. Norms, biases
    and what else is done number by number are not counted.
    """
    ### BEGIN YOUR SOLUTION train-big/accounting
    raise NotImplementedError("train-big/accounting: block_operations is yours to write")
    ### END YOUR SOLUTION


def training_operations(model, batch, time, checkpointed=False):
    """Operations of one step: forward and backward, of all blocks and the logits.

    The backward pass makes two products of each product of the forward pass, one for each factor.

    Args:
        checkpointed: whether each block runs once more before its backward pass; the logits do not.
    """
    ### BEGIN YOUR SOLUTION train-big/accounting
    raise NotImplementedError("train-big/accounting: training_operations is yours to write")
    ### END YOUR SOLUTION


def state_bytes(numbers, ranks=1, stage=0):
    """Bytes of weights, gradients and Adam's state on one rank.

    For each number: 2 bytes for the weight and 2 for its gradient, in 16 bits; 12 for what the
    optimizer keeps in float32, the master and two averages.

    Args:
        numbers: parameters of the model.
        ranks: data-parallel ranks. What is shared out, each holds its part of, rounded up.
        stage: of ZeRO. 0 shares nothing out, 1 the optimizer's state, 2 the gradients too, 3 the
            weights too.
    """
    ### BEGIN YOUR SOLUTION train-big/accounting
    raise NotImplementedError("train-big/accounting: state_bytes is yours to write")
    ### END YOUR SOLUTION


def activation_bytes(model, batch, time, checkpointed=False):
    """Bytes that the blocks keep from the forward pass for the backward pass.

    A number takes 2 bytes, an element of a dropout mask 1. Of each block are kept

        (B, T, F)          the input of each norm; the input of the matrices for queries, keys and
                           values; that of the network's first matrix
        (B, T, F) masks    of the dropout behind attention, and of that behind the network
        (B, T, H D)        queries; the input of attention's last matrix
        (B, T, key_heads D)  keys; values
        (B, H, T, T)       attention weights before and after their dropout, and its mask
        (B, T, hidden)     before and behind the nonlinearity; in a gated network also the other
                           factor and the product

    Args:
        checkpointed: whether only the input (B, T, F) of each block is kept, and everything of the
            one block that is computed again.
    """
    ### BEGIN YOUR SOLUTION train-big/accounting
    raise NotImplementedError("train-big/accounting: activation_bytes is yours to write")
    ### END YOUR SOLUTION


def all_reduce_bytes(numbers, ranks):
    """Bytes that a rank sends in a ring all-reduce of so many numbers of 16 bits."""
    ### BEGIN YOUR SOLUTION train-big/accounting
    raise NotImplementedError("train-big/accounting: all_reduce_bytes is yours to write")
    ### END YOUR SOLUTION


def gradient_traffic(numbers, ranks, stage=0):
    """Bytes that a rank sends in a step of data-parallel training, in rings, in 16 bits.

    Stage 0 all-reduces the gradients. Stages 1 and 2 reduce-scatter the gradients and all-gather the
    weights. Stage 3 all-gathers the weights twice, forward and backward, and reduce-scatters the
    gradients.
    """
    ### BEGIN YOUR SOLUTION train-big/accounting
    raise NotImplementedError("train-big/accounting: gradient_traffic is yours to write")
    ### END YOUR SOLUTION


def tensor_traffic(model, batch, time, ranks):
    """Bytes that a rank sends in a step of tensor-parallel training: all-reduces of (B, T, F).

    In each block one behind attention and one behind the network, forward; backward as many.
    """
    ### BEGIN YOUR SOLUTION train-big/accounting
    raise NotImplementedError("train-big/accounting: tensor_traffic is yours to write")
    ### END YOUR SOLUTION


def pipeline_bubble(stages, micro_batches):
    """The share of the time in which a rank of a pipeline waits, as a Fraction."""
    ### BEGIN YOUR SOLUTION train-big/accounting
    raise NotImplementedError("train-big/accounting: pipeline_bubble is yours to write")
    ### END YOUR SOLUTION
