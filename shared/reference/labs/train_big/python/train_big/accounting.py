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
    ### BEGIN SOLUTION train-big/accounting optional
    queries, keys = model.heads * model.head_width, model.key_heads * model.head_width
    into = [(model.width, numbers) for numbers in (queries, keys, keys)]
    return [*into, (queries, model.width)]
    ### END SOLUTION


def network_matrices(model):
    """The two or three matrices of a block's network, as (rows, columns)."""
    ### BEGIN SOLUTION train-big/accounting optional
    into = [(model.width, model.hidden)] * (2 if model.gated else 1)
    return [*into, (model.hidden, model.width)]
    ### END SOLUTION


def parameters(model):
    """How many numbers the model learns."""

    ### BEGIN SOLUTION train-big/accounting
    def numbers(matrices, bias):
        return sum(rows * columns + (columns if bias else 0) for rows, columns in matrices)

    norm = model.norm_vectors * model.width
    block = numbers(attention_matrices(model), model.attention_bias)
    block += numbers(network_matrices(model), model.network_bias)
    block += model.block_norms * norm
    vectors = model.words + model.positions
    matrix = 0 if model.tied else model.width * model.words
    logits = matrix + (model.words if model.logits_bias else 0)
    return vectors * model.width + model.layers * block + (norm if model.last_norm else 0) + logits
    ### END SOLUTION


def block_operations(model, batch, time):
    """Operations of the forward pass of one block: of its matrices, and of its attention.

    A product of matrices (n, k) and (k, m) takes n k m multiplications and as many additions.
    Attention multiplies every query with every key, also where a mask hides the key. Norms, biases
    and what else is done number by number are not counted.
    """
    ### BEGIN SOLUTION train-big/accounting
    matrices = attention_matrices(model) + network_matrices(model)
    of_matrices = 2 * batch * time * sum(rows * columns for rows, columns in matrices)
    scores_and_sums = 2 * 2 * batch * model.heads * time * time * model.head_width
    return of_matrices + scores_and_sums
    ### END SOLUTION


def training_operations(model, batch, time, checkpointed=False):
    """Operations of one step: forward and backward, of all blocks and the logits.

    The backward pass makes two products of each product of the forward pass, one for each factor.

    Args:
        checkpointed: whether each block runs once more before its backward pass; the logits do not.
    """
    ### BEGIN SOLUTION train-big/accounting
    logits = 2 * batch * time * model.width * model.words
    blocks = model.layers * block_operations(model, batch, time)
    return (4 if checkpointed else 3) * blocks + 3 * logits
    ### END SOLUTION


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
    ### BEGIN SOLUTION train-big/accounting
    part = -(-numbers // ranks)
    optimizer = 12 * (part if stage >= 1 else numbers)
    gradients = 2 * (part if stage >= 2 else numbers)
    weights = 2 * (part if stage >= 3 else numbers)
    return weights + gradients + optimizer
    ### END SOLUTION


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
    ### BEGIN SOLUTION train-big/accounting
    tokens = batch * time
    queries, keys = model.heads * model.head_width, model.key_heads * model.head_width
    features = 2 * tokens * model.width * (model.block_norms + 2)
    masks = 2 * tokens * model.width
    heads = 2 * tokens * (2 * queries + 2 * keys)
    weights = (2 + 2 + 1) * batch * model.heads * time * time
    hidden = 2 * tokens * model.hidden * (4 if model.gated else 2)
    block = features + masks + heads + weights + hidden
    return model.layers * 2 * tokens * model.width + block if checkpointed else model.layers * block
    ### END SOLUTION


def all_reduce_bytes(numbers, ranks):
    """Bytes that a rank sends in a ring all-reduce of so many numbers of 16 bits."""
    ### BEGIN SOLUTION train-big/accounting
    return 2 * (ranks - 1) * -(-numbers // ranks) * 2
    ### END SOLUTION


def gradient_traffic(numbers, ranks, stage=0):
    """Bytes that a rank sends in a step of data-parallel training, in rings, in 16 bits.

    Stage 0 all-reduces the gradients. Stages 1 and 2 reduce-scatter the gradients and all-gather the
    weights. Stage 3 all-gathers the weights twice, forward and backward, and reduce-scatters the
    gradients.
    """
    ### BEGIN SOLUTION train-big/accounting
    one_way = (ranks - 1) * -(-numbers // ranks) * 2  # of an all-gather or a reduce-scatter
    return one_way * (3 if stage == 3 else 2)
    ### END SOLUTION


def tensor_traffic(model, batch, time, ranks):
    """Bytes that a rank sends in a step of tensor-parallel training: all-reduces of (B, T, F).

    In each block one behind attention and one behind the network, forward; backward as many.
    """
    ### BEGIN SOLUTION train-big/accounting
    return model.layers * 4 * all_reduce_bytes(batch * time * model.width, ranks)
    ### END SOLUTION


def pipeline_bubble(stages, micro_batches):
    """The share of the time in which a rank of a pipeline waits, as a Fraction."""
    ### BEGIN SOLUTION train-big/accounting
    return Fraction(stages - 1, micro_batches + stages - 1)
    ### END SOLUTION
