"""Tensors beyond the students' tests: tuples, copies, counts, nodes without data."""

import copy
import gc
import pickle
import re

import needle as ndl
import numpy as np
import pytest
from course_testing import assert_close
from needle import nn, optim

KEPT = []  # values that live until the interpreter ends


@pytest.mark.parametrize("lazy", [False, True])
def test_tuples_have_gradients_and_can_be_iterated(lazy, monkeypatch):
    monkeypatch.setattr(ndl.autograd, "LAZY_MODE", lazy)
    x = ndl.Tensor([1.0, 2.0])
    pair = ndl.ops.fused_add_scalars(x, 1, 2)
    assert len(pair) == 2 and len(list(pair)) == 2 and isinstance(pair, ndl.TensorTuple)
    (pair[0] * pair[1]).sum().backward()
    assert_close(x.grad, np.array([5.0, 7.0]))
    assert isinstance(pair.grad, ndl.TensorTuple)
    (x.grad * x).sum().backward()
    assert_close(x.grad, np.array([7.0, 11.0]))


@pytest.mark.parametrize("lazy", [False, True])
def test_parts_of_a_tuple_and_the_whole_may_be_used_together(lazy, monkeypatch):
    monkeypatch.setattr(ndl.autograd, "LAZY_MODE", lazy)
    x = ndl.Tensor([1.0, 2.0])
    pair = ndl.ops.fused_add_scalars(x, 1, 2)
    ((pair + pair)[0] * pair[-1]).sum().backward()  # 2 (x + 1) (x + 2)
    assert_close(x.grad, np.array([10.0, 14.0]))
    assert_close(pair.grad[0], np.array([6.0, 8.0]))
    assert_close(pair.grad[1], np.array([4.0, 6.0]))
    (x.grad * x).sum().backward()
    assert_close(x.grad, np.array([14.0, 22.0]))


def test_the_adjoint_of_a_part_is_a_tuple_with_zeros():
    """Somebody may add adjoints with +, and look at each."""
    x, seed = ndl.Tensor([1.0, 2.0]), ndl.Tensor([3.0, 4.0])
    first, second = ndl.ops.fused_add_scalars(x, 1, 2)
    adjoints = [part.op.gradient(seed, part) for part in (first, second)]
    assert all(isinstance(adjoint, ndl.TensorTuple) for adjoint in adjoints)
    total = adjoints[0] + adjoints[1]
    assert_close(total[1], seed.numpy())
    assert len(adjoints[1]) == 2 and type(adjoints[1]) is ndl.TensorTuple
    assert_close(adjoints[1][0], np.zeros(2))
    assert_close(adjoints[1][1], seed.numpy())
    assert adjoints[1][1] is seed


def test_tuples_are_made_added_and_detached():
    x = ndl.Tensor([1.0, 2.0])
    made = ndl.ops.make_tuple(x, x * 2)
    assert made[0] is x and made.tuple()[1].shape == (2,)
    total = made + ndl.ops.fused_add_scalars(x, 1, 2)
    assert_close(total[1], np.array([5.0, 8.0]))
    (made.detach()[1] * x).sum().backward()
    assert_close(x.grad, np.array([2.0, 4.0]))
    assert "TensorTuple" in repr(made)


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))]
)
def test_tensors_can_be_copied_and_pickled(duplicate):
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    other = duplicate(model)
    assert [type(p) for p in other.parameters()] == [nn.Parameter] * 4
    assert all(p.requires_grad for p in other.parameters())
    other.parameters()[0].data = ndl.init.zeros(3, 2)
    assert model.parameters()[0].numpy().any()


def living():
    """How many values there are."""
    return ndl.autograd.TENSOR_COUNTER


@pytest.fixture
def no_collector():
    """The garbage collector is off: what goes, goes with its last reference."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.own_process()
def test_the_counter_counts_only_values_that_came_to_life(no_collector):
    before = living()
    for wrong in (
        lambda: ndl.Tensor([[1.0], [1.0, 2.0]]),
        lambda: ndl.Tensor(),
        lambda: ndl.ops.add(1, 2),
    ):
        try:
            wrong()
        except (ValueError, TypeError):
            continue
        raise AssertionError("no error")
    assert living() == before
    y = ndl.Tensor([1.0])
    assert living() == before + 1
    for _ in range(100_000):
        y = y + 1
    assert living() == before + 100_001
    y.backward()
    del y
    assert living() == before
    KEPT.append(ndl.Tensor([1.0]) * 2)


@pytest.mark.own_process()
def test_a_gradient_leads_back_to_no_tensor(no_collector):
    """Whatever becomes a `.grad` holds records only: there is no circle for a collector to break."""
    before = living()
    x = ndl.Tensor([1.0, 2.0])
    (x * x).sum().backward()
    x.grad = x.grad + 0.1 * x
    assert [type(value) for value in x.grad.inputs] == [ndl.Tensor, ndl.Tensor]
    (x.grad * x.grad).sum().backward()
    pair = ndl.ops.fused_add_scalars(x, 1, 2)
    (pair[0] * pair[1]).sum().backward()
    assert living() > before
    del x, pair
    assert living() == before


def test_the_inputs_of_a_node_are_the_tensors_that_it_was_computed_from():
    x, y = ndl.Tensor([1.0]), ndl.Tensor([2.0])
    z = (x * y) * x
    product = z.inputs[0]
    assert z.inputs[1] is x and product.inputs == (x, y) and product is z.inputs[0]
    z.backward()
    assert product.grad.item() == 1.0 and x.inputs == ()
    (x.grad * y).backward()  # through a gradient
    assert y.grad.item() == 8.0


def test_a_node_without_data_says_so():
    value = ndl.Tensor([1.0])
    value.cached_data = None
    with pytest.raises(RuntimeError, match="never computed"):
        value + 1


@pytest.mark.parametrize("lazy", [False, True])
def test_an_operator_that_returns_nothing_says_so(lazy, monkeypatch):
    """A forgotten `return` once made an endless loop of the computation of its data."""

    class Forgetful(ndl.TensorOp):
        def compute(self, a):
            a + 1

    monkeypatch.setattr(ndl.autograd, "LAZY_MODE", lazy)
    with pytest.raises(TypeError, match=r"Forgetful\.compute returned None: is a `return` missing"):
        (Forgetful()(ndl.Tensor([1.0])) * 2).numpy()


def test_shared_parameters_are_listed_once():
    shared = nn.Linear(3, 3)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    assert len(model.parameters()) == 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_random_numbers_of_no_shape_are_tensors(dtype):
    np.random.seed(3)
    drawn = [ndl.init.rand(low=2.0, high=4.0, dtype=dtype), ndl.init.randn(mean=5.0, dtype=dtype)]
    kept = ndl.init.randb(p=1.0)
    random = np.random.RandomState(3)
    for value, wanted in zip(drawn, (2 + 2 * random.rand(), 5 + random.randn())):
        assert value.shape == () and value.dtype == dtype
        np.testing.assert_allclose(value.numpy(), wanted, rtol=1e-6)
    assert kept.shape == () and kept.dtype == "bool" and kept.numpy()
    number = nn.Dropout(0.5)(ndl.Tensor(np.float32(3)))
    assert number.shape == () and number.numpy() in (0, 6)


@pytest.mark.parametrize("module", [nn.Linear, nn.SoftmaxLoss], ids=lambda kind: kind.__name__)
def test_a_module_that_returns_nothing_says_so(module, monkeypatch):
    """A result of None once came up where it was used, and its variable's name was blamed."""
    monkeypatch.setattr(module, "forward", lambda self, *args: None)
    layer, x = object.__new__(module), ndl.Tensor([[1.0, 2.0]])
    says = rf"{module.__name__}\.forward returned None: is a `return` missing"
    with pytest.raises(TypeError, match=says):
        layer(x)


@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Adam], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("number", [np.float64, np.float32, np.array, lambda x: np.full((1,), x)])
def test_an_optimizer_takes_numbers_of_numpys(optimizer, number):
    settings = {"lr": 0.1, "weight_decay": 0.01}
    settings |= {"momentum": 0.9} if optimizer is optim.SGD else {"beta1": 0.8, "eps": 1e-6}
    ends = []
    for made in (float, number):
        p = nn.Parameter(ndl.Tensor([1.0, -2.0], dtype="float32"))
        opt = optimizer([p], **{name: made(value) for name, value in settings.items()})
        for _ in range(2):
            p.grad = ndl.Tensor([3.0, 4.0], dtype="float32")
            opt.step()
        assert p.dtype == "float32"
        ends.append(p.numpy())
    assert_close(ends[1], ends[0], rtol=1e-5)


@pytest.mark.parametrize("shape", [(4, 1), (1,), (1, 4), (3,), ()], ids=str)
def test_class_ids_that_do_not_fit_are_refused(shape):
    """NumPy broadcasts: ids (4, 1) gave the mean of a table, not of a diagonal."""
    logits = ndl.Tensor(np.zeros((4, 3)), dtype="float32")
    says = re.escape(f"class ids {shape} do not fit logits (4, 3)")
    with pytest.raises(AssertionError, match=says):
        nn.SoftmaxLoss()(logits, ndl.Tensor(np.zeros(shape), dtype="float32"))


@pytest.mark.parametrize("wrong", [-1, -3, 3])
def test_class_ids_outside_the_classes_are_refused(wrong):
    """NumPy counts from the end: id -1 was the last class."""
    logits = ndl.Tensor(np.zeros((4, 3)), dtype="float32")
    with pytest.raises(IndexError, match=str(wrong)):
        nn.SoftmaxLoss()(logits, ndl.Tensor([0, wrong, 2, 1]))


@pytest.mark.parametrize("draw", [nn.Linear, ndl.init.kaiming_uniform])
def test_a_layer_without_inputs_is_refused_in_words(draw):
    with pytest.raises(AssertionError, match="needs one input or more, got fan_in=0"):
        draw(0, 3)


class OfTwoParts(IndexError):
    def __init__(self, what, number):
        super().__init__(f"{what} {number}")


@pytest.mark.parametrize("raised", [lambda: OfTwoParts("part", 3), lambda: "é".encode("ascii")])
def test_an_error_that_is_made_of_more_than_a_text_names_the_operator_too(raised):
    class Refusing(ndl.TensorOp):
        def __init__(self, setting):
            self.setting = setting

        def compute(self, a):
            raise raised()

    told = r"Refusing{'setting': 7} does not fit inputs of shape \(2,\): (part 3|'ascii' codec)"
    with pytest.raises((IndexError, ValueError), match=told):
        Refusing(7)(ndl.Tensor([1.0, 2.0]))
