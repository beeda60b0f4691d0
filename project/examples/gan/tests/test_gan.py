import needle as ndl
import numpy as np
import pytest
from gan import LeakyReLU, Trainer, constant, discriminator, generator, sample, softplus


def test_softplus_agrees_with_float64_numpy_even_at_large_logits():
    x = np.array([-1e4, -30, -1, 0.5, 30, 1e4])
    np.testing.assert_allclose(
        softplus(constant(x)).numpy(), np.logaddexp(0, x), rtol=1e-6, atol=1e-6
    )


def test_leaky_relu_and_its_gradient():
    x = ndl.Tensor(np.array([-2.0, 3.0]), dtype="float32")
    y = LeakyReLU(0.2)(x)
    y.sum().backward()
    np.testing.assert_allclose(y.numpy(), [-0.4, 3.0], rtol=1e-6)
    np.testing.assert_allclose(x.grad.numpy(), [0.2, 1.0], rtol=1e-6)


@pytest.fixture
def trainer():
    np.random.seed(0)
    return Trainer(generator(32), discriminator(32))


def weights(model):
    return [p.numpy().copy() for p in model.parameters()]


def test_generator_makes_images_in_range(trainer):
    images = sample(trainer.G, 5, seed=1)
    assert images.shape == (5, 784) and np.abs(images).max() <= 1


def test_samples_are_reproducible_and_differ_between_seeds(trainer):
    np.testing.assert_array_equal(sample(trainer.G, 3, seed=1), sample(trainer.G, 3, seed=1))
    assert (sample(trainer.G, 3, seed=1) != sample(trainer.G, 3, seed=2)).any()


def test_the_discriminator_step_does_not_move_the_generator(trainer):
    trainer.opt_G.step = lambda: None  # freeze G: whatever still moves it is a leak
    before = weights(trainer.G)
    trainer.step(np.random.uniform(-1, 1, (8, 784)))
    for a, b in zip(before, weights(trainer.G), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_generator_step_does_not_move_the_discriminator(trainer):
    trainer.opt_D.step = lambda: None
    before = weights(trainer.D)
    trainer.step(np.random.uniform(-1, 1, (8, 784)))
    for a, b in zip(before, weights(trainer.D), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_discriminator_learns_to_tell_constant_images_from_fakes(trainer):
    trainer.opt_G.step = lambda: None
    real = np.full((32, 784), 0.9)
    first = trainer.step(real)[0]
    for _ in range(60):
        last = trainer.step(real)[0]
    assert last < first / 2
