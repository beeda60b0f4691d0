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
        ### BEGIN SOLUTION hw4/resnet9
        made_on = {"device": device, "dtype": dtype}

        def block(a, b, kernel_size, stride):
            return ConvBN(a, b, kernel_size, stride, **made_on)

        def residual(channels):
            return nn.Residual(
                nn.Sequential(block(channels, channels, 3, 1), block(channels, channels, 3, 1))
            )

        self.model = nn.Sequential(
            block(3, 16, 7, 4),
            block(16, 32, 3, 2),
            residual(32),
            block(32, 64, 3, 2),
            block(64, 128, 3, 2),
            residual(128),
            nn.Flatten(),
            nn.Linear(128, 128, **made_on),
            nn.ReLU(),
            nn.Linear(128, 10, **made_on),
        )
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION hw4/resnet9
        return self.model(x)
        ### END SOLUTION


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
        ### BEGIN SOLUTION hw4/language_model
        made_on = {"device": device, "dtype": dtype}
        self.embedding = nn.Embedding(output_size, embedding_size, **made_on)
        if seq_model == "transformer":
            self.seq_model = nn.Transformer(
                embedding_size, hidden_size, num_layers, sequence_len=seq_len, **made_on
            )
            features = embedding_size
        else:
            kind = nn.RNN if seq_model == "rnn" else nn.LSTM
            self.seq_model = kind(embedding_size, hidden_size, num_layers, **made_on)
            features = hidden_size
        self.linear = nn.Linear(features, output_size, **made_on)
        ### END SOLUTION

    def forward(self, x, h=None):
        """Ids (T, B) and the state h of the sequence model, None at the start of a text.

        Returns:
            (logits, h): (T * B, output_size), row by row of x; and the state after the last word.
        """
        ### BEGIN SOLUTION hw4/language_model
        out, h = self.seq_model(self.embedding(x), h)
        T, B, features = out.shape
        return self.linear(out.reshape((T * B, features))), h
        ### END SOLUTION
