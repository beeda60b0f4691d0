"""The networks of homework 4: ResNet9 for images, LanguageModel for text."""

import os
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))

import numpy as np

from needle import nn

np.random.seed(0)


class ConvBN(nn.Sequential):
    """Convolution, batch normalization, ReLU: (N, a, H, W) -> (N, b, H / stride, W / stride)."""

    def __init__(self, a, b, kernel_size, stride, device=None, dtype="float32"):
        made_on = {"device": device, "dtype": dtype}
        super().__init__(
            nn.Conv(a, b, kernel_size, stride, **made_on),
            nn.BatchNorm2d(b, **made_on),
            nn.ReLU(),
        )


class ResNet9(nn.Module):
    """A small residual network for images (N, 3, 32, 32) -> logits (N, 10)."""

    def __init__(self, device=None, dtype="float32"):
        super().__init__()
        ### BEGIN YOUR SOLUTION hw4/resnet9
        raise NotImplementedError("hw4/resnet9: ResNet9.__init__ is yours to write")
        ### END YOUR SOLUTION

    def forward(self, x):
        ### BEGIN YOUR SOLUTION hw4/resnet9
        raise NotImplementedError("hw4/resnet9: ResNet9.forward is yours to write")
        ### END YOUR SOLUTION


class LanguageModel(nn.Module):
    """The next word from the words before it: ids (T, B) -> logits (T * B, output_size).

    Args:
        embedding_size: features of a word.
        output_size: number of words in the dictionary.
        hidden_size: width of the sequence model.
        num_layers: layers of the sequence model.
        seq_model: "rnn", "lstm" or "transformer".
        seq_len: longest sequence that a Transformer will see; the others take any.

    Parts, made in this order: an Embedding, the sequence model, a Linear layer to logits.
    """

    def __init__(
        self,
        embedding_size,
        output_size,
        hidden_size,
        num_layers=1,
        seq_model="rnn",
        seq_len=40,
        device=None,
        dtype="float32",
    ):
        super().__init__()
        if seq_model not in ("rnn", "lstm", "transformer"):
            raise ValueError(f"seq_model must be 'rnn', 'lstm' or 'transformer', got {seq_model!r}")
        self.output_size = output_size
        ### BEGIN YOUR SOLUTION hw4/language_model
        raise NotImplementedError("hw4/language_model: LanguageModel.__init__ is yours to write")
        ### END YOUR SOLUTION

    def forward(self, x, h=None):
        """Ids (T, B) and the state h of the sequence model, None at the start of a text.

        Returns:
            (logits, h): (T * B, output_size), row by row of x; and the state after the last word.
        """
        ### BEGIN YOUR SOLUTION hw4/language_model
        raise NotImplementedError("hw4/language_model: LanguageModel.forward is yours to write")
        ### END YOUR SOLUTION
