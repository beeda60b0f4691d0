"""Text in the Penn Treebank's form: one sentence a line, words between blanks."""

import io
import os

import numpy as np

from ...autograd import Tensor
from ..data_basic import read_file


class Dictionary:
    """Words and their ids: 0, 1, 2, ... in the order in which they were first added.

    Attributes:
        word2idx: dict from word to id.
        idx2word: list of words; the id is the index.
    """

    def __init__(self):
        self.word2idx, self.idx2word = {}, []

    def add_word(self, word):
        """The id of `word`, which is added if it is new."""
        ### BEGIN YOUR SOLUTION hw4/ptb
        raise NotImplementedError("hw4/ptb: Dictionary.add_word is yours to write")
        ### END YOUR SOLUTION

    def __len__(self):
        """The number of different words."""
        ### BEGIN YOUR SOLUTION hw4/ptb
        raise NotImplementedError("hw4/ptb: Dictionary.__len__ is yours to write")
        ### END YOUR SOLUTION


class Corpus:
    """A text for training and one for testing, as lists of word ids.

    Args:
        base_dir: folder of train.txt and test.txt.
        max_lines: how many lines of each are read; None for all.

    Attributes:
        dictionary: Dictionary of both texts.
        train, test: lists of ints. train.txt is read first.
    """

    def __init__(self, base_dir, max_lines=None):
        self.dictionary = Dictionary()
        self.train = self.tokenize(os.path.join(base_dir, "train.txt"), max_lines)
        self.test = self.tokenize(os.path.join(base_dir, "test.txt"), max_lines)

    def tokenize(self, path, max_lines=None):
        """The ids of the words of a file, "<eos>" after each line; new words enter the dictionary.

        Raises:
            FileNotFoundError, ValueError: the file is missing or not text.
        """
        lines = read_file(path, "text of words in UTF-8", parse_lines)[:max_lines]
        ### BEGIN YOUR SOLUTION hw4/ptb
        raise NotImplementedError("hw4/ptb: Corpus.tokenize is yours to write")
        ### END YOUR SOLUTION


def parse_lines(file):
    """The lines of a UTF-8 text, at least one with a word."""
    # Not str.splitlines: for that, a form feed and a dozen other characters end a line, too.
    lines = list(io.StringIO(file.read().decode("utf-8"), newline=None))
    if not any(line.strip() for line in lines):
        raise ValueError("it holds no words")
    return lines


def batchify(data, batch_size, device=None, dtype="float32"):
    """Cut a text into `batch_size` columns of equal length, each a contiguous stretch.

    What is left over at the end is dropped. For the alphabet and a batch size of 4:

        a g m s
        b h n t
        c i o u
        d j p v
        e k q w
        f l r x

    Args:
        data: list or array of word ids.
        device, dtype: not used; the result is a NumPy array.

    Returns:
        NumPy array (len(data) // batch_size, batch_size).
    """
    if not 1 <= batch_size <= len(data):
        choice = f"take a batch size from 1 to {len(data)}"
        raise ValueError(f"{len(data)} words cannot be cut into {batch_size} columns: {choice}")
    ### BEGIN YOUR SOLUTION hw4/ptb
    raise NotImplementedError("hw4/ptb: batchify is yours to write")
    ### END YOUR SOLUTION


def get_batch(batches, i, bptt, device=None, dtype=None):
    """Rows i to i + bptt of `batches` (fewer at its end), and the words that follow each.

    Args:
        batches: array (rows, batch_size), as batchify makes it.
        i: first row, at most rows - 2: the last row has no words that follow.
        bptt: how many rows ("backpropagation through time").
        device, dtype: of the results; dtype None stands for "float32".

    Returns:
        (data, target): Tensors (bptt, batch_size) and (bptt * batch_size,), the target row by row.
    """
    if not 0 <= i < len(batches) - 1:
        rows = f"row {i} of a text of {len(batches)} rows"
        raise ValueError(f"{rows} has no words that follow: take one from 0 to {len(batches) - 2}")
    ### BEGIN YOUR SOLUTION hw4/ptb
    raise NotImplementedError("hw4/ptb: get_batch is yours to write")
    ### END YOUR SOLUTION
