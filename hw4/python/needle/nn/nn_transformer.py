"""The Transformer: attention, and layers made of it.

Shapes: B batch, T time (queries), S time (keys and values), H heads, D features of a head,
F features of a token. Tokens are (B, T, F); what attention works on is (B, H, T, D).

Source: Vaswani et al., "Attention Is All You Need", 2017, with the norm before each block.
"""

import math

import numpy as np

from .. import init, ops
from ..autograd import Tensor
from .nn_basic import Dropout, LayerNorm1d, Linear, Module, ReLU, Sequential
from .nn_sequence import Embedding


class MultiHeadAttention(Module):
    """softmax(q k^T / sqrt(D)) v for each head. It has no parameters.

    Args:
        dropout: probability with which an attention weight is dropped while training.
        causal: whether a query may only look at keys up to its own time.
    """

    def __init__(self, *, dropout=0.0, causal=False, device=None, dtype="float32"):
        super().__init__()
        self.device, self.dtype = device, dtype
        self.causal = causal
        self.dropout = Dropout(dropout)

    def create_causal_mask(self, i, j, device):
        """(1, 1, i, j): 0 where a query may look, minus the largest float32 where it may not.

        The last of the i queries sees all j keys, the one before it all but the last, and so on.
        """
        return ops.causal_mask(i, j, device).realize_cached_data()

    def matmul(self, a, b_transpose):
        """a (B, H, T, D) times the transpose of b_transpose (B, H, S, D) -> (B, H, T, S)."""
        return a @ b_transpose.transpose()

    def softmax(self, logit):
        """(B, H, T, S), softmax over S."""
        return ops.softmax(logit)

    def forward(self, q, k, v):
        """q (B, H, T, D), k and v (B, H, S, D).

        Returns:
            (result, probs): (B, H, T, D), and the attention weights as they were applied to v,
            after dropout, (B, H, T, S).
        """
        *heads, _, dim = q.shape
        assert k.shape == v.shape == (*heads, max(1, k.shape[2]), dim), (
            f"q (B, H, T, D) and k, v (B, H, S > 0, D) do not fit: {q.shape}, {k.shape}, {v.shape}"
        )
        ### BEGIN YOUR SOLUTION hw4/attention_activation
        raise NotImplementedError("hw4/attention_activation: MultiHeadAttention.forward is yours to write")
        ### END YOUR SOLUTION


class AttentionLayer(Module):
    """Attention between tokens: normalize, project to heads, attend, project back.

    Args:
        q_features, k_features, v_features: features of the tokens; those of k and v default to q's.
        num_head, dim_head: H and D.
        out_features: default q_features.
        dropout, causal: as in MultiHeadAttention.
    """

    def __init__(self, q_features, num_head, dim_head, *, k_features=None, v_features=None,
                 out_features=None, dropout=0.0, causal=True, device=None, dtype="float32"):  # fmt: skip
        super().__init__()
        self.device, self.dtype = device, dtype
        self.num_head, self.dim_head = num_head, dim_head
        self.out_features = out_features or q_features
        k_features = k_features or q_features
        v_features = v_features or q_features

        made_on = {"device": device, "dtype": dtype}
        inner = num_head * dim_head
        self.prenorm_q = LayerNorm1d(q_features, **made_on)
        self.prenorm_k = LayerNorm1d(k_features, **made_on)
        self.prenorm_v = LayerNorm1d(v_features, **made_on)
        self.q_projection = Linear(q_features, inner, bias=False, **made_on)
        self.k_projection = Linear(k_features, inner, bias=False, **made_on)
        self.v_projection = Linear(v_features, inner, bias=False, **made_on)
        self.attn = MultiHeadAttention(dropout=dropout, causal=causal, **made_on)
        self.out_projection = Linear(inner, self.out_features, bias=False, **made_on)

    def forward(self, q, k=None, v=None):
        """q (B, T, F), k and v (B, S, F'), default q -> (B, T, out_features)."""
        k = q if k is None else k
        v = q if v is None else v

        ### BEGIN YOUR SOLUTION hw4/attention_layer
        raise NotImplementedError("hw4/attention_layer: AttentionLayer.forward is yours to write")
        ### END YOUR SOLUTION


class TransformerLayer(Module):
    """Attention, then a two-layer network on each token, both with dropout and added to x.

    x = x + drop(attention(x));   x = x + drop(linear2(drop(relu(linear1(norm(x))))))

    Args:
        q_features: F.
        num_head, dim_head, dropout, causal: as in AttentionLayer.
        hidden_size: width between the two linear layers, which both have a bias.

    The attention layer is made first, then the norm, then the two linear layers.
    """

    def __init__(self, q_features, num_head, dim_head, hidden_size, *, dropout=0.0, causal=True,
                 device=None, dtype="float32"):  # fmt: skip
        super().__init__()
        self.device, self.dtype = device, dtype
        ### BEGIN YOUR SOLUTION hw4/transformer_layer
        raise NotImplementedError("hw4/transformer_layer: TransformerLayer.__init__ is yours to write")
        ### END YOUR SOLUTION

    def forward(self, x):
        """(B, T, F) -> (B, T, F)."""
        ### BEGIN YOUR SOLUTION hw4/transformer_layer
        raise NotImplementedError("hw4/transformer_layer: TransformerLayer.forward is yours to write")
        ### END YOUR SOLUTION


class Transformer(Module):
    """A stack of TransformerLayers over tokens to which their position is added.

    Args:
        embedding_size: F.
        hidden_size, num_head, dim_head, dropout, causal: as in TransformerLayer.
        num_layers: how many layers.
        batch_first: whether input and output are (B, T, F) or (T, B, F).
        sequence_len: the largest T; each position up to it has a learned vector.

    The embedding of positions is made first, then the layers.
    """

    def __init__(self, embedding_size, hidden_size, num_layers, *, num_head=8, dim_head=32,
                 dropout=0.0, causal=True, device=None, dtype="float32", batch_first=False,
                 sequence_len=2048):  # fmt: skip
        super().__init__()
        self.device, self.dtype = device, dtype
        self.batch_first, self.sequence_len = batch_first, sequence_len
        ### BEGIN YOUR SOLUTION hw4/transformer_model
        raise NotImplementedError("hw4/transformer_model: Transformer.__init__ is yours to write")
        ### END YOUR SOLUTION

    def forward(self, x, h=None):
        """Tokens (T, B, F), or (B, T, F) with batch_first -> (tokens of the same shape, zeros).

        The second result stands where a recurrent network returns its state; `h` is not used.
        """
        x = x if self.batch_first else x.transpose((0, 1))
        batch, time, _ = x.shape
        if time > self.sequence_len:
            limit = f"sequence_len={self.sequence_len}"
            raise ValueError(f"{time} tokens are more than the {limit}: cut the sequence")
        ### BEGIN YOUR SOLUTION hw4/transformer_model
        raise NotImplementedError("hw4/transformer_model: Transformer.forward is yours to write")
        ### END YOUR SOLUTION
        x = x if self.batch_first else x.transpose((0, 1))
        return x, init.zeros_like(x)
