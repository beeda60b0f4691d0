"""What a Tensor promises to a program: shapes of gradients, devices, NumPy's numbers, copies."""

import copy
import pickle

import needle as ndl
import numpy as np
import pytest
from needle import nn, optim
from needle.autograd import TensorOp

DEVICES = [device for device in ndl.all_devices() if device.enabled()]
on_devices = pytest.mark.parametrize("device", DEVICES, ids=repr)


class GradientOfShape(TensorOp):
    """The identity, with a gradient of any shape that one wants."""

    def __init__(self, shape):
        self.shape = shape

    def compute(self, a):
        return a + 0

    def gradient(self, out_grad, node):
        return ndl.init.ones(*self.shape, device=node.device)


@pytest.mark.parametrize(
    "given, wanted, explained",
    [
        ((3, 1), (1, 3), False),
        ((3,), (1, 3), False),
        ((2, 6), (2, 5), False),
        ((1, 3), (2, 3), False),
        ((2, 3), (1, 3), True),
        ((4, 2, 3), (2, 3), True),
        ((2, 3), (), True),
    ],
)
def test_a_gradient_of_another_shape_is_refused(given, wanted, explained):
    x = ndl.Tensor(np.ones(wanted), dtype="float32")
    y = GradientOfShape(given)(x)
    with pytest.raises(ValueError) as refusal:
        y.backward()
    told = str(refusal.value)
    assert f"returned shape {given} for an input of shape {wanted}" in told
    assert ("sum back what was broadcast" in told) == explained


@on_devices
def test_a_tensor_moves_to_another_device_and_its_gradient_back(device):
    x = ndl.Tensor([1.0, 2.0, 3.0], device=ndl.cpu_numpy(), dtype="float32")
    y = x.to(device)
    assert y.device == device and (y is x) == (device == ndl.cpu_numpy())
    (y * y).sum().backward()
    assert x.grad.device == ndl.cpu_numpy()
    np.testing.assert_array_equal(x.grad.numpy(), [2, 4, 6])


@pytest.mark.parametrize("two", [2, np.float32(2), np.float64(2), np.int64(2), np.array(2.0)])
def test_numbers_of_numpy_are_numbers_on_both_sides(two):
    x = ndl.Tensor([1.0, 4.0], dtype="float32")
    for result, expected in [
        (two * x, [2, 8]),
        (x * two, [2, 8]),
        (two + x, [3, 6]),
        (two - x, [1, -2]),
        (x - two, [-1, 2]),
        (two / x, [2, 0.5]),
        (x / two, [0.5, 2]),
        (x**two, [1, 16]),
        (two**x, [2, 16]),
    ]:
        assert isinstance(result, ndl.Tensor) and result.dtype == "float32"
        np.testing.assert_allclose(result.numpy(), expected, rtol=1e-6)


def test_an_array_of_one_is_a_number_to_an_operator_that_takes_one():
    x = ndl.Tensor([1.0, 4.0], dtype="float32")
    half = ndl.ops.divide_scalar(x, scalar=np.full(1, 2.0))
    assert half.dtype == "float32" and half.op.scalar == 2.0
    np.testing.assert_array_equal(half.numpy(), [0.5, 2])


@pytest.mark.parametrize(
    "mistake",
    [
        lambda x: np.power(x, 2),
        lambda x: np.exp(x),
        lambda x: np.ones((2, 2)) @ x,
        lambda x: np.ones(2) * x,
        lambda x: x * np.ones(2),
        lambda x: x + [1.0, 2.0],
    ],
)
def test_arrays_and_functions_of_numpy_are_refused_in_one_sentence(mistake):
    with pytest.raises(TypeError, match=r"use needle's operators|wrap arrays in Tensor"):
        mistake(ndl.Tensor([1.0, 4.0], dtype="float32"))


@on_devices
def test_a_tensor_gives_its_number_and_its_array(device):
    x = ndl.Tensor([[3.0]], device=device, dtype="float32")
    assert x.item() == 3.0 and float(x.sum()) == 3.0
    assert np.asarray(x).shape == (1, 1)
    with pytest.raises(ValueError):
        ndl.Tensor([1.0, 2.0], device=device).item()


@on_devices
@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Adam])
def test_every_optimizer_clips(device, optimizer):
    p = nn.Parameter(ndl.Tensor([0.0, 0.0], device=device, dtype="float32"))
    p.grad = ndl.Tensor([3.0, 4.0], device=device, dtype="float32")
    optimizer([p]).clip_grad_norm(1.0)
    np.testing.assert_allclose(p.grad.numpy(), [0.6, 0.8], rtol=1e-6)


@on_devices
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_models_and_optimizers_are_copied_whole_and_apart(device, copied):
    model = nn.Sequential(nn.Linear(2, 3, device=device), nn.BatchNorm1d(3, device=device))
    adam = optim.Adam(model.parameters(), lr=0.1)

    def step(model, adam):
        x = ndl.Tensor(np.arange(8.0).reshape(4, 2), device=device, dtype="float32")
        adam.reset_grad()
        (model(x) * model(x)).sum().backward()
        adam.step()
        return [p.numpy() for p in model.parameters()]

    step(model, adam)
    before = [p.numpy() for p in model.parameters()]
    other_model, other_adam = copied((model, adam))
    moved = step(other_model, other_adam)
    for p, same in zip(model.parameters(), before):
        np.testing.assert_array_equal(p.numpy(), same)
    for one, other in zip(step(model, adam), moved):
        np.testing.assert_array_equal(one, other)
    assert all(isinstance(p, nn.Parameter) for p in other_model.parameters())


@pytest.mark.parametrize("needs", [True, False])
def test_a_value_of_ones_own_class_gets_its_record_by_init(needs):
    class Named(ndl.Tensor):
        def __init__(self, op, inputs):
            self._init(op, inputs)

    a, b = (ndl.Tensor([k + 1.0], dtype="float32", requires_grad=needs) for k in range(2))
    alive = ndl.autograd.TENSOR_COUNTER
    value = Named(ndl.ops.EWiseAdd(), [a, b])
    assert ndl.autograd.TENSOR_COUNTER - alive == 1
    assert value.cached_data is None and value.requires_grad is needs
    assert value.inputs == (a, b) and value.numpy() == [3]
    value.backward()
    assert a.grad.numpy() == b.grad.numpy() == [1]


@on_devices
@pytest.mark.parametrize("axis", [np.int64(1), np.int32(-1), (np.int64(1),)], ids=repr)
def test_an_axis_may_be_an_int_of_numpys(device, axis):
    x = ndl.Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], device=device, dtype="float32")
    array = x.realize_cached_data()
    np.testing.assert_array_equal(array.sum(axis).numpy(), [6, 15])
    np.testing.assert_array_equal(array.max(axis).numpy(), [3, 6])
    x.sum(axis).backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.ones((2, 3)))
    with pytest.raises(ValueError, match="at least one axis"):
        array.sum(())


@pytest.mark.parametrize("axis", [3, -4, 7])
def test_parts_are_stacked_along_no_axis_that_the_result_does_not_have(axis):
    part = ndl.Tensor(np.ones((2, 3)), dtype="float32")
    with pytest.raises(IndexError, match=f"index {axis} is out of bounds"):
        ndl.stack([part, part], axis)


@on_devices
def test_the_last_axis_is_dilated_by_its_negative_number_too(device):
    a = np.arange(1.0, 7.0, dtype="float32").reshape(2, 3)
    x = ndl.Tensor(a, device=device)
    wide = np.zeros((2, 6), dtype="float32")
    wide[:, ::2] = a
    for axes in ((-1,), -1, (1, -1), (1, 5, -3)):
        y = ndl.dilate(x, axes=axes, dilation=1)
        np.testing.assert_array_equal(y.numpy(), wide)
        y.backward(ndl.Tensor(wide, device=device))
        np.testing.assert_array_equal(x.grad.numpy(), a)
        np.testing.assert_array_equal(ndl.undilate(y, axes=axes, dilation=1).numpy(), a)


@on_devices
@pytest.mark.parametrize("layers", [1, 3])
def test_a_state_of_another_number_of_layers_is_refused(device, layers):
    x = ndl.Tensor(np.ones((3, 2, 4)), device=device, dtype="float32")
    h = ndl.Tensor(np.ones((layers, 2, 5)), device=device, dtype="float32")
    with pytest.raises(ValueError):
        nn.RNN(4, 5, num_layers=2, device=device)(x, h)
    with pytest.raises(ValueError):
        nn.LSTM(4, 5, num_layers=2, device=device)(x, (h, h))


def test_a_line_of_a_text_ends_where_a_file_says_so(tmp_path):
    separators = "\x0b\x0c\x1c\x85\u2028"
    text = f"a{separators}b\r\n\nc d\re"
    for name in ("train.txt", "test.txt"):
        (tmp_path / name).write_bytes(text.encode())
    corpus = ndl.data.Corpus(str(tmp_path))
    words = [corpus.dictionary.idx2word[k] for k in corpus.train]
    assert words == ["a", "b", "<eos>", "<eos>", "c", "d", "<eos>", "e", "<eos>"]
    assert ndl.data.Corpus(str(tmp_path), max_lines=1).test == [0, 1, 2]


@pytest.mark.parametrize("shape", [(2, 3), (1,)], ids=str)
@pytest.mark.parametrize("device", [d for d in DEVICES if d != ndl.cpu_numpy()], ids=repr)
def test_zeros_and_ones_are_like_an_array_too(device, shape):
    array = ndl.Tensor(np.zeros(shape), device=device, dtype="float32").realize_cached_data()
    for like, value in ((ndl.zeros_like, 0), (ndl.ones_like, 1)):
        made = like(array)
        assert made.device == device and made.shape == shape and (made.numpy() == value).all()


@on_devices
@pytest.mark.parametrize("axis", [2, -3])
def test_no_part_is_taken_along_an_axis_that_is_not_there(device, axis):
    x = ndl.Tensor(np.ones((2, 3)), device=device, dtype="float32")
    told = rf"Split{{'axis': {axis}}} does not fit inputs of shape \(2, 3\)"
    with pytest.raises(IndexError, match=told):
        ndl.split(x, axis)
    with pytest.raises(IndexError, match=r"Stack{'axis': .*} does not fit"):
        ndl.stack([x, x], axis + np.sign(axis))
    with pytest.raises(
        (ValueError, AssertionError), match=rf"Summation{{'axes': {axis}}} does not"
    ):
        ndl.summation(x, axis)


@on_devices
@pytest.mark.parametrize("form", ["given", "own"])
@pytest.mark.parametrize("stride, padding", [(0, 1), (-1, 1), (1, -1)])
def test_a_stride_or_padding_that_is_none_is_refused(device, form, stride, padding):
    x = ndl.Tensor(np.ones((1, 2, 5, 5)), device=device, dtype="float32")
    w = ndl.Tensor(np.ones((3, 3, 2, 4)), device=device, dtype="float32")
    refused = pytest.raises(Exception, match="does not fit inputs of shape")
    with refused, ndl.kernels(form):
        ndl.ops.conv2d(x, w, stride=stride, padding=padding)


@on_devices
@pytest.mark.parametrize("form", ["given", "own"])
@pytest.mark.parametrize("shape", [(4, 1), (1,), (3,)], ids=str)
def test_class_ids_that_do_not_fit_are_refused_in_both_forms(device, form, shape):
    logits = ndl.Tensor(np.zeros((4, 3)), device=device, dtype="float32")
    refused = pytest.raises(AssertionError, match=r"do not fit logits \(4, 3\)")
    with refused, ndl.kernels(form):
        nn.SoftmaxLoss()(logits, ndl.Tensor(np.zeros(shape), device=device, dtype="float32"))


@on_devices
@pytest.mark.parametrize("form", ["given", "own"])
@pytest.mark.parametrize("wrong", [-1, -3, 3])
def test_class_ids_outside_the_classes_are_refused_in_both_forms(device, form, wrong):
    logits = ndl.Tensor(np.zeros((4, 3)), device=device, dtype="float32")
    ids = ndl.Tensor([0, wrong, 2, 1], device=device, dtype="float32")
    with pytest.raises(IndexError, match=str(wrong)), ndl.kernels(form):
        nn.SoftmaxLoss()(logits, ids)


@on_devices
def test_attention_without_keys_is_refused_in_words_of_its_own(device):
    q, nothing = (ndl.Tensor(np.ones((1, 2, n, 4)), device=device, dtype="float32") for n in (3, 0))
    with pytest.raises(
        AssertionError, match=r"S > 0, .* do not fit: \(1, 2, 3, 4\), \(1, 2, 0, 4\)"
    ):
        nn.MultiHeadAttention()(q, nothing, nothing)
