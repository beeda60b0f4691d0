"""The networks of the benchmarks in PyTorch's own layers, made in the same order as needle's."""

import torch
from torch import nn


def mlp_resnet(hidden):
    """Homework 2's, with three blocks."""

    def block(dim, hidden):
        return nn.Sequential(
            nn.Linear(dim, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Linear(hidden, dim),
            nn.BatchNorm1d(dim),
        )

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(784, hidden), nn.Linear(hidden, 10)
            self.blocks = nn.ModuleList(block(hidden, hidden // 2) for _ in range(3))

        def forward(self, x):
            x = torch.relu(self.first(x))
            for block in self.blocks:
                x = torch.relu(x + block(x))
            return self.last(x)

    return Model()


def resnet9():
    def block(a, b, k, s):
        return nn.Sequential(nn.Conv2d(a, b, k, s, k // 2), nn.BatchNorm2d(b), nn.ReLU())

    class Residual(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.fn = nn.Sequential(
                block(channels, channels, 3, 1), block(channels, channels, 3, 1)
            )

        def forward(self, x):
            return self.fn(x) + x

    return nn.Sequential(
        block(3, 16, 7, 4),
        block(16, 32, 3, 2),
        Residual(32),
        block(32, 64, 3, 2),
        block(64, 128, 3, 2),
        Residual(128),
        nn.Flatten(),
        nn.Linear(128, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def lstm_lm():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(10000, 128)
            self.lstm = nn.LSTM(128, 256)
            self.linear = nn.Linear(256, 10000)

        def forward(self, x, h):
            out, h = self.lstm(self.embedding(x), h)
            return self.linear(out.reshape(-1, 256)), h

    return Model()


def transformer_lm():
    class Layer(nn.Module):
        def __init__(self, features=128, heads=8, dim=32, hidden=64):
            super().__init__()
            self.heads, inner = heads, heads * dim
            self.norms = nn.ModuleList(nn.LayerNorm(features) for _ in range(3))
            self.q, self.k, self.v = (nn.Linear(features, inner, bias=False) for _ in range(3))
            self.out = nn.Linear(inner, features, bias=False)
            self.norm = nn.LayerNorm(features)
            self.up, self.down = nn.Linear(features, hidden), nn.Linear(hidden, features)

        def forward(self, x):
            B, T, _ = x.shape
            q, k, v = (
                project(norm(x)).reshape(B, T, self.heads, -1).transpose(1, 2)
                for project, norm in zip((self.q, self.k, self.v), self.norms)
            )
            a = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(a.transpose(1, 2).reshape(B, T, -1))
            return x + self.down(torch.relu(self.up(self.norm(x))))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.positions = nn.Embedding(10000, 128), nn.Embedding(40, 128)
            self.layers = nn.Sequential(Layer(), Layer())
            self.linear = nn.Linear(128, 10000)

        def forward(self, x):
            x = self.embedding(x).transpose(0, 1)
            x = self.layers(x + self.positions(torch.arange(x.shape[1])))
            return self.linear(x.transpose(0, 1).reshape(-1, 128))

    return Model()
