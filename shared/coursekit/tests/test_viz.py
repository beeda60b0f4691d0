"""Drawing graphs and curves, on stand-ins for Tensors."""

import json
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from coursekit import viz
from coursekit.core.errors import CourseError


class Value:
    """What viz sees of a Tensor."""

    requires_grad = True

    def __init__(self, array, op=None, inputs=(), grad=None):
        self.array, self.op, self.inputs, self.grad = np.asarray(array), op, inputs, grad
        self.shape = self.array.shape

    def numpy(self):
        return self.array


class Op:
    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return self.name


def graph():
    x = Value(np.ones((2, 3)), grad=Value(np.ones((2, 3))))
    product = Value(np.ones((2, 3)), Op("Mul<&>"), (x, x))
    return Value(6.0, Op("Sum"), (product,), Value(1.0)), x


def test_text_lists_inputs_before_what_uses_them():
    output, x = graph()
    assert viz.text(output, {"x": x}).splitlines() == [
        "#0  x = leaf          (2, 3)  grad (2, 3)",
        "#1  Mul<&> <- #0, #0  (2, 3)",
        "#2  Sum <- #1         () = 6  grad () = 1",
    ]


def test_values_tell_every_entry_node_by_node():
    output, x = graph()
    parts = viz.values(output, {"x": x}).split("\n\n")
    assert parts[0].splitlines() == [
        "#0  x = leaf  (2, 3)",
        "    value [[1. 1. 1.]",
        "           [1. 1. 1.]]",
        "    grad  [[1. 1. 1.]",
        "           [1. 1. 1.]]",
    ]
    assert parts[2].splitlines() == ["#2  Sum <- #1  () = 6", "    value 6.", "    grad  1."]
    large = viz.values(Value(np.zeros((100, 100))))
    assert "..." in large and len(large) < 400


def test_a_box_tells_its_entries_under_the_mouse():
    output, x = graph()
    root = ElementTree.fromstring(viz.svg(output, {"x": x}))
    told = [element.text for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any(words and "x = leaf" in words and "grad  [[1. 1. 1.]" in words for words in told)


def test_svg_is_well_formed_and_shows_shapes_and_gradients():
    output, x = graph()
    document = viz.svg(output, {"x": x})
    root = ElementTree.fromstring(document)
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert words.count("Mul<&>") == 1 and words.count("grad (2, 3)") == 1
    assert len(root.findall(".//{http://www.w3.org/2000/svg}path[@marker-end]")) == 3
    assert root.get("aria-label") == "computational graph of 3 nodes; the result is Sum"


def test_an_edge_that_passes_a_row_by_goes_around_its_box():
    x = Value([1.0])
    square = Value([1.0], Op("Square"), (x,))
    output = Value([2.0], Op("Add"), (x, square))
    root = ElementTree.fromstring(viz.svg(output))
    namespace = "{http://www.w3.org/2000/svg}"
    box = next(
        rect
        for rect, words in zip(root.iter(f"{namespace}rect"), [None, "x", "Square", "Add"])
        if words == "Square"
    )
    left, width = float(box.get("x", "nan")), float(box.get("width", "nan"))
    paths = [path.get("d", "") for path in root.iter(f"{namespace}path") if path.get("marker-end")]
    (around,) = [path for path in paths if "L" in path]
    passing = float(around.split("L")[1].split()[0])
    assert not left <= passing <= left + width


def test_a_deep_graph_is_drawn_without_recursion():
    value = Value([1.0])
    for _ in range(5000):
        value = Value([1.0], Op("Add"), (value,))
    assert len(viz.boxes(value)) == 5001


def test_curve_in_the_terminal():
    lines = viz.curve_text([4.0, 3.0, 2.0, 1.0], width=4, height=4).splitlines()
    assert lines[:4] == ["4 |*", "  | *", "  |  *", "1 |   *"]
    assert lines[-1].strip() == "loss, 4 steps"
    with pytest.raises(CourseError, match="no finite number"):
        viz.curve_text([float("nan")])


def test_curve_command_prints_and_writes_a_png(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    (tmp_path / "run.json").write_text(json.dumps({"error": [0.5, 0.25]}))
    assert viz.main(["curve", str(tmp_path / "run.json"), "-o", str(tmp_path / "run.png")]) == 0
    assert "error, 2 steps" in capsys.readouterr().out
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")


def test_several_curves_come_into_one_picture(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    from matplotlib import pyplot

    for name in ("lstm", "transformer"):
        content = {"loss": [3.0, 2.0], "accuracy": [0.1, 0.2], "epochs": [], "title": name}
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    files = [str(tmp_path / f"{name}.json") for name in ("lstm", "transformer")]
    assert viz.main(["curve", *files, "-o", str(tmp_path / "both.png")]) == 0
    said = capsys.readouterr().out
    assert "lstm:" in said and "transformer:" in said and said.count("loss, 2 steps") == 2
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")
    assert not pyplot.get_fignums()  # nothing is left open


def test_without_matplotlib_a_curve_is_one_sentence_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(
        CourseError, match=r"not installed; install it with: .* -m pip install 'mat"
    ):
        viz.curve_png([1.0, 2.0], tmp_path / "loss.png")


def test_graph_command_names_what_is_wrong(tmp_path):
    (tmp_path / "a.py").write_text("y = 3\n")
    with pytest.raises(CourseError, match="no Tensor named 'y'"):
        viz.main(["graph", f"{tmp_path}/a.py:y"])
    with pytest.raises(CourseError, match=r"FILE\.py:NAME"):
        viz.main(["graph", "y"])


@pytest.mark.parametrize("content", ['{"loss": "abc"}', '[1, 2, "x"]', "{}", "no JSON", "3"])
def test_a_file_without_a_curve_is_one_sentence(tmp_path, content):
    path = tmp_path / "run.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(CourseError, match="expected a list of numbers"):
        viz.main(["curve", str(path)])


def test_a_picture_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "run.json").write_text("[3, 2, 1]", encoding="utf-8")
    with pytest.raises(CourseError, match="cannot be drawn"):
        viz.main(["curve", str(tmp_path / "run.json"), "-o", str(tmp_path / "none" / "run.png")])


def test_a_file_that_fails_says_with_what(tmp_path):
    (tmp_path / "a.py").write_text("y = 1 / 0\n", encoding="utf-8")
    with pytest.raises(CourseError, match="ends with ZeroDivisionError: division by zero"):
        viz.main(["graph", f"{tmp_path}/a.py:y"])
