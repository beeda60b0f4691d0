"""Homework 2: transforms, the MNIST data set, the DataLoader.

Run from the homework's folder: `python3 -m pytest tests/hw2/test_data.py -k random_crop`.
"""

import sys
import tempfile
from pathlib import Path

sys.path.append("./python")

import needle as ndl
import numpy as np
import pytest
from course_testing import assert_close, slip
from hw2_modules import write_digits

# ------------------------------------------------------------------------------------------- flips


def image(height=4, width=5, channels=2):
    """Numbers that tell where they stand: row, column, channel."""
    rows, columns, layers = np.ogrid[1 : height + 1, 1 : width + 1, 1 : channels + 1]
    return (100 * rows + 10 * columns + layers).astype("float32")


def mirrored(img):
    desired = np.empty_like(img)
    columns = img.shape[1]
    for column in range(columns):
        desired[:, column, :] = img[:, columns - 1 - column, :]
    desired = slip("rows are exchanged, top and bottom: exchange columns", desired, img[::-1])
    desired = slip("channels are exchanged: exchange columns", desired, img[:, :, ::-1])
    return slip("flips when the draw says not to, and the other way round", desired, img)


def test_flip_horizontal_mirrors_left_and_right():
    flipped = ndl.data.RandomFlipHorizontal(p=1.0)(image())
    desired = mirrored(image())
    assert_close(flipped, desired, problem="hw2/flip_horizontal", dtype="float32")


def test_flip_horizontal_never_at_probability_zero():
    flip = ndl.data.RandomFlipHorizontal(p=0.0)
    for _ in range(10):
        desired = slip("flips although p is 0: with probability p", image(), image()[:, ::-1])
        assert_close(flip(image()), desired, problem="hw2/flip_horizontal")


def test_flip_horizontal_follows_the_random_draws():
    flip = ndl.data.RandomFlipHorizontal(p=0.3)
    np.random.seed(7)
    draws = np.random.rand(50)
    np.random.seed(7)
    for draw in draws:
        desired = image()[:, ::-1, :] if draw < 0.3 else image()
        assert_close(flip(image()), desired, problem="hw2/flip_horizontal")


def test_flip_horizontal_leaves_its_input_alone():
    img = image()
    ndl.data.RandomFlipHorizontal(p=1.0)(img)
    wanted = slip("the image that was given is changed: return another", image(), image()[:, ::-1])
    assert_close(img, wanted, problem="hw2/flip_horizontal", op="the image, afterwards")


def submit_flip_horizontal():
    import mugrade

    rng = mugrade.rng()
    for label, p, shape in (
        ("always", 1, (3, 4, 2)),
        ("half", 0.5, (5, 3, 1)),
        ("never", 0, (2, 3, 1)),
    ):
        flip = ndl.data.RandomFlipHorizontal(p)
        mugrade.submit(np.stack([flip(rng.rand(*shape)) for _ in range(4)]), label=label)
    img = rng.rand(3, 4, 1)
    ndl.data.RandomFlipHorizontal(1.0)(img)
    mugrade.submit(img, label="the image, afterwards")


# ------------------------------------------------------------------------------------------- crops


def moved(img, shift_x, shift_y):
    """What the window sees: entry [i, j] is img[i + shift_x, j + shift_y], or 0 outside."""
    x, y = slip(
        "shift_x moves columns, shift_y rows: it is the other way",
        (shift_x, shift_y),
        (shift_y, shift_x),
    )
    x, y = slip("the image moves by the shifts: move the window", (x, y), (-x, -y))
    x, y = slip("columns do not move: shift_y moves them", (x, y), (x, 0))
    x, y = slip("rows do not move: shift_x moves them", (x, y), (0, y))
    rows, columns, _ = img.shape
    result = np.zeros_like(img)
    for i in range(rows):
        for j in range(columns):
            if 0 <= i + x < rows and 0 <= j + y < columns:
                result[i, j] = img[i + x, j + y]
    edge = np.ix_(
        (np.arange(rows) + x).clip(0, rows - 1), (np.arange(columns) + y).clip(0, columns - 1)
    )
    result = slip("the edge is repeated outside of the image: zeros move in", result, img[edge])
    return slip(
        "what goes out comes in again: zeros move in", result, np.roll(img, (-x, -y), (0, 1))
    )


@pytest.mark.parametrize("padding", [0, 1, 3])
@pytest.mark.parametrize("shape", [(4, 5, 2), (28, 28, 1)], ids=str)
def test_random_crop_moves_the_window_by_rows_and_columns(padding, shape):
    crop = ndl.data.RandomCrop(padding)
    img = image(*shape)
    np.random.seed(3)
    shifts = [np.random.randint(-padding, padding + 1, size=2) for _ in range(20)]
    np.random.seed(3)
    for shift_x, shift_y in shifts:
        desired = moved(img, shift_x, shift_y)
        op = f"shift_x {shift_x}, shift_y {shift_y}"
        assert_close(crop(img), desired, problem="hw2/random_crop", op=op, dtype="float32")
    assert_close(img, image(*shape), problem="hw2/random_crop", op="the image, afterwards")


def test_random_crop_can_move_everything_out_of_sight():
    np.random.seed(0)
    crop = ndl.data.RandomCrop(padding=9)
    seen = [crop(np.ones((2, 2, 1), "float32")).sum() for _ in range(40)]
    assert 0.0 in seen and all(0 <= total <= 4 for total in seen)


def submit_random_crop():
    import mugrade

    rng = mugrade.rng()
    for padding, shape in ((1, (3, 4, 2)), (3, (6, 5, 1))):
        crop = ndl.data.RandomCrop(padding)
        img = rng.rand(*shape)
        mugrade.submit(np.stack([crop(img) for _ in range(4)]), label=f"padding {padding}")


# ------------------------------------------------------------------------------------------- MNIST

TRAIN = ("data/train-images-idx3-ubyte.gz", "data/train-labels-idx1-ubyte.gz")
TEST = ("data/t10k-images-idx3-ubyte.gz", "data/t10k-labels-idx1-ubyte.gz")


@pytest.fixture
def five_images(tmp_path):
    """(image file, label file, pixels (5, 28, 28), labels) of five made-up images."""
    pixels = np.random.RandomState(0).randint(256, size=(5, 28, 28)).astype(np.uint8)
    pixels[0, 0, 0], pixels[0, 0, 1] = 0, 255
    pixels[1] //= 2  # a dark image
    labels = np.array([7, 0, 255, 3, 9], dtype=np.uint8)
    return *write_digits(tmp_path, "five", pixels, labels), pixels, labels


def scaled(pixels):
    """Bytes as numbers from 0 to 1."""
    right = pixels / 255
    right = slip("pixels are not scaled: divide by 255", right, pixels)
    right = slip("pixels are divided by 256: white, 255, is 1", right, pixels / 256)
    largest = pixels.max(axis=(-1, -2), keepdims=True)
    return slip("each image is divided by its own largest pixel: by 255", right, pixels / largest)


def test_mnist_dataset_reads_images_and_labels(five_images):
    images_file, labels_file, pixels, labels = five_images
    dataset = ndl.data.MNISTDataset(images_file, labels_file)
    assert len(dataset) == 5
    for i in range(5):
        img, label = dataset[i]
        wanted, op = scaled(pixels[i]), f"image {i}"
        actual = np.reshape(img, (28, 28))
        assert_close(actual, wanted, problem="hw2/mnist_dataset", op=op, dtype="float32")
        assert int(label) == labels[i], (
            f"hw2/mnist_dataset: label {i} is {label}, expected {labels[i]}: the header has 8 bytes"
        )


@pytest.mark.parametrize("index", [slice(1, 4), np.array([3, 0, 0]), [4, 1]], ids=str)
def test_mnist_dataset_takes_slices_and_arrays_of_indices(five_images, index):
    images_file, labels_file, pixels, labels = five_images
    images, classes = ndl.data.MNISTDataset(images_file, labels_file)[index]
    wanted = pixels[index]
    assert_close(
        np.reshape(images, wanted.shape), wanted / 255, problem="hw2/mnist_dataset", dtype="float32"
    )
    assert_close(classes, labels[index], problem="hw2/mnist_dataset", op="labels")


def test_mnist_dataset_applies_transforms_in_order_at_every_access(five_images):
    images_file, labels_file, pixels, _ = five_images
    seen = []

    def first(img):
        assert img.shape == (28, 28, 1), "a transform is given an image of shape (28, 28, 1)"
        seen.append("first")
        return img + 1

    def second(img):
        seen.append("second")
        return img * 10

    dataset = ndl.data.MNISTDataset(images_file, labels_file, transforms=[first, second])
    for _ in range(2):
        img, _ = dataset[3]
        plain = pixels[3] / 255
        desired = slip("the transforms are not applied", (plain + 1) * 10, plain)
        desired = slip("the last transform comes first", desired, plain * 10 + 1)
        assert_close(np.reshape(img, (28, 28)), desired, problem="hw2/mnist_dataset")
    assert seen == ["first", "second"] * 2


def test_mnist_dataset_transforms_each_image_of_a_slice_by_itself(five_images):
    images_file, labels_file, pixels, _ = five_images
    crop = ndl.data.RandomCrop(padding=2)
    dataset = ndl.data.MNISTDataset(images_file, labels_file, transforms=[crop])
    np.random.seed(1)
    images, _ = dataset[1:4]
    np.random.seed(1)
    for number, (img, wanted) in enumerate(zip(images, pixels[1:4])):
        plain = (wanted / 255).reshape(28, 28, 1)
        desired = crop(plain)
        desired = slip(
            "only the first image of a slice is transformed", desired, [desired, plain][number > 0]
        )
        desired = slip("images of a slice are not transformed", desired, plain)
        assert_close(np.reshape(img, (28, 28, 1)), desired, problem="hw2/mnist_dataset")


def test_mnist_dataset_draws_anew_at_every_access(five_images):
    images_file, labels_file, pixels, _ = five_images
    crop = ndl.data.RandomCrop(padding=5)
    dataset = ndl.data.MNISTDataset(images_file, labels_file, transforms=[crop])
    np.random.seed(1)
    seen = [dataset[2][0] for _ in range(4)]
    np.random.seed(1)
    desired = None
    for img in seen:
        before, desired = desired, crop((pixels[2] / 255).reshape(28, 28, 1))
        if before is not None:
            desired = slip("transformed once and kept: at every access anew", desired, before)
        assert_close(np.reshape(img, (28, 28, 1)), desired, problem="hw2/mnist_dataset")


def test_mnist_dataset_of_the_digits():
    for files in (TRAIN, TEST):
        dataset = ndl.data.MNISTDataset(*files)
        images, labels = dataset[:1000]
        assert len(dataset) >= 1000 and images.dtype == np.float32
        assert images.min() == 0.0 and images.max() == 1.0
        assert set(np.unique(labels)) == set(range(10))


def submit_mnist_dataset():
    import mugrade

    rng = mugrade.rng()
    dataset = ndl.data.MNISTDataset(*TRAIN)
    flipped = ndl.data.MNISTDataset(*TEST, transforms=[ndl.data.RandomFlipHorizontal(1.0)])
    for label, data in (("training images", dataset), ("mirrored test images", flipped)):
        chosen = rng.randint(len(data), size=6)
        images = [np.reshape(data[int(i)][0], (28, 28)) for i in chosen]
        weights = np.arange(28.0)
        mugrade.submit(np.array([img @ weights for img in images]), label=label)
        mugrade.submit(np.array([int(data[int(i)][1]) for i in chosen]), label=f"{label}: labels")
    crop = ndl.data.RandomCrop(3)
    with tempfile.TemporaryDirectory() as folder:
        files = write_digits(
            Path(folder), "dark", rng.randint(99, size=(7, 28, 28)), rng.randint(9, size=7)
        )
        dark = ndl.data.MNISTDataset(*files)
        mugrade.submit(np.reshape(dark[3][0], (28, 28))[::3], label="a dark image")
        moved = ndl.data.MNISTDataset(*files, transforms=[crop])
        mugrade.submit(
            np.array([img.sum() for img in moved[1:5][0]]), label="a slice, each image moved"
        )
        twice = [np.reshape(moved[2][0], (28, 28))[::5, ::5] for _ in range(3)]
        mugrade.submit(np.stack(twice), label="an image moved three times")


# -------------------------------------------------------------------------------------- DataLoader


def pairs(n=10):
    X = np.arange(3 * n, dtype="float32").reshape(n, 3)
    return ndl.data.NDArrayDataset(X, np.arange(n, dtype="uint8")), X


@pytest.mark.parametrize(
    "batch_size, sizes", [(1, [1] * 10), (4, [4, 4, 2]), (5, [5, 5]), (99, [10])]
)
def test_dataloader_makes_batches_in_order(batch_size, sizes):
    dataset, X = pairs()
    batches = list(ndl.data.DataLoader(dataset, batch_size))
    for batch in batches:
        assert all(isinstance(part, ndl.Tensor) for part in batch), (
            f"hw2/dataloader: a field of a batch is a {type(batch[0]).__name__}: make Tensors"
        )
    whole = [size for size in sizes if size == batch_size]
    sizes = slip("the last batch is left out: it is shorter, and counts", sizes, whole)
    assert [len(labels.numpy()) for _, labels in batches] == sizes, (
        f"hw2/dataloader: batches of {[len(labels.numpy()) for _, labels in batches]} samples, expected {sizes}"
    )
    problem = "hw2/dataloader"
    images = np.concatenate([images.numpy() for images, _ in batches] or [X[:0]])
    labels = np.concatenate([labels.numpy() for _, labels in batches] or [X[:0, 0]])
    wanted = np.arange(sum(sizes))
    X = X[: sum(sizes)]
    assert_close(images, X, problem=problem, op="images", dtype="float32")
    assert_close(labels, wanted, problem=problem, op="labels", dtype="uint8")


def test_dataloader_gives_a_tuple_of_tensors_also_for_one_field():
    loader = ndl.data.DataLoader(ndl.data.NDArrayDataset(np.arange(6.0)), batch_size=4)
    batches = list(loader)
    for batch, desired in zip(batches, ([0.0, 1.0, 2.0, 3.0], [4.0, 5.0])):
        assert isinstance(batch, (tuple, list)) and len(batch) == 1, (
            f"hw2/dataloader: a batch of one field is a {type(batch).__name__}: a tuple of one Tensor"
        )
        assert isinstance(batch[0], ndl.Tensor), (
            f"hw2/dataloader: a field of a batch is a {type(batch[0]).__name__}: make Tensors"
        )
        assert_close(batch[0], np.array(desired), problem="hw2/dataloader", dtype="float64")
    assert len(batches) == 2


def test_dataloader_can_be_used_again():
    loader = ndl.data.DataLoader(pairs()[0], batch_size=3)
    first, second = ([labels.numpy().tolist() for _, labels in loader] for _ in range(2))
    assert first == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]], (
        f"hw2/dataloader: the labels of batches of 3 are {first}"
    )
    assert second == first, (
        f"hw2/dataloader: a second iteration gives {second}: begin anew in __iter__"
    )


def test_dataloader_starts_anew_after_an_unfinished_iteration():
    loader = ndl.data.DataLoader(pairs()[0], batch_size=3)
    next(iter(loader))
    again = next(iter(loader))[1].numpy().tolist()
    assert again == [0, 1, 2], (
        f"hw2/dataloader: a new iteration goes on with {again}: it begins anew in __iter__"
    )


def test_dataloader_stops():
    iterator = iter(ndl.data.DataLoader(pairs()[0], batch_size=10))
    next(iterator)
    with pytest.raises(StopIteration):
        next(iterator)


def test_dataloader_shuffles_anew_in_every_iteration():
    dataset, X = pairs(20)
    loader = ndl.data.DataLoader(dataset, batch_size=6, shuffle=True)
    np.random.seed(5)
    orders = [np.random.permutation(20) for _ in range(3)]
    np.random.seed(5)
    first = orders[0]
    for order in orders:
        order = slip("shuffled once: a new order in every iteration", order, first)
        order = slip("not shuffled", order, np.arange(20))
        batches = list(loader)
        labels = np.concatenate([labels.numpy() for _, labels in batches])
        images = np.concatenate([images.numpy() for images, _ in batches])
        assert_close(labels, order, problem="hw2/dataloader", op="the shuffled order")
        assert_close(images, X[order], problem="hw2/dataloader", op="images beside their labels")
        assert [len(labels.numpy()) for _, labels in batches] == [6, 6, 6, 2]


def test_dataloader_draws_nothing_when_it_does_not_shuffle():
    np.random.seed(5)
    expected = np.random.rand()
    np.random.seed(5)
    list(ndl.data.DataLoader(pairs()[0], batch_size=3))
    assert np.random.rand() == expected, (
        "hw2/dataloader: random numbers are drawn without shuffling: draw none"
    )


def test_dataloader_applies_transforms_at_every_access():
    calls = []

    def count(img):
        calls.append(1)
        return img

    dataset = ndl.data.MNISTDataset(*TEST, transforms=[count])
    dataset.__class__ = type("First12", (ndl.data.MNISTDataset,), {"__len__": lambda self: 12})
    loader = ndl.data.DataLoader(dataset, batch_size=5)
    for times in (1, 2):
        images = [images.numpy() for images, _ in loader]
        assert len(calls) == 12 * times
    plain, _ = ndl.data.MNISTDataset(*TEST)[:12]
    actual = np.concatenate([batch.reshape(len(batch), 784) for batch in images])
    assert_close(actual, plain.reshape(12, 784), problem="hw2/dataloader", dtype="float32")


def submit_dataloader():
    import mugrade

    rng = mugrade.rng()
    dataset = ndl.data.NDArrayDataset(rng.rand(11, 3), rng.randint(5, size=11))
    for label, size, shuffle in (("in order", 4, False), ("shuffled", 3, True), ("all", 50, True)):
        loader = ndl.data.DataLoader(dataset, size, shuffle)
        batches = [[part.numpy() for part in batch] for _ in range(2) for batch in loader]
        mugrade.submit(batches, label=label)
    single = ndl.data.DataLoader(ndl.data.NDArrayDataset(rng.rand(5)), 2)
    fields = [[part.numpy() for part in batch] for batch in single]
    mugrade.submit(fields, label="batches of one field")
