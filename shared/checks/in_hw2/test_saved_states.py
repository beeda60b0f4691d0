"""A model's state in a file: what the safetensors library reads and writes, and what is refused."""

import needle as ndl
import numpy as np
import pytest
from course_testing import assert_close
from needle import nn
from safetensors.numpy import load_file, save_file


def test_saved_states_are_read_by_the_safetensors_library_and_theirs_by_us(tmp_path):
    path = str(tmp_path / "state.safetensors")
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    model(ndl.Tensor(np.random.randn(4, 3), dtype="float32"))
    nn.save(model, path)
    theirs = load_file(path)
    state = model.state_dict()
    assert sorted(theirs) == sorted(state) and "modules.1.running_var" in theirs
    for name, value in state.items():
        assert_close(theirs[name], value, dtype="float32")
    arrays = {
        "a": np.arange(6, dtype="int64").reshape(2, 3),
        "b": np.array(True),
        "c": np.zeros((0, 2)),
    }
    save_file(arrays, path, metadata={"format": "np"})
    for name, value in nn.load(path).items():
        assert value.dtype == arrays[name].dtype and (value == arrays[name]).all()
    nn.save(arrays, path)
    assert load_file(path)["a"].tolist() == arrays["a"].tolist()


def test_loading_a_wrong_state_names_the_parameter_and_changes_nothing():
    model = nn.Sequential(nn.Linear(3, 2))
    good = model.state_dict()
    before = good["modules.0.weight"].numpy()
    zeros = {name: value * 0 for name, value in good.items()}
    for state, word, kind in (
        ({**zeros, "modules.0.bias": ndl.init.zeros(2, 1)}, "modules.0.bias", ValueError),
        ({"modules.0.weight": zeros["modules.0.weight"]}, "modules.0.bias", KeyError),
        ({**zeros, "extra": zeros["modules.0.bias"]}, "extra", KeyError),
    ):
        with pytest.raises(kind, match=word):
            model.load_state_dict(state)
        assert_close(model.modules[0].weight, before)


def test_a_file_that_is_cut_off_is_named(tmp_path):
    path = tmp_path / "state.safetensors"
    nn.save(nn.Sequential(nn.Linear(3, 2)), str(path))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ValueError) as caught:
        nn.load(str(path))
    assert str(path) in str(caught.value)
