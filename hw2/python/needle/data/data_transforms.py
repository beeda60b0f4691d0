"""Random changes of an image that leave its label true. Images are (H, W, C) NumPy arrays."""

import numpy as np


class Transform:
    """A function from image to image."""

    def __call__(self, img):
        raise NotImplementedError(f"{type(self).__name__} has no __call__(self, img)")


class RandomFlipHorizontal(Transform):
    """With probability `p` the image is mirrored: left becomes right."""

    def __init__(self, p=0.5):
        self.p = p

    def __call__(self, img):
        """(H, W, C) -> (H, W, C)."""
        flip_img = np.random.rand() < self.p
        ### BEGIN YOUR SOLUTION hw2/flip_horizontal
        raise NotImplementedError("hw2/flip_horizontal: RandomFlipHorizontal.__call__ is yours to write")
        ### END YOUR SOLUTION


class RandomCrop(Transform):
    """A window of the image's own size on the image with `padding` zeros on each side."""

    def __init__(self, padding=3):
        self.padding = padding

    def __call__(self, img):
        """(H, W, C) -> (H, W, C): moved by shift_x rows and shift_y columns, zeros moving in."""
        shift_x, shift_y = np.random.randint(low=-self.padding, high=self.padding + 1, size=2)
        ### BEGIN YOUR SOLUTION hw2/random_crop
        raise NotImplementedError("hw2/random_crop: RandomCrop.__call__ is yours to write")
        ### END YOUR SOLUTION
