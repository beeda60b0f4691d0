"""Homework 4's training program: it resumes to the last bit, and says what is wrong in a sentence."""

import gc
import os
import pickle
import subprocess
import sys

import needle as ndl
import numpy as np
import pytest
import train as training
from memory import peak_memory

WORDS = [f"w{k}" for k in range(20)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Small data sets in the true formats: images/ and text/."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.RandomState(0)
    (folder / "images").mkdir()
    for name in [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]:
        content = {
            b"data": random.randint(0, 256, (8, 3072)).astype("uint8"),
            b"labels": [int(k) for k in random.randint(0, 10, 8)],
        }
        (folder / "images" / name).write_bytes(pickle.dumps(content, protocol=2))
    for text in ("text", "other"):
        (folder / text).mkdir()
        for name in ("train.txt", "test.txt"):
            lines = [" ".join(random.choice(WORDS, 8)) for _ in range(40)]
            (folder / text / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def train(*arguments):
    """Run the program -> (status, what it said on both streams)."""
    done = subprocess.run(
        [sys.executable, "apps/train.py", *map(str, arguments), "--quiet"],
        capture_output=True,
        text=True,
        env={**os.environ, "NEEDLE_BACKEND": "nd", "NEEDLE_NUM_THREADS": "2"},
    )
    return done.returncode, done.stdout + done.stderr


def arguments(kind, data):
    if kind == "resnet9":
        return [kind, "--data", data / "images", "--batch-size", 8, "--epochs", 2]
    return [
        kind,
        "--data",
        data / "text",
        "--batch-size",
        4,
        "--epochs",
        2,
        "--seq-len",
        10,
        "--embedding",
        8,
        "--hidden",
        8,
    ]


@pytest.mark.parametrize("kind", ["resnet9", "lstm", "transformer"])
def test_resuming_gives_the_same_bits(data, tmp_path, kind):
    """Stopped in the middle of the second epoch, then resumed: the same file as without a stop."""
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    common = arguments(kind, data)
    status, text = train(*common, "--checkpoint", whole)
    assert status == 0, text
    stop = 7 if kind == "resnet9" else 12
    status, text = train(*common, "--checkpoint", parts, "--stop-after", stop)
    assert status == 0 and "stopped" in text, text
    assert parts.read_bytes() != whole.read_bytes()
    status, text = train(*common, "--checkpoint", parts, "--resume")
    assert status == 0 and "stopped" not in text, text
    assert parts.read_bytes() == whole.read_bytes()


def refused(*arguments):
    status, text = train(*arguments)
    assert status == 1, text
    (line,) = text.strip().splitlines()[-1:]
    assert line.startswith("train.py: ") and "Traceback" not in text, text
    return line


def test_troubles_are_one_sentence_each(data, tmp_path):
    checkpoint = tmp_path / "lstm.safetensors"
    lstm = [*arguments("lstm", data), "--checkpoint", checkpoint]
    assert train(*lstm, "--stop-after", 3)[0] == 0

    def resume(*more):
        return refused(*lstm, "--resume", *more)

    assert "trained on another text" in resume("--data", data / "other")
    assert "its hidden is 8, this one's is 9" in resume("--hidden", 9)
    line = refused(*arguments("transformer", data), "--checkpoint", checkpoint, "--resume")
    assert "its kind is lstm, this one's is transformer" in line
    assert "no checkpoint" in refused(
        *arguments("lstm", data), "--resume", "--checkpoint", tmp_path / "none.safetensors"
    )
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: len(content) // 2])
    assert "cannot be read as a checkpoint" in resume()
    checkpoint.write_bytes(b"")
    assert "cannot be read as a checkpoint" in resume()

    (tmp_path / "file").write_text("")
    line = refused(*lstm[:-1], tmp_path / "file" / "c.safetensors")
    assert "no checkpoint can be written to" in line
    line = refused("resnet9", "--data", data / "images", "--batch-size", 100)
    assert "a batch of 100 is larger than the training set of 40 images" in line
    line = refused("lstm", "--data", data / "text", "--batch-size", 4000)
    assert "cannot be cut into 4000 columns" in line
    assert "holds no data_batch_1" in refused("resnet9", "--data", data / "text")
    assert "words of the text's dictionary" in refused(
        *lstm[:-1], tmp_path / "new.safetensors", "--stop-after", 1, "--write", "zebra"
    )


def test_writes_text_from_a_prompt(data, tmp_path):
    for kind in ("lstm", "transformer"):
        status, text = train(
            *arguments(kind, data),
            "--checkpoint",
            tmp_path / "c.safetensors",
            "--stop-after",
            2,
            "--write",
            "w3 w4",
            "--words",
            15,
        )
        written = text.split("\n\n")[-1].split()
        assert status == 0 and written[:2] == ["w3", "w4"] and set(written) <= set(WORDS), text


def steps(run, count):
    for _ in range(count):
        run.progress["step"] %= run.data.steps - 1
        run.step()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss counts differently")
@pytest.mark.own_process(NEEDLE_NUM_THREADS="2")
@pytest.mark.parametrize("kind", ["resnet9", "lstm", "transformer"])
def test_an_epoch_takes_no_more_memory_than_its_first_steps(data, kind):
    run = training.Run(training.parse([str(word) for word in arguments(kind, data)]))
    run.memory = run.data.start_epoch()
    steps(run, 8)
    gc.collect()
    gc.disable()  # nothing may wait for a garbage collector
    values, peak = ndl.autograd.TENSOR_COUNTER, peak_memory()
    steps(run, 60)
    assert values == ndl.autograd.TENSOR_COUNTER
    assert peak_memory() - peak < 2048
