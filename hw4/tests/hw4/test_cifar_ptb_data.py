"""Homework 4: the data sets CIFAR-10 (images) and Penn Treebank (text).

The files are written here, small and in the true formats: no download is needed.
"""

import os
import pickle
from functools import partial

import numpy as np
import pytest
from course_testing import assert_close, slip
from hw4_oracles import GRADED_DEVICE, every_device, ndl

cifar = {"problem": "hw4/cifar10"}
ptb = {"problem": "hw4/ptb"}

# ------------------------------------------------------------------------------------- CIFAR-10


def write_batch(path, rows, seed):
    """A file as CIFAR-10 has them. -> (pixels, labels)."""
    random = np.random.RandomState(seed)
    pixels = random.randint(0, 256, (rows, 3072)).astype("uint8")
    labels = [int(label) for label in random.randint(0, 10, rows)]
    with open(path, "wb") as file:
        pickle.dump({b"data": pixels, b"labels": labels, b"batch_label": b"x"}, file, protocol=2)
    return pixels, labels


@pytest.fixture
def folder(tmp_path):
    """Five training files of different sizes and a test file."""
    for k in range(1, 6):
        write_batch(tmp_path / f"data_batch_{k}", 3 + k, seed=k)
    write_batch(tmp_path / "test_batch", 4, seed=6)
    return tmp_path


def batches_of(folder, names):
    """(pixels (n, 3072), labels (n,)) of some files."""
    parts = []
    for name in names:
        with open(folder / name, "rb") as file:
            parts.append(pickle.load(file, encoding="bytes"))
    pixels = np.concatenate([part[b"data"] for part in parts])
    return pixels, np.concatenate([part[b"labels"] for part in parts])


TRAIN = [f"data_batch_{k}" for k in range(1, 6)]


@pytest.mark.parametrize("train", [True, False], ids=["train", "test"])
def test_cifar10_length(folder, train):
    dataset = ndl.data.CIFAR10Dataset(str(folder), train=train)
    assert len(dataset) == (30 if train else 4)


@pytest.mark.parametrize("train", [True, False], ids=["train", "test"])
def test_cifar10_images_and_labels(folder, train):
    dataset = ndl.data.CIFAR10Dataset(str(folder), train=train)
    pixels, labels = batches_of(folder, TRAIN if train else ["test_batch"])
    assert dataset.X.shape == (len(pixels), 3, 32, 32)
    _, first = batches_of(folder, TRAIN[:1] if train else ["test_batch"])
    again = np.resize(first, len(labels))
    labels = slip("the labels of the first file, again and again", labels, again)
    assert_close(dataset.y, labels, op="y", **cifar)
    for k in (0, len(pixels) - 1):
        image, label = dataset[k]
        assert image.shape == (3, 32, 32) and label == labels[k]
        planes = pixels[k].reshape(3, 32, 32) / 255.0
        last = pixels[k].reshape(32, 32, 3).transpose(2, 0, 1) / 255
        planes = slip("the file is read as pixels of three colours: it holds planes", planes, last)
        turned = planes.swapaxes(1, 2)
        planes = slip("rows and columns are exchanged: a plane is row by row", planes, turned)
        planes = slip("divided by 256: white, 255, is 1", planes, planes * 255 / 256)
        planes = slip("pixels are not scaled: divide by 255", planes, planes * 255)
        assert_close(image, planes, op=f"image {k}", dtype="float32", **cifar)


def test_cifar10_planes_are_red_green_blue_rows_from_the_top(folder):
    pixels = np.zeros((1, 3072), "uint8")
    pixels[0, 1024 + 32 * 5 + 7] = 255  # green, row 5, column 7
    with open(folder / "test_batch", "wb") as file:
        pickle.dump({b"data": pixels, b"labels": [3]}, file, protocol=2)
    image, label = ndl.data.CIFAR10Dataset(str(folder), train=False)[0]
    assert image[1, 5, 7] == 1 and image.sum() == 1 and label == 3


def test_cifar10_array_of_indices_and_slice(folder):
    dataset = ndl.data.CIFAR10Dataset(str(folder), train=True)
    for index in (np.array([4, 0, 29]), slice(2, 9, 3)):
        images, labels = dataset[index]
        assert_close(images, dataset.X[index], op="images", **cifar)
        assert_close(labels, dataset.y[index], op="labels", **cifar)


def test_cifar10_transforms_see_rows_columns_channels(folder):
    """And run at every access."""
    seen = []

    def darken_left_column(image):
        seen.append(image.shape)
        image = image.copy()
        image[:, 0, :] = 0
        return image

    dataset = ndl.data.CIFAR10Dataset(str(folder), train=False, transforms=[darken_left_column])
    image, _ = dataset[1]
    desired = dataset.X[1].copy()
    desired[:, :, 0] = 0
    in_file_order = dataset.X[1].copy()
    in_file_order[:, 0, :] = 0
    name = "transforms are given (3, 32, 32): rows, columns, channels, (32, 32, 3)"
    desired = slip(name, desired, in_file_order)
    assert_close(image, desired, op="image after a transform", **cifar)
    images, _ = dataset[np.array([0, 1])]
    assert images.shape == (2, 3, 32, 32)
    assert_close(images[1], desired, op="images after a transform", **cifar)
    assert seen == [(32, 32, 3)] * 3


@pytest.mark.parametrize("train", [True, False], ids=["train", "test"])
def test_cifar10_batches(folder, train):
    dataset = ndl.data.CIFAR10Dataset(str(folder), train=train)
    loader = ndl.data.DataLoader(dataset, batch_size=7)
    position = 0
    for X, y in loader:
        rows = slice(position, position + X.shape[0])
        assert isinstance(X, ndl.Tensor) and isinstance(y, ndl.Tensor)
        assert isinstance(X.cached_data, ndl.NDArray)
        assert_close(X, dataset.X[rows], op="images of a batch", dtype="float32", **cifar)
        assert_close(y, dataset.y[rows].astype(y.numpy().dtype), op="labels of a batch", **cifar)
        position += X.shape[0]
    assert position == len(dataset)


@pytest.mark.parametrize("damage", ["missing", "cut", "noise", "empty", "too few labels", "code"])
def test_cifar10_damaged_file_is_one_clear_sentence(folder, damage):
    path = folder / "data_batch_3"
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "noise":
        path.write_bytes(np.random.RandomState(0).bytes(2000))
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "too few labels":
        with open(path, "wb") as file:
            pickle.dump({b"data": np.zeros((3, 3072), "uint8"), b"labels": [1]}, file, protocol=2)
    elif damage == "code":
        with open(path, "wb") as file:
            pickle.dump({b"data": np.zeros((1, 3072), "uint8"), b"labels": os.getcwd}, file)
    kind = FileNotFoundError if damage == "missing" else ValueError
    with pytest.raises(kind) as failure:
        ndl.data.CIFAR10Dataset(str(folder), train=True)
    text = str(failure.value)
    assert "data_batch_3" in text and "hw data" in text and "\n" not in text


# --------------------------------------------------------------------------------- Penn Treebank

TEXT = {
    "train.txt": " the cat sat on the mat \n the dog sat \n\n a bird flew over the N mats \n",
    "test.txt": " a dog sat on the bird \n the <unk> flew \n",
}
EOS = "<eos>"


@pytest.fixture
def texts(tmp_path):
    for name, text in TEXT.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def words_of(name, max_lines=None):
    words = []
    for line in TEXT[name].split("\n")[:-1][:max_lines]:
        words += [*line.split(), EOS]
    without = [word for word in words if word != EOS]
    return slip("<eos> is missing: each line, empty ones too, ends with it", words, without)


def test_ptb_dictionary():
    dictionary = ndl.data.Dictionary()
    assert len(dictionary) == 0
    ids = [dictionary.add_word(word) for word in ["b", "a", "b", "c", "a"]]
    wanted = slip("ids begin at 1: at 0", [0, 1, 0, 2, 1], [1, 2, 1, 3, 2])
    wanted = slip("a word that is known gets another id", wanted, [0, 1, 2, 3, 4])
    assert_close(ids, wanted, op="the ids of the words b, a, b, c, a", **ptb)
    assert len(dictionary) == 3
    assert dictionary.idx2word == ["b", "a", "c"]
    assert dictionary.word2idx == {"b": 0, "a": 1, "c": 2}


@pytest.mark.parametrize("max_lines", [None, 1, 2, 3])
def test_ptb_corpus(texts, max_lines):
    corpus = ndl.data.Corpus(str(texts), max_lines=max_lines)
    for name, ids in (("train.txt", corpus.train), ("test.txt", corpus.test)):
        words = [corpus.dictionary.idx2word[k] for k in ids]
        wanted = words_of(name, max_lines)
        assert words == wanted, f"hw4/ptb: the words of {name} are {words}, expected {wanted}"
    every = words_of("train.txt", max_lines) + words_of("test.txt", max_lines)
    name = "<eos> is the first word of the dictionary: it comes when the first line ends"
    in_order = dict.fromkeys(slip(name, every, [EOS, *every]))
    known = corpus.dictionary.idx2word
    assert known == list(in_order), f"hw4/ptb: the dictionary is {known}, expected {list(in_order)}"
    assert len(corpus.dictionary) == len(in_order)


def test_ptb_tokenize_adds_to_the_dictionary(texts):
    corpus = ndl.data.Corpus(str(texts))
    before = len(corpus.dictionary)
    (texts / "more.txt").write_text("the zebra sat\n", encoding="utf-8")
    ids = corpus.tokenize(str(texts / "more.txt"))
    assert len(corpus.dictionary) == before + 1
    assert [corpus.dictionary.idx2word[k] for k in ids] == ["the", "zebra", "sat", EOS]


@pytest.mark.parametrize("batch_size", [1, 3, 4, 15, 26])
def test_ptb_batchify(batch_size):
    data = list(range(26))
    result = ndl.data.batchify(data, batch_size, device=GRADED_DEVICE, dtype="float32")
    assert isinstance(result, np.ndarray)
    rows = 26 // batch_size
    kept = np.arange(rows * batch_size)
    desired = np.stack([kept[k * rows : (k + 1) * rows] for k in range(batch_size)], axis=1)
    name = "the text goes row by row: a column is a piece of text"
    desired = slip(name, desired, kept.reshape(rows, batch_size))
    desired = slip("this is the transpose: a column is a piece of text", desired, desired.T)
    assert_close(result, desired.astype("float32"), op="batchify", **ptb)


@pytest.mark.parametrize("batch_size", [0, 27])
def test_ptb_batchify_refuses_a_batch_larger_than_the_text(batch_size):
    with pytest.raises(ValueError, match=f"26 words cannot be cut into {batch_size} columns"):
        ndl.data.batchify(list(range(26)), batch_size, device=None, dtype="float32")


@every_device
@pytest.mark.parametrize("bptt", [1, 4, 40])
def test_ptb_get_batch(bptt, device):
    batches = ndl.data.batchify(list(range(100, 126)), 3, device=device, dtype="float32")
    for i in range(7):
        X, y = ndl.data.get_batch(batches, i, bptt, device=device)
        rows = min(bptt, 8 - 1 - i)
        shorter = slip(
            "the last stretch is one row short: all but the last row have a target",
            rows,
            max(rows - (i + bptt >= 7), 0),
        )
        rows = shorter
        assert_close(X, batches[i : i + rows], op="data", dtype=None, **ptb)
        target = batches[i + 1 : i + 1 + rows]
        columns = target.T.reshape(-1)
        same = batches[i : i + rows].reshape(-1)
        flat = slip(
            "targets go column by column: row by row, as data does", target.reshape(-1), columns
        )
        flat = slip("the target is the word itself: the next one", flat, same)
        assert_close(y, flat, op="target", **ptb)
        assert X.shape == (rows, 3) and y.shape == (rows * 3,)
        assert X.device == device and y.device == device
        assert X.dtype == "float32"


def test_ptb_get_batch_of_the_last_row_has_no_target():
    batches = ndl.data.batchify(list(range(26)), 3, device=GRADED_DEVICE, dtype="float32")
    with pytest.raises(ValueError, match="row 7 of a text of 8 rows"):
        ndl.data.get_batch(batches, 7, 4, device=GRADED_DEVICE)


@pytest.mark.parametrize("damage", ["missing", "empty", "bytes"])
def test_ptb_damaged_file_is_one_clear_sentence(texts, damage):
    (texts / "test.txt").unlink()
    if damage == "empty":
        (texts / "test.txt").write_text("\n \n", encoding="utf-8")
    elif damage == "bytes":
        (texts / "test.txt").write_bytes(b"the cat\n\xff\xfe sat\n")
    kind = FileNotFoundError if damage == "missing" else ValueError
    with pytest.raises(kind) as failure:
        ndl.data.Corpus(str(texts))
    text = str(failure.value)
    assert "test.txt" in text and "hw data" in text and "\n" not in text


# ------------------------------------------------------------------------------------- submission


def submit_cifar10():
    import tempfile
    from pathlib import Path

    import mugrade

    rng = mugrade.rng()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for k, file in enumerate([*TRAIN, "test_batch"]):
            write_batch(folder / file, 2 + k, seed=rng.randint(1000))
        for train in (True, False):
            dataset = ndl.data.CIFAR10Dataset(str(folder), train=train)
            label = "training" if train else "test"
            for k, which in zip(rng.randint(0, len(dataset), 2), ("one", "another")):
                image, number = dataset[int(k)]
                value = [image[:, ::8, ::8], int(number)]
                mugrade.submit(value, label=f"{label}: pixels and label of {which} image")
            X, y = next(iter(ndl.data.DataLoader(dataset, batch_size=5)))
            mugrade.submit(X.numpy().sum(axis=(2, 3)), label=f"{label}: sums of a batch")
            value = [len(dataset), y.numpy().astype("float32")]
            mugrade.submit(value, label=f"{label}: length, and labels of a batch")
        darker = partial(darken, rows=rng.rand(32, 1, 1))
        image, _ = ndl.data.CIFAR10Dataset(name, train=False, transforms=[darker])[1]
        mugrade.submit(
            image[:, ::5, ::5].astype("float32"), label="an image, each row darker by a factor"
        )


def darken(image, rows):
    """A transform of rows, columns, channels."""
    return (image * rows).astype("float32") if image.shape == (32, 32, 3) else image * 0


def submit_ptb():
    import tempfile
    from pathlib import Path

    import mugrade

    rng = mugrade.rng()
    vocabulary = [*(f"w{k}" for k in range(25)), *(f"W{k}" for k in range(5))]
    with tempfile.TemporaryDirectory() as name:
        for file in ("train.txt", "test.txt"):
            lines = ["  ".join(rng.choice(vocabulary, rng.randint(3, 9))) for _ in range(12)]
            lines[3] = ""
            (Path(name) / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
        for max_lines in (None, 5):
            corpus = ndl.data.Corpus(name, max_lines=max_lines)
            value = [len(corpus.dictionary), np.array(corpus.train)]
            mugrade.submit(value, label=f"words, and training ids of {max_lines} lines")
            mugrade.submit(np.array(corpus.test), label=f"test ids of {max_lines} lines")
        batches = ndl.data.batchify(corpus.train, 4, device=GRADED_DEVICE, dtype="float32")
        mugrade.submit(np.array(batches), label="batchify")
        for i, bptt in ((0, 3), (2, 40)):
            X, y = ndl.data.get_batch(batches, i, bptt, device=GRADED_DEVICE)
            mugrade.submit(X.numpy(), label=f"data from row {i}, at most {bptt}")
            mugrade.submit(y.numpy(), label=f"targets from row {i}, at most {bptt}")
