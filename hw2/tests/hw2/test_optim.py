"""Homework 2: optimizers against their formulas, and in a training loop."""

import sys

sys.path.append("./python")

import needle as ndl
import numpy as np
import pytest
from course_testing import assert_close, assert_constant, slip
from hw2_modules import growth, normal
from needle import autograd, nn, optim

SHAPES = [(3, 2), (4,), ()]


def make_parameters(seed=0):
    return [
        nn.Parameter(normal(*shape, seed=seed + k), dtype="float32")
        for k, shape in enumerate(SHAPES)
    ]


def gradients_of_step(step):
    return [np.asarray(normal(*shape, seed=100 + 10 * step + k)) for k, shape in enumerate(SHAPES)]


def check_optimizer(problem, make, rule, steps=4):
    """Several steps with given gradients, against `rule(p, g, state, t) -> p` in float64."""
    params = make_parameters()
    optimizer = make(params)
    wanted = [param.numpy().astype("float64") for param in params]
    states = [{"number": k} for k in range(len(params))]
    for t in range(1, steps + 1):
        grads = [grad.astype("float32") for grad in gradients_of_step(t)]
        for param, grad in zip(params, grads):
            param.grad = ndl.Tensor(grad)
        optimizer.step()
        for k, (param, grad) in enumerate(zip(params, grads)):
            wanted[k] = rule(wanted[k], grad.astype("float64"), states[k], t)
            op = f"parameter {k} after step {t}"
            assert_close(
                param, wanted[k], problem=problem, op=op, dtype="float32", rtol=2e-6, atol=2e-6
            )
            assert_close(
                param.grad,
                grad,
                problem=problem,
                op="the gradient, after the step (leave it as it is)",
            )
            assert param.is_leaf() and param.requires_grad


def check_optimizer_in_training(problem, make, no_graph_between):
    """A small network learns, in place, and the number of Values stays what it was."""
    np.random.seed(0)
    model = nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 3)
    )
    params = model.parameters()
    optimizer = make(params)
    random = np.random.RandomState(1)
    X = random.randn(30, 4).astype("float32")
    labels = X[:, :3].argmax(axis=1)
    losses, alive = [], []
    for _ in range(40):
        optimizer.reset_grad()
        loss = nn.SoftmaxLoss()(model(ndl.Tensor(X)), ndl.Tensor(labels))
        loss.backward()
        optimizer.step()
        losses.append(loss.numpy().item())
        del loss
        alive.append(autograd.TENSOR_COUNTER)
    assert losses[-1] < 0.7 * losses[0], (
        f"{problem}: the loss goes from {losses[0]} to {losses[-1]}"
    )
    assert [id(p) for p in model.parameters()] == [id(p) for p in params]
    assert_constant(
        alive[2:], problem, "the optimizer keeps graphs: its state is of constants (.data)"
    )


def sgd_rule(lr, momentum=0.0, weight_decay=0.0):
    exchanged = momentum if momentum == 0 else 1 - momentum

    def rule(p, g, state, t):
        pull = weight_decay * p
        pull = slip("weight decay with the wrong sign: it pushes away from 0", pull, -pull)
        pull = slip("the weight decay is forgotten", pull, 0)
        pull = slip("decay of half the size: its gradient is weight_decay * p", pull, pull / 2)
        share = slip("SGD without the factor 1 - momentum of the gradient", 1 - momentum, 1.0)
        old = state.get("u", 0)
        new = momentum * old + share * (g + pull)
        new = slip(
            "momentum without the weight decay", new, lambda: momentum * old + share * g + pull
        )
        turned = exchanged * old + (1 - exchanged) * (g + pull)
        new = slip("momentum and 1 - momentum are exchanged", new, turned)
        state["u"] = slip("u forgets the steps before", new, share * (g + pull))
        step = slip("the step goes uphill: subtract it", lr * state["u"], -lr * state["u"])
        step = slip("the weight decay is applied twice", step, step + lr * pull)
        step = slip("the learning rate is applied twice", step, lr * step)
        return p - slip("the parameter itself stays what it was: assign to p.data", step, 0.0)

    return rule


SGD_SETTINGS = [
    {"lr": 0.1},
    {"lr": 0.1, "momentum": 0.9},
    {"lr": 0.2, "weight_decay": 0.05},
    {"lr": 0.03, "momentum": 0.5, "weight_decay": 0.3},
]


@pytest.mark.parametrize("settings", SGD_SETTINGS, ids=str)
def test_optim_sgd_follows_its_formula(settings):
    check_optimizer("hw2/optim_sgd", lambda p: optim.SGD(p, **settings), sgd_rule(**settings))


def test_optim_sgd_trains_without_growing_a_graph(no_collector):
    def make(params):
        return optim.SGD(params, lr=0.3, momentum=0.5, weight_decay=1e-3)

    check_optimizer_in_training("hw2/optim_sgd", make, no_collector)


def test_optim_sgd_skips_parameters_without_gradient():
    used, unused = nn.Parameter([1.0]), nn.Parameter([1.0])
    optimizer = optim.SGD([unused, used], lr=0.5, weight_decay=0.1)
    used.grad = ndl.Tensor([1.0])
    optimizer.step()
    assert_close(
        unused, np.array([1.0]), problem="hw2/optim_sgd", op="a parameter without gradient"
    )
    assert_close(used, np.array([0.45]), problem="hw2/optim_sgd")
    optimizer.reset_grad()
    assert used.grad is None


@pytest.mark.parametrize("max_norm, factor", [(2.6, 0.2), (13.0, 1.0), (100.0, 1.0)])
def test_optim_sgd_clips_the_norm_of_all_gradients_together(max_norm, factor):
    params = make_parameters()[:2]
    grads = [np.zeros((3, 2)), np.array([0.0, -12.0, 0.0, 0.0])]
    grads[0][1, 1] = 5.0  # the norm of both is 13
    for param, grad in zip(params, grads):
        param.grad = ndl.Tensor(grad, dtype="float32")
    optim.SGD(params).clip_grad_norm(max_norm)
    factor = slip(
        "gradients that are small enough are scaled up: leave them", factor, max_norm / 13
    )
    largest = min(1.0, max_norm / 12)
    factor = slip("the largest gradient's norm counts: one norm of all together", factor, largest)
    single = [min(1.0, max_norm / length) for length in (5.0, 12.0)]
    factors = slip("each gradient is clipped by itself: one norm of all", [factor, factor], single)
    for factor, param, grad in zip(factors, params, grads):
        assert_close(
            param.grad, factor * grad, problem="hw2/optim_sgd", op="clip_grad_norm", dtype="float32"
        )


def submit_optim_sgd():
    import mugrade

    rng = mugrade.rng()
    for label, settings in zip(("plain", "momentum", "decay", "both"), SGD_SETTINGS):
        mugrade.submit(learn_a_line(rng, lambda p, s=settings: optim.SGD(p, **s)), label=label)
    params = random_parameters(rng)
    optimizer = optim.SGD(params, weight_decay=0.2)
    optimizer.step()
    optimizer.step()
    mugrade.submit([p.numpy() for p in params], label="two steps on one gradient")
    mugrade.submit(
        [p.grad.numpy() for p in random_parameters(rng, optimizer)],
        label="the gradients, after a step",
    )
    for label, bound in (("clipped", 1.5), ("not clipped", 99.0)):
        params = random_parameters(rng)
        optim.SGD(params).clip_grad_norm(bound)
        mugrade.submit([p.grad.numpy() for p in params], label=label)
    submit_growth(rng, lambda p: optim.SGD(p, momentum=0.5, weight_decay=0.1))
    submit_without_gradient(rng, lambda p: optim.SGD(p, momentum=0.5, weight_decay=0.1))


def random_parameters(rng, optimizer=None):
    """Parameters with gradients; after a step of an optimizer of the same settings, if one is given."""
    params = [nn.Parameter(rng.randn(*shape), dtype="float32") for shape in SHAPES]
    for param in params:
        param.grad = ndl.Tensor(np.asarray(rng.randn(*param.shape)), dtype="float32")
    if optimizer is not None:
        optimizer.params = params
        optimizer.step()
    return params


def submit_without_gradient(rng, make):
    """The parameters after a step in which the first one has no gradient."""
    import mugrade

    params = random_parameters(rng)
    params[0].grad = None
    make(params).step()
    mugrade.submit([p.numpy() for p in params], label="the first has no gradient")


def submit_growth(rng, make):
    """The memory that steps keep, with the weights that they lead to."""
    import mugrade

    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    optimizer = make(model.parameters())

    def step():
        optimizer.reset_grad()
        (model(ndl.Tensor(rng.randn(5, 3), dtype="float32")) ** 2).sum().backward()
        optimizer.step()

    kept = growth(step)
    mugrade.submit([kept, model.parameters()[0].numpy()], label="the memory that a step keeps")


def learn_a_line(rng, make):
    """The weights of a small network after five steps on random data."""
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    optimizer = make(model.parameters())
    X = ndl.Tensor(rng.randn(8, 4), dtype="float32")
    labels = ndl.Tensor(rng.randint(3, size=8))
    for _ in range(5):
        optimizer.reset_grad()
        nn.SoftmaxLoss()(model(X), labels).backward()
        optimizer.step()
    return [param.numpy() for param in model.parameters()]


def adam_rule(lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
    def rule(p, g, state, t):
        pull = weight_decay * p
        pull = slip("weight decay with the wrong sign: it pushes away from 0", pull, -pull)
        pull = slip("the weight decay is forgotten", pull, 0)
        apart = slip("this is AdamW: here the decay belongs to the gradient", 0, lr * pull)
        g = g + (0 if np.any(apart) else pull)
        beta = slip("m is averaged with beta2: its own is beta1", beta1, beta2)
        decay = slip("v is averaged with beta1: its own is beta2", beta2, beta1)
        state["m"] = beta * state.get("m", 0) + (1 - beta) * g
        power = slip("v averages the gradient: it averages its square", g**2, g)
        state["v"] = decay * state.get("v", 0) + (1 - decay) * power
        count = slip("t begins at 0: raise it before it is used", t, t - 1)
        count = slip("t counts parameters: it counts steps", count, len(SHAPES) * t)
        raised = len(SHAPES) * (t - 1) + state.get("number", 0) + 1
        count = slip("t is raised for every parameter: once a step", count, raised)
        count = slip("t stays 1: raise it in every step", count, 1)
        whole = slip("this is Adam without bias correction", 1, 0)
        m_begins = (
            slip("m is used without its bias correction", 1 - beta1**count, 1) if whole else 1
        )
        v_begins = (
            slip("v is used without its bias correction", 1 - beta2**count, 1) if whole else 1
        )
        with np.errstate(all="ignore"):
            mean, square = state["m"] / np.float64(m_begins), state["v"] / np.float64(v_begins)
        state["m"] = slip("the corrected m is kept: keep the uncorrected", state["m"], mean)
        state["v"] = slip("the corrected v is kept: keep the uncorrected", state["v"], square)
        with np.errstate(invalid="ignore"):
            root = slip("v's square root is missing", np.sqrt(square), square) + eps
            root = slip(
                "eps is under the root: it stands outside", root, lambda: np.sqrt(square + eps)
            )
        step = slip("the step goes uphill: subtract it", lr * mean / root, -lr * mean / root)
        return p - slip(
            "the parameter itself stays what it was: assign to p.data", apart + step, 0.0
        )

    return rule


ADAM_SETTINGS = [
    {"lr": 0.1},
    {"lr": 0.05, "weight_decay": 0.3},
    {"lr": 0.1, "beta1": 0.5, "beta2": 0.7},
    {"lr": 0.1, "eps": 0.5, "weight_decay": 0.1},
]


@pytest.mark.parametrize("settings", ADAM_SETTINGS, ids=str)
def test_optim_adam_follows_its_formula(settings):
    check_optimizer("hw2/optim_adam", lambda p: optim.Adam(p, **settings), adam_rule(**settings))


def test_optim_adam_takes_a_first_step_of_the_learning_rate():
    """Bias correction: whatever the size of the gradient, the first step is lr long."""
    param = nn.Parameter([0.0, 0.0], dtype="float32")
    param.grad = ndl.Tensor([1e-3, -50.0], dtype="float32")
    optim.Adam([param], lr=0.25).step()
    rule, grad = adam_rule(lr=0.25), np.array([1e-3, -50.0])
    assert_close(param, rule(0.0, grad, {}, 1), problem="hw2/optim_adam", rtol=1e-4)


def test_optim_adam_trains_without_growing_a_graph(no_collector):
    def make(params):
        return optim.Adam(params, lr=0.05, weight_decay=1e-3)

    check_optimizer_in_training("hw2/optim_adam", make, no_collector)


def test_optim_adam_skips_parameters_without_gradient():
    used, unused = nn.Parameter([1.0]), nn.Parameter([1.0])
    optimizer = optim.Adam([unused, used], lr=0.5, weight_decay=0.1)
    used.grad = ndl.Tensor([1.0])
    optimizer.step()
    assert_close(
        unused, np.array([1.0]), problem="hw2/optim_adam", op="a parameter without gradient"
    )
    assert_close(used, np.array([0.5]), problem="hw2/optim_adam", rtol=1e-5)


def submit_optim_adam():
    import mugrade

    rng = mugrade.rng()
    for label, settings in zip(("plain", "decay", "betas", "eps"), ADAM_SETTINGS):
        mugrade.submit(learn_a_line(rng, lambda p, s=settings: optim.Adam(p, **s)), label=label)
    submit_growth(rng, lambda p: optim.Adam(p, weight_decay=0.1))
    optimizer = optim.Adam(random_parameters(rng), weight_decay=0.2)
    mugrade.submit(
        [p.grad.numpy() for p in random_parameters(rng, optimizer)],
        label="the gradients, after a step",
    )
    submit_without_gradient(rng, lambda p: optim.Adam(p, weight_decay=0.1))
