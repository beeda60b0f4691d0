"""The numbers in the moving figures, computed by needle: `values.py FOLDER` writes NAME.js there.

build.py runs it with the solved homework 4 on the import path. A figure's script only looks numbers
up. attention.json is the one thing that is committed: attention.py trains for it.
"""

import itertools
import json
import sys
from collections import OrderedDict
from pathlib import Path

import needle as ndl
import numpy as np
from needle import autograd, nn, ops, optim
from needle.backend_ndarray import NDArray, cpu_numpy


def tensor(values):
    return ndl.Tensor(np.asarray(values, dtype=np.float32))


def plain(array, digits=6):
    """A number, or nested lists of numbers, with so many significant digits."""
    array = array.numpy() if isinstance(array, (ndl.Tensor, NDArray)) else np.asarray(array)
    if array.ndim:
        return [plain(part, digits) for part in array]
    value = float(f"{array.item():.{digits}g}")
    return int(value) if value.is_integer() else value


def reverse_mode():
    """h = x * x, g = h * h, y = h + g at x = 2: values, adjoints, what each node sends back."""
    x = tensor([2.0])
    h = x * x
    g = h * h
    y = h + g
    y.backward()
    names = {x: "x", h: "h", g: "g", y: "y"}
    said = {x: "", h: "x * x", g: "h * h", y: "h + g"}
    nodes = []
    for node in autograd.find_topo_sort([y]):
        sent = [] if node.is_leaf() else node.op.gradient_as_tuple(node.grad, node)
        nodes.append(
            {
                "name": names[node],
                "formula": said[node],
                "op": "" if node.is_leaf() else type(node.op).__name__,
                "value": plain(node.reshape(())),
                "adjoint": plain(node.grad.reshape(())),
                "sends": [
                    [names[i], plain(grad.reshape(()))] for i, grad in zip(node.inputs, sent)
                ],
            }
        )
    return {"nodes": nodes}


def strides():
    """Slices of a (4, 5) array, permuted or repeated: shape, strides, offset, compact order."""
    rows = {
        ":": slice(None),
        "1:": slice(1, None),
        "::2": slice(None, None, 2),
        "1:4:2": slice(1, 4, 2),
        "2": 2,
    }
    columns = {
        ":": slice(None),
        "1:4": slice(1, 4),
        "::2": slice(None, None, 2),
        "3": 3,
        "4:4": slice(4, 4),
    }
    then = {
        "as it is": lambda a: a,
        ".permute((1, 0))": lambda a: a.permute((1, 0)),
        "[:1, :], repeated": lambda a: a[:1, :].broadcast_to(a.shape),
    }
    x = NDArray(np.arange(20).reshape(4, 5), device=cpu_numpy())
    views = {}
    for (i, row), (j, column), (k, change) in itertools.product(
        enumerate(rows.values()), enumerate(columns.values()), enumerate(then.values())
    ):
        view = change(x[row, column])
        views[f"{i} {j} {k}"] = {
            "shape": view.shape,
            "strides": view.strides,
            "offset": view._offset,
            "places": plain(view.compact().reshape((view.size,))),
        }
    return {"rows": list(rows), "columns": list(columns), "then": list(then), "views": views}


def broadcasting():
    """A small array broadcast to (2, 3), and the adjoint of that: sums over the copies."""
    out_grad = tensor([[1, 10, 100], [2, 20, 200]])
    cases = []
    for small in (np.array([5, 6, 7]), np.array([[5], [6]]), np.array(5)):
        x = tensor(small)
        big = ops.broadcast_to(x, (2, 3))
        big.backward(out_grad)
        source = ops.broadcast_to(tensor(np.arange(small.size).reshape(small.shape)), (2, 3))
        cases.append(
            {
                "shape": small.shape,
                "x": plain(x.reshape((small.size,))),
                "big": plain(big),
                "source": plain(source),
                "adjoint": plain(x.grad.reshape((small.size,))),
            }
        )
    return {"out_grad": plain(out_grad), "cases": cases}


class Caches:
    """Two levels that keep the lines used last; every access is counted where its line was found."""

    def __init__(self, *sizes):
        self.levels = [OrderedDict() for _ in sizes]
        self.sizes = sizes
        self.found = [0] * (len(sizes) + 1)

    def touch(self, line):
        inside = (number for number, level in enumerate(self.levels) if line in level)
        self.found[next(inside, len(self.levels))] += 1
        for level, size in zip(self.levels, self.sizes):
            level.pop(line, None)
            level[line] = True
            if len(level) > size:
                level.popitem(last=False)

    def where(self, line):
        return next((str(n) for n, level in enumerate(self.levels, 1) if line in level), "-")


SIDE, LINE, TILE = 16, 4, 4
LOOPS = {
    "Rung 1: i, j, k": lambda r: ((i, j, k) for i in r for j in r for k in r),
    "Rung 2: i, k, j": lambda r: ((i, j, k) for i in r for k in r for j in r),
    "Rung 3: tiles of 4 x 4": lambda r: (
        (i + di, j + dj, k + dk)
        for i, j, k in itertools.product(r[::TILE], repeat=3)
        for di, dk, dj in itertools.product(range(TILE), repeat=3)
    ),
}


def tiles():
    """Which lines of A, B and C are in which cache while a 16 x 16 product is computed.

    A state after every 64 multiply-adds: for each line where it is, what was touched, and how many
    accesses were answered by L1, by L2, by memory. What the innermost loop does not move stands in a
    register.
    """
    lines = [(m, r, c) for m in "ABC" for r in range(SIDE) for c in range(SIDE // LINE)]
    cases = []
    for name, loop in LOOPS.items():
        caches, held, states, touched = Caches(16, 128), {}, [], {m: set() for m in "ABC"}
        states.append({"where": "-" * len(lines), "found": [0, 0, 0], "now": None})
        for count, (i, j, k) in enumerate(loop(range(SIDE)), 1):
            for matrix, row, column in (("A", i, k), ("B", k, j), ("C", i, j)):
                if held.get(matrix) != (row, column):
                    caches.touch((matrix, row, column // LINE))
                    held[matrix] = row, column
                touched[matrix].add((row, column))
            if count % 64 == 0:
                where = "".join(map(caches.where, lines))
                states.append({"where": where, "found": list(caches.found), "now": spans(touched)})
                touched = {m: set() for m in "ABC"}
        cases.append({"name": name, "states": states})
    return {"side": SIDE, "line": LINE, "cases": cases}


def spans(touched):
    """[first row, last row, first column, last column] of what was touched, for each matrix."""
    found = []
    for places in touched.values():
        rows, columns = zip(*places)
        found.append([min(rows), max(rows), min(columns), max(columns)])
    return found


def block():
    """One block of 2 x 2 threads, block (0, 1), of a 4 x 4 product in two pairs of tiles."""
    device = cpu_numpy()
    a = NDArray([[1, 2, 0, 1], [3, 1, 2, 0], [2, 0, 1, 3], [1, 4, 2, 2]], device=device)
    b = NDArray([[1, 0, 2, 1], [2, 1, 0, 3], [0, 3, 1, 1], [4, 1, 2, 0]], device=device)
    sums = [a[2:4, : 2 * t].compact() @ b[: 2 * t, 0:2].compact() for t in (1, 2)]
    return {"a": plain(a), "b": plain(b), "c": plain(a @ b), "sums": [plain(s) for s in sums]}


def convolution():
    """A 5 x 5 image and a 3 x 3 kernel: the result, and both gradients as they add up."""
    rng = np.random.default_rng(4)
    image, kernel = rng.integers(0, 4, (5, 5)), rng.integers(-1, 3, (3, 3))
    cases = []
    for padding, stride in itertools.product((0, 1), (1, 2)):
        x, w = tensor(image[None, :, :, None]), tensor(kernel[:, :, None, None])
        y = ops.conv(x, w, stride=stride, padding=padding)
        adjoint = rng.integers(-2, 3, y.shape[1:3])
        so_far, images, kernels = np.zeros(y.shape, np.float32), [], []
        for place in np.ndindex(*adjoint.shape):  # the gradient is linear in the adjoint
            so_far[0, place[0], place[1], 0] = adjoint[place]
            y.backward(ndl.Tensor(so_far.copy()))
            images.append(plain(x.grad.numpy()[0, :, :, 0]))
            kernels.append(plain(w.grad.numpy()[:, :, 0, 0]))
        cases.append(
            {
                "padding": padding,
                "stride": stride,
                "result": plain(y.numpy()[0, :, :, 0]),
                "adjoint": plain(adjoint),
                "images": images,
                "kernels": kernels,
            }
        )
    return {"image": plain(image), "kernel": plain(kernel), "cases": cases}


def lstm():
    """One LSTM unit over five steps, for three biases of its forget gate; adjoints of c_1 ... c_5."""
    cell = nn.LSTMCell(1, 1)
    settings = {"W_ih": [5, 0, 4, 0], "W_hh": [0, 0, 0, 0], "bias_hh": [0, 0, 0, 0]}
    for name, row in settings.items():
        shape = getattr(cell, name).shape
        getattr(cell, name).data = tensor(np.reshape(row, shape))
    inputs, cases = [1, 0, 0, 0, 0], []
    for words, bias in (("nearly open", 3), ("half open", 0), ("nearly shut", -3)):
        cell.bias_ih.data = tensor([-3, bias, 0, 2])
        state, steps = (tensor([[0.0]]), tensor([[0.0]])), []
        for x in inputs:
            before = state
            state = cell(tensor([[x]]), state)
            raw = (
                tensor([[x]]) @ cell.W_ih
                + before[0] @ cell.W_hh
                + (cell.bias_ih + cell.bias_hh).reshape((1, 4))
            )
            parts = [tensor([[value]]) for value in raw.numpy()[0]]
            gates = [
                ops.tanh(part) if k == 2 else ops.sigmoid(part) for k, part in enumerate(parts)
            ]
            steps.append([state, [x, *(gate.item() for gate in gates)]])
        steps[-1][0][1].backward()
        cases.append(
            {
                "forget": words,
                "bias": bias,
                "steps": [
                    dict(
                        zip("xifgoch", plain([*row, c.item(), h.item()])),
                        adjoint=plain(c.grad.item()),
                    )
                    for (h, c), row in steps
                ],
            }
        )
    return {"cases": cases}


def optimizers():
    """Sixty steps of three optimizers down f(p) = (p_0^2 + 25 p_1^2) / 2, at three learning rates."""
    curvature, start = np.array([1.0, 25.0]), [-4.0, 1.0]
    kinds = {
        "SGD": lambda p, lr: optim.SGD([p], lr=lr),
        "momentum 0.9": lambda p, lr: optim.SGD([p], lr=lr, momentum=0.9),
        "Adam": lambda p, lr: optim.Adam([p], lr=lr),
    }
    cases = []
    for rate in (0.03, 0.07, 0.09):
        paths = []
        for name, kind in kinds.items():
            p = nn.Parameter(tensor(start))
            optimizer, places, losses = kind(p, rate), [], []
            for _ in range(61):
                loss = (p * p * tensor(curvature)).sum() * 0.5
                places.append(plain(p, 4))
                losses.append(plain(loss, 4))
                loss.backward()
                optimizer.step()
            paths.append({"name": name, "places": places, "losses": losses})
        cases.append({"rate": rate, "paths": paths})
    return {"curvature": plain(curvature), "cases": cases}


def attention():
    """What attention.py has trained and looked at."""
    return json.loads(Path(__file__).with_name("attention.json").read_text(encoding="utf-8"))


FIGURES = {
    "reverse-mode": reverse_mode,
    "strides": strides,
    "broadcasting": broadcasting,
    "tiles": tiles,
    "block": block,
    "convolution": convolution,
    "lstm": lstm,
    "attention": attention,
    "optimizers": optimizers,
}


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, compute in FIGURES.items():
        values = json.dumps(compute(), separators=(",", ":"))
        script = f'figureValues["{name}"] = {values};\n'
        (folder / f"{name}.js").write_text(script, encoding="utf-8")


if __name__ == "__main__":
    main()
