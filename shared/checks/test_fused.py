"""The fused kernels compute what the layers compute operator by operator: values, gradients, and
gradients of gradients, for many shapes."""

import os
import subprocess
import sys

SCRIPT = """
import gc
import sys
sys.path[:0] = ["./python", "./apps", "."]
import numpy as np
import needle as ndl
from needle import nn, ops

device = ndl.cpu()
rng = np.random.RandomState(0)


def tensor(array):
    return ndl.Tensor(np.asarray(array, dtype="float32"), device=device)


def outcome(module, arrays, constants, fused, twice):
    # -> results, gradients of inputs and parameters, and the same once more of those gradients
    inputs = [tensor(a) for a in arrays]
    leaves = [*inputs, *module.parameters()]
    for p in leaves:
        p.grad = None
    results = module(*inputs, *constants)
    results = results if isinstance(results, tuple) else (results,)
    results = [r for part in results for r in (part if isinstance(part, tuple) else (part,))]
    fixed = np.random.RandomState(1)
    total = None
    for r in results:
        term = (r * r * tensor(fixed.randn(*r.shape))).sum()
        total = term if total is None else total + term
    total.backward()
    grads = [p.grad for p in leaves]
    found = [r.numpy() for r in results] + [g.numpy() for g in grads]
    if twice:
        slope = None
        for g in grads:
            term = (g * tensor(fixed.randn(*g.shape))).sum()
            slope = term if slope is None else slope + term
        slope.backward()
        found += [p.grad.numpy() for p in leaves]
    return found


def compare(name, module, *arrays, constants=(), twice=True, tolerance=2e-3):
    fast = outcome(module, arrays, constants, True, twice)
    with ops.without_fused_kernels():
        slow = outcome(module, arrays, constants, False, twice)
    for k, (a, b) in enumerate(zip(fast, slow)):
        assert a.shape == b.shape, (name, k, a.shape, b.shape)
        limit = tolerance * max(1.0, np.abs(b).max())
        assert np.abs(a - b).max() <= limit, (name, k, np.abs(a - b).max(), limit)
    print("same:", name, len(fast))


r = lambda *shape: rng.randn(*shape)
for rows, a, b in ((1, 1, 1), (3, 5, 7), (33, 17, 40), (100, 64, 10)):
    compare(f"Linear {rows} {a} {b}", nn.Linear(a, b), r(rows, a))
    compare("Linear without bias", nn.Linear(a, b, bias=False), r(2, rows, a))
    compare("LayerNorm", nn.LayerNorm1d(a + 1), r(rows, a + 1))
    compare("BatchNorm1d", nn.BatchNorm1d(a), r(rows + 1, a))
    compare("ReLU", nn.ReLU(), r(rows, a) + 0.01)
    compare("SoftmaxLoss", nn.SoftmaxLoss(), 5 * r(rows, b),
            constants=(tensor(rng.randint(0, b, rows)),))
    compare("MLP", nn.Sequential(nn.Linear(a, b), nn.ReLU(), nn.Linear(b, a), nn.ReLU(),
                                 nn.Linear(a, 3)), r(rows, a))
for shape, out, k, stride in (((1, 1, 1, 1), 1, 1, 1), ((2, 3, 8, 8), 4, 3, 1), ((3, 2, 9, 7), 5, 3, 2),
                              ((2, 3, 16, 16), 6, 7, 4), ((5, 4, 1, 1), 3, 3, 1),
                              ((4, 3, 2, 2), 5, 3, 2), ((300, 2, 3, 3), 4, 3, 1),
                              ((2, 2, 6, 5), 3, 5, 3)):
    for bias in (True, False):
        compare(f"Conv {shape} {k} {stride}", nn.Conv(shape[1], out, k, stride, bias=bias), r(*shape))
    compare("BatchNorm2d", nn.BatchNorm2d(shape[1]), r(shape[0] + 1, *shape[1:]))
for steps, batch, inputs, hidden, layers, bias in ((1, 1, 1, 1, 1, True), (4, 3, 5, 7, 2, True),
                                                   (3, 2, 9, 16, 1, False)):
    compare("LSTM", nn.LSTM(inputs, hidden, layers, bias), r(steps, batch, inputs))
for shape, keys in (((1, 1, 1, 1), 1), ((2, 3, 5, 4), 5), ((2, 2, 3, 9), 11), ((1, 2, 6, 3), 4)):
    for causal in (False, True):
        if causal and keys < shape[2]:
            continue
        q, k, v = r(*shape), r(*shape[:2], keys, shape[3]), r(*shape[:2], keys, shape[3])
        compare(f"attention {shape} {keys} {causal}", nn.MultiHeadAttention(causal=causal), q, k, v)
ids = tensor(rng.randint(0, 11, (6, 4)))
compare("Embedding", nn.Embedding(11, 5), constants=(ids,))

# The running averages of batch norm, and the optimizers.
for make in (lambda: nn.BatchNorm1d(6), lambda: nn.BatchNorm2d(6)):
    shape = (9, 6) if type(make()).__name__ == "BatchNorm1d" else (3, 6, 4, 2)
    x, fast, slow = tensor(r(*shape) * 3 + 1), make(), make()
    for _ in range(3):
        fast(x)
        with ops.without_fused_kernels():
            slow(x)
    for name in ("running_mean", "running_var"):
        a, b = getattr(fast, name).numpy(), getattr(slow, name).numpy()
        assert np.allclose(a, b, rtol=1e-4, atol=1e-5), name
for make in (lambda p: ndl.optim.SGD(p, lr=0.1, weight_decay=0.01),
             lambda p: ndl.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
             lambda p: ndl.optim.Adam(p, lr=0.01, weight_decay=0.01)):
    start, grads, ends = r(7, 5), [r(7, 5) for _ in range(4)], []
    for fused in (True, False):
        p = nn.Parameter(tensor(start))
        opt = make([p, nn.Parameter(tensor(start))])
        for g in grads:
            before = p.data
            kept, p.grad = before.numpy(), tensor(g)
            if fused:
                opt.step()
            else:
                with ops.without_fused_kernels():
                    opt.step()
            assert (before.numpy() == kept).all(), "a step must not write into shared arrays"
        ends.append(p.numpy())
    assert np.allclose(*ends, rtol=1e-5, atol=1e-6)



# A layer that adds to what its class computes: its gradient's gradient is that of the class's form.
class Twice(nn.Linear):
    def forward(self, x):
        return super().forward(x) * 2.0


compare("a subclass", Twice(3, 4), r(5, 3))

# A constant input needs no gradient, also not where the others are differentiated twice.
x = ndl.Tensor(r(5, 3).astype("float32"), device=device, requires_grad=False)
for module in (nn.Linear(3, 4), nn.LayerNorm1d(3), nn.BatchNorm1d(3)):
    (module(x) ** 2).sum().backward()
    first = module.weight.grad
    (first ** 2).sum().backward()
    with ops.without_fused_kernels():
        (module(x) ** 2).sum().backward()
        assert np.allclose(module.weight.grad.numpy(), first.numpy(), rtol=1e-4, atol=1e-4)

# Without a garbage collector, a model and all its graphs go with the last reference.
gc.disable()
gc.collect()
alive = ndl.autograd.TENSOR_COUNTER
model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.LayerNorm1d(6), nn.BatchNorm1d(6), nn.Linear(6, 3))
recurrent = nn.LSTM(3, 3)
out, _ = recurrent(model(tensor(r(5, 4))).reshape((5, 1, 3)))
loss = nn.SoftmaxLoss()(out.reshape((5, 3)), tensor([0, 1, 2, 0, 1]))
loss.backward()
assert ndl.autograd.TENSOR_COUNTER > alive + 30
del model, recurrent, out, loss, _
assert ndl.autograd.TENSOR_COUNTER == alive, ndl.autograd.TENSOR_COUNTER - alive
gc.enable()

# Mistakes are found by the kernels too.
for wrong, says in (
    (lambda: nn.Linear(3, 4)(tensor(r(4, 6))), "fused linear does not fit inputs of shape (4, 6), (3, 4), "
     "(1, 4): weight has shape (3, 4), expected (6, any)"),
    (lambda: nn.LayerNorm1d(3)(tensor(r(4, 6))), "(4, 6), (3,), (3,): weight has shape (3,), expected (6,)"),
    (lambda: nn.BatchNorm1d(3)(tensor(r(4, 6))), "(4, 6), (3,), (3,)"),
    (lambda: nn.Conv(3, 4, 3)(tensor(r(1, 2, 5, 5))), "weight has shape (3, 3, 3, 4), expected (any, any, 2, any)"),
    (lambda: nn.SoftmaxLoss()(tensor(r(2, 3)), tensor([0, 3])), "id 3.000000 is outside 0 to 2"),
    (lambda: nn.Linear(3, 4)(ndl.Tensor(r(2, 3), device=ndl.cpu_numpy(), dtype="float32")), "cpu_numpy"),
):
    try:
        wrong()
    except (ValueError, IndexError) as error:
        assert says in str(error), error
        continue
    raise SystemExit("a wrong call went through")
print("all the same")
"""


def test_fused_kernels_agree_with_the_layers_own_forms(solved):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=solved / "hw4",
        capture_output=True,
        text=True,
        env={**os.environ, "NEEDLE_BACKEND": "nd"},
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert done.stdout.strip().endswith("all the same")
