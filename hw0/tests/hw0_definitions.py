"""What homework 0's functions are compared with: their definitions, and what becomes of them by mistake."""

import math

import numpy as np
from course_testing import numerical_gradients, slip


def loss_of(logits, labels):
    """Mean softmax loss, one example after the other, straight from its definition."""
    losses = [
        -math.log(math.exp(row[label]) / sum(math.exp(score) for score in row))
        for row, label in zip(logits.tolist(), labels.tolist())
    ]
    return sum(losses) / len(losses)


def loss_with_slips(logits, labels):
    """The same, and what it becomes by mistake."""
    logits = np.asarray(logits, np.float64)
    m, k = logits.shape
    log_sums, own = np.log(np.exp(logits).sum(1)), logits[np.arange(m), labels]
    largest = logits.max(1)
    loss = slip(
        "the sum over the examples: the mean is asked",
        loss_of(logits, labels),
        np.sum(log_sums - own),
    )
    loss = slip(
        "divided by the number of classes: by that of examples", loss, np.sum(log_sums - own) / k
    )
    loss = slip("the loss is negated", loss, np.mean(own - log_sums))
    pairs = np.mean(log_sums[:, None] - logits[:, labels])
    loss = slip("Z[:, y] takes every label for each row: index with np.arange(m), y", loss, pairs)
    best = np.mean(log_sums - largest)
    loss = slip("the largest logit is taken: take the one of the true class", loss, best)
    shifted = np.mean(log_sums - largest - own)
    loss = slip("what is subtracted inside exp is not added outside log", loss, shifted)
    whole = np.mean(np.log(np.exp(logits).sum()) - own)
    loss = slip("the sum of exp runs over all examples: over the classes of each", loss, whole)
    whole = np.mean(largest + np.log(np.exp(logits - largest[:, None]).sum()) - own)
    loss = slip("exp is summed over all examples: over the classes of each", loss, whole)
    columns = np.mean(np.log(np.exp(logits).sum(0))[labels] - own)
    loss = slip("normalized over the batch: over the classes of each example", loss, columns)
    return slip("the probability itself: its logarithm", loss, -np.mean(np.exp(own - log_sums)))


def linear_loss(X, y, theta):
    return loss_of(X @ theta, y)


def network_loss(X, y, W1, W2):
    return loss_of(np.maximum(X @ W1, 0) @ W2, y)


def softmax(Z):
    e = np.exp(Z - Z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def error_of(Z, y):
    """The gradient of the summed loss with respect to the logits, and what it becomes by mistake."""
    one_hot = np.eye(Z.shape[1])[y]
    error = slip(
        "softmax without the label: subtract the one-hot row", softmax(Z) - one_hot, softmax(Z)
    )
    name = "P[:, y] takes every label for each row: index with np.arange(B), y"
    error = slip(name, error, softmax(Z) - one_hot.max(axis=0))
    for shift in (0, 1):
        top = np.exp(Z - shift * Z.max(axis=1, keepdims=True))
        how = ", the largest logit subtracted" * shift
        name = f"softmax is not divided by its sum{how}"
        error = slip(name, error, top - one_hot)
        name = f"normalized over the batch{how}: over the classes of each example"
        error = slip(name, error, top / top.sum(axis=0) - one_hot)
    return error


def linear_slips(X, y, theta):
    """The gradient as a formula, for the mistakes that are made in it."""
    n, read = len(theta), theta
    wholes = {n - n % lanes for lanes in (4, 8, 16)} - {
        0,
        n,
    }  # of what vectors of some length cover
    for whole in sorted(wholes):
        left_out = f"the rest of a row, behind whole vectors, is left out of the logits: {n - whole} entries"
        read = slip(left_out, read, theta * (np.arange(n) < whole)[:, None])
    gradient = X.T @ error_of(X @ read, y) / len(X)
    for whole in sorted(wholes):
        left_out = (
            f"the last rows of theta, behind whole vectors, are not updated: {n - whole} rows"
        )
        gradient = slip(left_out, gradient, gradient * (np.arange(n) < whole)[:, None])
    return [gradient]


def network_slips(X, y, W1, W2, lr=0.0):
    hidden = X @ W1
    active = np.maximum(hidden, 0)
    active = slip("without ReLU: max(X W1, 0)", active, hidden)
    error = error_of(slip("the logits are X W1 W2, without ReLU", active, hidden) @ W2, y)
    off = hidden > 0
    passes = "units that are off pass a gradient: multiply by X W1 > 0 (relu's >= 0 is always true)"
    off = slip(passes, off, np.ones_like(off))
    name = "W2's gradient takes X W1, without ReLU: as the logits, max(X W1, 0)"
    dW2 = slip(name, active, hidden).T @ error / len(X)
    behind = slip("W1's gradient uses the new W2: compute both first", W2, W2 - lr * dW2)
    dW1 = X.T @ (off * (error @ behind.T)) / len(X)
    return [slip("W1 is not updated", dW1, 0 * dW1), slip("W2 is not updated", dW2, 0 * dW2)]


def gradients_of(loss, X, y, parameters, formula, slipped):
    """The gradients of one batch, measured.

    A slip that is made in `formula`, or in the arguments that it takes for these, takes their place.
    """
    gradients = numerical_gradients(lambda *p: loss(X, y, *p), parameters)
    of_formula = formula(*slipped)
    alike = all(np.allclose(a, b, atol=1e-5) for a, b in zip(of_formula, gradients))
    return gradients if alike else of_formula


def one_by_one(X, y, parameters, step, formula):
    """The parameters after a step for each example, where the batch should take one."""
    for x, label in zip(X, y):
        gradients = formula(x[None], label[None], *parameters)
        parameters = [p - step * gradient for p, gradient in zip(parameters, gradients)]
    return parameters


def sgd_by_differences(loss, X, y, parameters, lr, batch, formula):
    """One epoch of SGD with measured gradients; returns the new parameters in float64."""
    X = X.astype(np.float64)
    parameters = [parameter.astype(np.float64) for parameter in parameters]
    before, sums = parameters, [0.0 for _ in parameters]
    turned = [p.reshape(p.shape[::-1]).T for p in parameters]
    name = "theta is read column by column: element (j, c) is at j * k + c"
    parameters = slip(name, parameters, turned)
    last = slip("the last batch, which is shorter, is left out", len(X), len(X) - len(X) % batch)
    last = slip("only the first batch is taken: does the loop end there?", last, batch)
    for first in range(0, last, batch):
        Xb, yb = X[first : first + batch], y[first : first + batch]
        m = len(Xb)
        rows = slip("the rows of X of the first batch are used for all", Xb, X[:m])
        labels = slip("the labels of the first batch are used for all", yb, y[:m])
        name = "all gradients are taken at the first weights: each batch goes on from the last"
        at = slip(name, parameters, before)
        gradients = gradients_of(loss, Xb, yb, parameters, formula, (rows, labels, *at))
        sums = [total + m * gradient for total, gradient in zip(sums, gradients)]
        name = "the gradient is not set to zero before the next batch"
        gradients = slip(name, gradients, [total / m for total in sums])
        share = slip("the sum over the batch: its mean is asked", 1.0, m)
        share = slip(
            "the last batch has fewer examples: divide by its own number", share, m / batch
        )
        name = "divided by the number of all examples: by that of the batch"
        share = slip(name, share, m / len(X))
        step = slip("uphill: the gradient is subtracted", lr * share, -lr * share)
        early = one_by_one(Xb, yb, parameters, lr / m, formula)
        parameters = [p - step * gradient for p, gradient in zip(parameters, gradients)]
        name = "the weights change within a batch: its whole gradient first, then one step"
        parameters = slip(name, parameters, early)
    return slip(
        "not changed in place: write theta -= ..., not theta = theta - ...", parameters, before
    )


def examples(m=30, n=7, k=4, seed=0):
    """Random examples float32 (m, n) in [0, 1], every class among the labels uint8 (m,)."""
    random = np.random.RandomState(seed)
    X = random.rand(m, n).astype(np.float32)
    y = random.permutation(np.arange(m) % k).astype(np.uint8)
    return X, y


def weights(*shape, seed=1):
    return np.random.RandomState(seed).randn(*shape).astype(np.float32) / 2
