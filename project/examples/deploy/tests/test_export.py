import needle as ndl
import numpy as np
import onnxruntime
import pytest
from export import NotExportable, quantize, to_onnx
from needle import nn


def constant(array):
    return ndl.Tensor(np.asarray(array, dtype="float32"), requires_grad=False)


def settled(model, x):
    """Running statistics and affine parameters that are not the trivial ones, then evaluation mode."""
    for p in model.parameters():
        p.data = constant(p.numpy() + 0.1 * np.random.randn(*p.shape))
    for _ in range(3):
        model(constant(x))
    model.eval()
    return model


def run(path, x):
    return onnxruntime.InferenceSession(str(path)).run(None, {"input": x.astype("float32")})[0]


def models():
    dense = nn.Sequential(
        nn.Linear(12, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Residual(nn.Sequential(nn.Linear(8, 8), nn.Identity())),
        nn.Linear(8, 3, bias=False),
    )
    image = nn.Sequential(
        nn.Conv(2, 4, 3, stride=2),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Residual(nn.Conv(4, 4, 3)),
        nn.Flatten(),
        nn.Linear(4 * 4 * 4, 5),
    )
    return {"dense": (dense, (12,)), "image": (image, (2, 8, 8))}


@pytest.mark.parametrize("kind", ["dense", "image"])
def test_onnxruntime_agrees_with_needle_to_one_part_in_100000(kind, tmp_path):
    np.random.seed(0)
    model, shape = models()[kind]
    x = np.random.randn(7, *shape)
    settled(model, x)
    to_onnx(model, shape, tmp_path / "m.onnx")
    expected = model(constant(x)).numpy()
    got = run(tmp_path / "m.onnx", x)
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= 1e-5 * max(1, np.abs(expected).max())


def test_the_batch_size_stays_free(tmp_path):
    np.random.seed(0)
    model, shape = models()["dense"]
    settled(model, np.random.randn(5, *shape))
    to_onnx(model, shape, tmp_path / "m.onnx")
    assert run(tmp_path / "m.onnx", np.zeros((1, 12))).shape == (1, 3)
    assert run(tmp_path / "m.onnx", np.zeros((9, 12))).shape == (9, 3)


def test_quantization_error_is_at_most_half_a_step():
    w = np.random.RandomState(0).randn(6, 5).astype("float32")
    w[:, 2] = 0
    q, scale = quantize(w, axis=1)
    assert q.dtype == np.int8 and scale.shape == (5,)
    assert np.all(np.abs(q * scale - w) <= scale / 2 * (1 + 1e-5))
    assert np.abs(q[:, [0, 1, 3, 4]]).max(axis=0).tolist() == [127] * 4  # the range is used


def test_int8_file_is_smaller_and_close(tmp_path):
    np.random.seed(0)
    model = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
    x = np.random.randn(20, 256)
    model.eval()
    to_onnx(model, (256,), tmp_path / "f.onnx")
    to_onnx(model, (256,), tmp_path / "q.onnx", int8=True)
    assert (tmp_path / "q.onnx").stat().st_size < 0.3 * (tmp_path / "f.onnx").stat().st_size
    exact, rough = run(tmp_path / "f.onnx", x), run(tmp_path / "q.onnx", x)
    assert 0 < np.abs(exact - rough).max() < 0.05 * np.abs(exact).max()


def test_a_module_without_rule_is_named(tmp_path):
    class Strange(nn.Module):
        def forward(self, x):
            return x

    with pytest.raises(NotExportable, match="Strange"):
        to_onnx(nn.Sequential(Strange()), (3,), tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()
