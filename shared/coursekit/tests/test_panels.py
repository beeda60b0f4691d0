"""Pictures of a trained network: what they say in words, and that a file comes of it."""

import sys

import numpy as np
import pytest
from coursekit import viz
from coursekit.core.errors import CourseError
from coursekit.viz import panels

PNG = b"\x89PNG"
PROGRAM = """
import numpy as np

norms = {"norms": {"with": [4.0, 2.0], "without": [1e-6, 1.0]}}


def mistakes():
    images = np.random.RandomState(0).rand(3, 4, 4, 1)
    return {"images": images, "labels": [1, 2, 1], "predicted": [1, 0, 0], "names": "abc"}


attention = {"weights": [[[1.0, 0.0], [0.25, 0.75]]], "tokens": ["I", "am"]}
half = {"weights": 3}


def broken():
    return 1 / 0
"""


@pytest.fixture
def program(tmp_path):
    (tmp_path / "look.py").write_text(PROGRAM, encoding="utf-8")
    return f"{tmp_path}/look.py"


@pytest.mark.parametrize(
    ("kind", "name", "says"),
    [
        ("gradients", "norms", "first layer 1e-06, last 1: a factor of 1e-06 over 2 layers"),
        ("mistakes", "mistakes", "2 of 3 wrong; most often b for a 1 times, c for a 1 times"),
        ("attention", "attention", "head 0: 'am' looks at 'am' (75%)"),
    ],
)
def test_a_picture_is_told_and_drawn(kind, name, says, program, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    out = tmp_path / "out.png"
    assert viz.main([kind, f"{program}:{name}", "-o", str(out)]) == 0
    assert says in capsys.readouterr().out
    assert out.read_bytes().startswith(PNG)


def test_what_is_missing_is_one_sentence(program):
    with pytest.raises(CourseError, match="takes a dict of weights, tokens; tokens is missing"):
        viz.main(["attention", f"{program}:half"])
    with pytest.raises(CourseError, match="makes nothing named 'other'"):
        viz.main(["gradients", f"{program}:other"])
    with pytest.raises(CourseError, match="ends with ZeroDivisionError"):
        viz.main(["gradients", f"{program}:broken"])


def test_a_network_without_mistakes_has_nothing_to_draw(tmp_path):
    assert panels.mistakes_text([1, 2], [1, 2]) == "0 of 2 wrong"
    with pytest.raises(CourseError, match="nothing to draw"):
        panels.mistakes_png(np.zeros((2, 4, 4, 1)), [1, 2], [1, 2], tmp_path / "out.png")


def saved(folder, **arrays):
    numpy = pytest.importorskip("safetensors.numpy")
    numpy.save_file(arrays, folder / "net.safetensors")
    return str(folder / "net.safetensors")


def test_filters_are_the_first_layers(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    first, later = np.zeros((7, 7, 3, 5)), np.ones((3, 3, 3, 8))
    first[..., 2] = 1
    arrays = {"model/m.10.weight": later, "model/m.2.weight": first, "optimizer/m.0": later}
    out = tmp_path / "out.png"
    assert viz.main(["filters", saved(tmp_path, **arrays), "-o", str(out)]) == 0
    told = capsys.readouterr().out
    assert "model/m.2.weight: 5 filters of 7 x 7 x 3; largest norms: 2 (12.1)" in told
    assert out.read_bytes().startswith(PNG)


def test_a_linear_layer_on_pixels_has_filters_too(tmp_path):
    name, weight = panels.first_weight(saved(tmp_path, **{"modules.0.weight": np.ones((784, 6))}))
    assert panels.filters_text(name, weight).startswith(
        "modules.0.weight: 6 filters of 28 x 28 x 1"
    )


def test_a_file_without_images_or_of_another_kind_is_one_sentence(tmp_path):
    with pytest.raises(CourseError, match="holds no first layer of images"):
        panels.first_weight(saved(tmp_path, w=np.ones((5, 5))))
    with pytest.raises(CourseError, match="train first, then draw"):
        panels.first_weight(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("no")
    with pytest.raises(CourseError, match="is no file of safetensors"):
        panels.first_weight(tmp_path / "text.safetensors")


def test_without_matplotlib_a_picture_is_one_sentence_with_the_command(
    program, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(
        CourseError, match=r"not installed; install it with: .* -m pip install 'mat"
    ):
        viz.main(["gradients", f"{program}:norms", "-o", str(tmp_path / "out.png")])
