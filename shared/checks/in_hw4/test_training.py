"""Homework 4's training program: it resumes to the last bit, and says what is wrong in a sentence."""

import gc
import json
import os
import re
import subprocess
import sys

import needle as ndl
import numpy as np
import pytest
import train as training
from memory import peak_memory


def train(*arguments, library="nd"):
    """Run the program -> (status, what it said on both streams)."""
    done = subprocess.run(
        [sys.executable, "apps/train.py", *map(str, arguments), "--quiet"],
        capture_output=True,
        text=True,
        env={**os.environ, "NEEDLE_BACKEND": library, "NEEDLE_NUM_THREADS": "2"},
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
    histories = [json.loads(path.with_suffix(".json").read_text()) for path in (whole, parts)]
    steps = histories[0]["epochs"][-1]["step"]
    assert histories[0]["loss"] == histories[1]["loss"] and len(histories[0]["loss"]) == steps
    assert [row["epoch"] for row in histories[0]["epochs"]] == [1, 2]


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


def test_a_device_that_the_array_library_lacks_is_no_choice():
    status, text = train("lstm", "--device", "cpu_numpy", library="np")
    assert status == 2 and "argument --device: invalid choice: 'cpu_numpy'" in text, text


def test_a_run_is_not_written_over_by_accident(data, tmp_path):
    checkpoint = tmp_path / "lstm.safetensors"
    lstm = [*arguments("lstm", data), "--checkpoint", checkpoint]
    assert train(*lstm, "--stop-after", 3)[0] == 0
    before = checkpoint.read_bytes()
    line = refused(*lstm, "--stop-after", 1)
    assert "holds a run of 3 steps: --resume goes on with it, --fresh begins anew" in line
    assert checkpoint.read_bytes() == before
    assert train(*lstm, "--stop-after", 1, "--fresh")[0] == 0
    assert len(json.loads(checkpoint.with_suffix(".json").read_text())["loss"]) == 1


def test_a_text_by_characters_is_written_without_blanks_between_them(data, tmp_path):
    kind, _, _, *sizes = arguments("lstm", data)
    few = ["--stop-after", 2, "--max-lines", 20, "--checkpoint", tmp_path / "chars.safetensors"]
    status, text = train(kind, *sizes, *few, "--chars", "--write", "It is a")
    assert status == 0 and " characters" in text, text
    written = text.split("it writes:\n")[1]
    assert written.startswith("It is a") and "_" not in written, text
    assert "has settings of its own" in train("resnet9", "--chars")[1]


def test_a_sample_of_text_leaves_the_trainings_random_numbers_alone(data):
    run = training.Run(training.parse([*map(str, arguments("lstm", data)), "--quiet"]))
    before = np.random.get_state()[1].tolist(), np.random.get_state()[2]
    training.write(run, "w1", 5)
    assert (np.random.get_state()[1].tolist(), np.random.get_state()[2]) == before


def test_writes_text_from_a_prompt(data, tmp_path):
    for kind in ("lstm", "transformer"):
        status, text = train(
            *arguments(kind, data),
            "--checkpoint",
            tmp_path / f"{kind}.safetensors",
            "--stop-after",
            2,
            "--write",
            "w3 w4",
            "--words",
            15,
        )
        written = text.split("\n\n")[-1].split()
        assert status == 0 and written[:2] == ["w3", "w4"], text
        assert all(re.fullmatch(r"w\d+", word) for word in written), text


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
