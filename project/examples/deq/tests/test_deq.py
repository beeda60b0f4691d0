import needle as ndl
import numpy as np
import pytest
from deq import DEQClassifier, NotConverged, constant, contract, equilibrium, iterate, unrolled


@pytest.fixture
def problem():
    rng = np.random.RandomState(0)
    W = rng.randn(6, 6)
    return rng.randn(4, 6), W * (0.8 / np.linalg.norm(W, 2)), rng.randn(4, 6)


def gradients(layer, u0, W0, v):
    u, W = ndl.Tensor(u0, dtype="float32"), ndl.Tensor(W0, dtype="float32")
    (layer(u, W) * constant(v)).sum().backward()
    return u.grad.numpy(), W.grad.numpy()


def test_the_output_is_a_fixed_point(problem):
    u, W, _ = problem
    z = equilibrium(constant(u), constant(W), tolerance=1e-6).numpy()
    np.testing.assert_allclose(z, np.tanh(z @ W + u), atol=1e-5)


def test_implicit_gradients_agree_with_sixty_unrolled_steps(problem):
    implicit = gradients(lambda u, W: equilibrium(u, W, tolerance=1e-7), *problem)
    explicit = gradients(lambda u, W: unrolled(u, W, 60), *problem)
    for a, b in zip(implicit, explicit, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_implicit_gradient_agrees_with_float64_differences(problem):
    u, W, v = problem

    def objective(W):
        z = np.zeros_like(u)
        for _ in range(300):
            z = np.tanh(z @ W + u)
        return (z * v).sum()

    direction, e = np.random.RandomState(1).randn(6, 6), 1e-6
    change = (objective(W + e * direction) - objective(W - e * direction)) / (2 * e)
    got = (gradients(equilibrium, u, W, v)[1] * direction).sum()
    np.testing.assert_allclose(got, change, rtol=1e-3)


def test_without_the_implicit_solve_the_gradient_would_be_wrong(problem):
    one_step = gradients(lambda u, W: unrolled(u, W, 1), *problem)
    implicit = gradients(equilibrium, *problem)
    assert np.abs(one_step[0] - implicit[0]).max() > 0.05


def test_the_graph_does_not_grow_with_the_number_of_iterations(problem):
    u, W, _ = problem

    def held(scale):
        before = ndl.autograd.TENSOR_COUNTER
        z = equilibrium(constant(u), ndl.Tensor(W * scale, dtype="float32"), max_steps=2000)
        return ndl.autograd.TENSOR_COUNTER - before, z

    few, many = held(0.05)[0], held(1.2)[0]
    assert few == many


def test_contract_bounds_the_norm_and_leaves_small_matrices_alone():
    rng = np.random.RandomState(3)
    big, small = (ndl.nn.Parameter(constant(rng.randn(5, 5) * s)) for s in (3.0, 0.01))
    before = small.numpy().copy()
    contract(big)
    contract(small)
    assert np.linalg.norm(big.numpy(), 2) == pytest.approx(0.9, rel=1e-2)
    np.testing.assert_array_equal(small.numpy(), before)


def test_divergence_is_reported_in_words():
    with pytest.raises(NotConverged, match="contract"):
        iterate(lambda z: 2 * z + 1, np.ones(3), 1e-6, 20)


def test_every_parameter_gets_a_gradient():
    np.random.seed(0)
    model = DEQClassifier(5, 8, 3)
    logits = model(constant(np.random.randn(4, 5)))
    ndl.nn.SoftmaxLoss()(logits, constant(np.array([0, 1, 2, 0]))).backward()
    assert all(np.abs(p.grad.numpy()).max() > 0 for p in model.parameters())
