"""Layers for images. Images are (N, C, H, W) out here and (N, H, W, C) inside the operators."""

import math

from .. import init, ops
from .nn_basic import BatchNorm1d, Module, Parameter


class BatchNorm2d(BatchNorm1d):
    """Batch normalization of each channel, over the batch and all pixels: (N, C, H, W)."""

    def forward(self, x):
        return self.normalized(x, ops.batch_norm2d)


class Conv(Module):
    """Convolution with a square kernel, padded so that stride 1 and odd kernels keep the size.

    Args:
        in_channels, out_channels: C and O.
        kernel_size: K, odd for the size to be kept; of a pair the first is taken.
        stride: distance of neighbouring windows; of a pair the first is taken.
        bias: whether a number is added for each output channel.

    Parameters, drawn in this order:
        weight: (K, K, C, O), kaiming_uniform with fan_in C*K*K and fan_out O*K*K.
        bias: (O,), uniform on [-b, b] with b = 1 / sqrt(C*K*K).

    Input (N, C, H, W), output (N, O, H', W') with H' = (H + 2*(K//2) - K) // stride + 1.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, bias=True, device=None,
                 dtype="float32"):  # fmt: skip
        super().__init__()
        kernel_size, stride = (n[0] if isinstance(n, tuple) else n for n in (kernel_size, stride))
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride = kernel_size, stride

        ### BEGIN SOLUTION hw4/conv_forward
        self.padding = kernel_size // 2
        fan_in, fan_out = in_channels * kernel_size**2, out_channels * kernel_size**2
        shape = (kernel_size, kernel_size, in_channels, out_channels)
        weight = init.kaiming_uniform(fan_in, fan_out, shape=shape, device=device, dtype=dtype)
        self.weight = Parameter(weight)
        self.bias = None
        if bias:
            b = 1 / math.sqrt(fan_in)
            self.bias = Parameter(
                init.rand(out_channels, low=-b, high=b, device=device, dtype=dtype)
            )
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION hw4/conv_forward
        return ops.conv2d(x, self.weight, self.bias, stride=self.stride, padding=self.padding)
        ### END SOLUTION
