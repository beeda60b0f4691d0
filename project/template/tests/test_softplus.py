import needle as ndl
import numpy as np
from my_project import softplus


def test_values_agree_with_float64_numpy():
    x = np.linspace(-20, 20, 41)
    got = softplus(ndl.Tensor(x, dtype="float32")).numpy()
    np.testing.assert_allclose(got, np.logaddexp(0, x), rtol=1e-5, atol=1e-6)


def test_large_inputs_do_not_overflow():
    got = softplus(ndl.Tensor(np.array([-1e4, 1e4]), dtype="float32")).numpy()
    np.testing.assert_array_equal(got, np.array([0, 1e4], dtype="float32"))


def test_gradient_is_the_sigmoid():
    x = np.array([-3.0, -0.5, 0.25, 4.0])  # not 0, where the ReLU inside has a kink
    t = ndl.Tensor(x, dtype="float32")
    softplus(t).sum().backward()
    np.testing.assert_allclose(t.grad.numpy(), 1 / (1 + np.exp(-x)), rtol=1e-5)
