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
        ### BEGIN SOLUTION hw2/flip_horizontal
        return img[:, ::-1, :] if flip_img else img
        ### END SOLUTION


class RandomCrop(Transform):
    """A window of the image's own size on the image with `padding` zeros on each side."""

    def __init__(self, padding=3):
        self.padding = padding

    def __call__(self, img):
        """(H, W, C) -> (H, W, C): moved by shift_x rows and shift_y columns, zeros moving in."""
        shift_x, shift_y = np.random.randint(low=-self.padding, high=self.padding + 1, size=2)
        ### BEGIN SOLUTION hw2/random_crop
        height, width, _ = img.shape
        padded = np.pad(img, ((self.padding, self.padding), (self.padding, self.padding), (0, 0)))
        top, left = self.padding + shift_x, self.padding + shift_y
        return padded[top : top + height, left : left + width, :]
        ### END SOLUTION
