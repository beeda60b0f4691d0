"""Homework 4: convolution, its layer and its gradients; ResNet9."""

import numpy as np
from course_testing import assert_close, assert_gradients_close, slip
from hw4_oracles import (
    GRADED_DEVICE,
    TwiceTheLoss,
    batch_norm_images,
    cases,
    check_backward,
    check_backward_twice,
    check_forward,
    conv,
    conv_layer,
    conv_slips,
    draw_linear,
    every_device,
    find_parameters,
    ndl,
    normal,
    one_device,
    softmax,
    softmax_loss,
    sweep,
    tensor,
)
from hypothesis import given
from hypothesis import strategies as st
from needle import nn

forward = {"problem": "hw4/conv_forward"}
backward = {"problem": "hw4/conv_backward"}
resnet = {"problem": "hw4/resnet9"}
TWO = ("the images", "the kernel")


# --------------------------------------------------------------------------- the operator conv

CONVOLUTIONS = [  # images (N, H, W, C), kernel (K, K, C, O), stride, padding
    ((3, 14, 14, 8), (3, 3, 8, 16), 1, 1),
    ((3, 14, 14, 8), (3, 3, 8, 16), 1, 0),
    ((3, 16, 16, 8), (3, 3, 8, 14), 1, 2),
    ((3, 16, 16, 8), (3, 3, 8, 14), 2, 1),
    ((3, 17, 17, 8), (3, 3, 8, 16), 1, 0),
    ((3, 17, 17, 1), (5, 5, 1, 16), 1, 0),
    ((3, 16, 16, 2), (5, 5, 2, 14), 1, 2),
    ((3, 14, 14, 2), (3, 3, 2, 2), 2, 1),
    ((1, 14, 14, 2), (3, 3, 2, 2), 1, 0),
    ((3, 16, 16, 24), (1, 1, 24, 14), 1, 0),
    ((2, 14, 14, 3), (1, 1, 3, 2), 2, 0),
    ((2, 6, 7, 3), (3, 3, 3, 2), 2, 1),
    ((2, 8, 5, 2), (3, 3, 2, 3), 3, 0),
    ((1, 9, 9, 1), (4, 4, 1, 2), 3, 2),
    ((2, 5, 5, 2), (1, 1, 2, 3), 1, 2),
    ((2, 4, 4, 2), (1, 1, 2, 2), 3, 2),
    ((2, 1, 1, 3), (3, 3, 3, 2), 1, 1),
    ((2, 2, 2, 3), (3, 3, 3, 2), 2, 1),
    ((2, 11, 11, 3), (7, 7, 3, 4), 4, 3),
    ((1, 1, 1, 1), (1, 1, 1, 1), 8, 2),
]
convolutions = cases("images,kernel,stride,padding", CONVOLUTIONS)


@every_device
@convolutions
def test_op_conv_forward(images, kernel, stride, padding, device):
    x, w = normal(*images), normal(*kernel)
    result = ndl.conv(tensor(x, device), tensor(w, device), stride=stride, padding=padding)
    desired = conv(x.astype("float64"), w.astype("float64"), stride, padding)
    check_forward(result, desired, device, op="conv", terms=np.prod(kernel[:3]), **forward)


@every_device
@cases("height,width,side,stride,padding", [(4, 4, 3, 1, 0), (4, 5, 3, 1, 1), (5, 5, 3, 2, 1)])
def test_op_conv_backward_of_small_whole_numbers(height, width, side, stride, padding, device):
    """One image, one channel, numbers that tell where they stand; images and kernel apart."""
    image = np.arange(1.0, 1 + height * width).reshape(1, height, width, 1)
    kernel = np.arange(1.0, 1 + side * side).reshape(side, side, 1, 1)
    x, w = tensor(image, device), tensor(kernel, device)
    result = ndl.conv(x, w, stride=stride, padding=padding)
    adjoint = np.arange(1.0, 1 + np.prod(result.shape)).reshape(result.shape)
    result.backward(tensor(adjoint, device, requires_grad=False))
    assert_gradients_close(
        lambda x, w: conv(x, w, stride, padding),
        [image, kernel],
        [x.grad, w.grad],
        weights=adjoint,
        op="conv",
        slips=conv_slips(stride, padding),
        names=TWO,
        **backward,
    )


@every_device
@convolutions
def test_op_conv_backward(images, kernel, stride, padding, device):
    check_backward(
        lambda x, w: ndl.conv(x, w, stride=stride, padding=padding),
        lambda x, w: conv(x, w, stride, padding),
        [normal(*images), normal(*kernel)],
        device,
        op="conv",
        slips=conv_slips(stride, padding),
        names=TWO,
        **backward,
    )


@every_device
@cases(
    "images,kernel,stride,padding",
    [
        ((1, 4, 5, 2), (3, 3, 2, 2), 1, 1),
        ((2, 6, 5, 2), (3, 3, 2, 2), 2, 1),
        ((1, 3, 3, 2), (1, 1, 2, 3), 2, 1),
    ],
)
def test_op_conv_backward_twice(images, kernel, stride, padding, device):
    check_backward_twice(
        lambda x, w: ndl.conv(x, w, stride=stride, padding=padding),
        lambda x, w: conv(x, w, stride, padding),
        [normal(*images), normal(*kernel)],
        device,
        op="conv",
        **backward,
    )


@st.composite
def convolution(draw):
    """Images, kernel, stride, padding, with at least one window."""
    n, c, o = (draw(st.integers(1, 3)) for _ in range(3))
    k, stride, padding = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(0, 3))
    least = max(1, k - 2 * padding)
    height, width = (draw(st.integers(least, least + 5)) for _ in range(2))
    return (n, height, width, c), (k, k, c, o), stride, padding


@one_device
@sweep
@given(case=convolution())
def test_op_conv_forward_sweep(device, case):
    images, kernel, stride, padding = case
    x, w = normal(*images), normal(*kernel)
    result = ndl.conv(tensor(x, device), tensor(w, device), stride=stride, padding=padding)
    check_forward(result, conv(x, w, stride, padding), device, op="conv", terms=64, **forward)


@one_device
@sweep
@given(case=convolution())
def test_op_conv_backward_sweep(device, case):
    images, kernel, stride, padding = case
    check_backward(
        lambda x, w: ndl.conv(x, w, stride=stride, padding=padding),
        lambda x, w: conv(x, w, stride, padding),
        [normal(*images), normal(*kernel)],
        device,
        op="conv",
        **backward,
    )


# --------------------------------------------------------------------------------- the layer


@every_device
def test_kaiming_uniform_with_a_shape(device):
    """The values that the original course's check expects: seed 0, this shape."""
    np.random.seed(0)
    weight = ndl.init.kaiming_uniform(16 * 9, 8 * 9, shape=(3, 3, 16, 8), device=device)
    assert weight.shape == (3, 3, 16, 8) and weight.device == device
    total = -2.5719218
    total = slip(
        "the bound comes from the shape's first axis: from fan_in", total, total * np.sqrt(48)
    )
    assert_close(weight.numpy().sum(), total, rtol=1e-6, atol=1e-4, op="sum", **forward)
    bound = slip(
        "the bound comes from the shape's first axis: from fan_in", np.sqrt(6 / 144), np.sqrt(2)
    )
    largest = np.abs(weight.numpy()).max() / bound
    assert 0.99 < largest <= 1, (
        f"hw4/conv_forward: the largest weight is {largest:.3g} times the bound"
    )


@every_device
def test_kaiming_uniform_without_a_shape_is_as_before(device):
    np.random.seed(42)
    weight = ndl.init.kaiming_uniform(3, 5, device=device)
    assert_close(weight.numpy()[0, 0], -0.35485414, rtol=1e-5, op="first weight", **forward)


def conv_and_parameters(device, a, b, k, stride=1, bias=True):
    layer = nn.Conv(a, b, k, stride=stride, bias=bias, device=device)
    return layer, [layer.weight, layer.bias] if bias else [layer.weight]


LAYERS = [
    (4, 16, 3, 1, True),
    (4, 16, 3, 2, True),
    (3, 8, 7, 4, True),
    (2, 3, 1, 1, True),
    (2, 3, 3, 1, False),
    (2, 3, 5, 2, False),
    (2, 3, 4, 1, True),
]
layers = cases("a,b,k,stride,bias", LAYERS)


@every_device
@layers
def test_nn_conv_forward(a, b, k, stride, bias, device):
    layer, parameters = conv_and_parameters(device, a, b, k, stride, bias)
    x = normal(2, a, 9, 8)
    values = [p.numpy().astype("float64") for p in parameters]
    desired = conv_layer(x.astype("float64"), *values, stride=stride)
    result = layer(tensor(x, device))
    check_forward(result, desired, device, op="nn.Conv", terms=a * k * k, **forward)


@every_device
def test_nn_conv_forward_draws_weight_then_bias(device):
    np.random.seed(3)
    layer = nn.Conv(4, 6, 3, device=device)
    np.random.seed(3)
    name = "the fan-in counts the channels only: with every tap of the kernel, in * k * k"
    fan_in = slip(name, 36, 4)
    weight = (np.random.rand(3, 3, 4, 6) * 2 - 1) * np.sqrt(6 / fan_in)
    bound = slip("the bias's bound counts the channels only: 1 / sqrt(in * k * k)", fan_in, 4)
    bound = slip("the bias's bound comes from the outputs: 1 / sqrt(in * k * k)", bound, 54)
    bias = (np.random.rand(6) * 2 - 1) / np.sqrt(bound)
    assert_close(layer.weight, weight, rtol=1e-5, op="nn.Conv.weight", dtype="float32", **forward)
    assert_close(layer.bias, bias, rtol=1e-5, op="nn.Conv.bias", dtype="float32", **forward)
    assert [type(p).__name__ for p in layer.parameters()] == ["Parameter", "Parameter"]


@every_device
def test_nn_conv_forward_takes_the_first_of_a_pair(device):
    layer = nn.Conv(2, 3, (3, 3), stride=(2, 2), device=device)
    assert layer(tensor(normal(1, 2, 8, 8), device)).shape == (1, 3, 4, 4)


def test_nn_conv_forward_without_bias_has_one_parameter():
    layer = nn.Conv(2, 3, 3, bias=False, device=GRADED_DEVICE)
    assert layer.bias is None and len(layer.parameters()) == 1


@every_device
@layers
def test_nn_conv_backward(a, b, k, stride, bias, device):
    layer, parameters = conv_and_parameters(device, a, b, k, stride, bias)

    def oracle(x, *values):
        return conv_layer(x, *values, stride=stride)

    check_backward(
        layer, oracle, [normal(2, a, 9, 8)], device, extra=parameters, op="nn.Conv", **backward
    )


# ------------------------------------------------------------------------------------ ResNet9


def draw_resnet9():
    """ResNet9's parameters as the text prescribes their draws: pairs (weight, bias), in order."""
    convolutions = [
        (3, 16, 7),
        (16, 32, 3),
        (32, 32, 3),
        (32, 32, 3),
        (32, 64, 3),
        (64, 128, 3),
        (128, 128, 3),
        (128, 128, 3),
    ]
    drawn = []
    for a, b, k in convolutions:
        fan_in = a * k * k
        weight = (np.random.rand(k, k, a, b) * 2 - 1) * np.sqrt(6 / fan_in)
        bias = (np.random.rand(b) * 2 - 1) / np.sqrt(fan_in)
        drawn.append((weight.astype("float32"), bias.astype("float32")))
    return drawn + [tuple(draw_linear(128, 128)), tuple(draw_linear(128, 10))]


def resnet9(x, parameters):
    """ResNet9 in training, float64."""
    pairs = [(w.astype("float64"), b.astype("float64")) for w, b in parameters]

    def block(x, k, stride=1):
        y = conv_layer(x, *pairs[k], stride=stride)
        y = slip("no batch norm after a convolution", batch_norm_images(y), y)
        return slip("no ReLU after a batch norm", np.maximum(y, 0), y)

    name = "the strides of the first two convolutions are exchanged: 4, then 2"
    first, second = slip(name, (4, 2), (2, 4))
    x = block(block(x, 0, first), 1, second)
    shortcut = slip("the residual blocks do not add their input", 1.0, 0.0)
    x = shortcut * x + block(block(x, 2), 3)
    x = block(block(x, 4, 2), 5, 2)
    x = shortcut * x + block(block(x, 6), 7)
    x = x.reshape(len(x), -1)
    x = np.maximum(x @ pairs[8][0] + pairs[8][1], 0)
    return x @ pairs[9][0] + pairs[9][1]


def test_resnet9_has_431946_parameters():
    from apps.models import ResNet9

    model = ResNet9(device=GRADED_DEVICE)
    count = sum(int(np.prod(p.shape)) for p in model.parameters())
    biases = 16 + 32 + 32 + 32 + 64 + 128 + 128 + 128
    without = slip("the convolutions have no bias: they have one", 0, biases)
    assert count == 431946 - without, (
        f"hw4/resnet9: {count} parameters, expected {431946 - without}"
    )


@every_device
def test_resnet9_forward(device):
    from apps.models import ResNet9

    np.random.seed(0)
    model = ResNet9(device=device)
    np.random.seed(0)
    parameters = draw_resnet9()
    find_parameters(model, [array for pair in parameters for array in pair])
    x = normal(3, 3, 32, 32)
    # Eight batch norms over few pixels each make rounding errors grow.
    assert_close(
        model(tensor(x, device)),
        resnet9(x.astype("float64"), parameters),
        rtol=1e-3,
        atol=1e-3,
        op="ResNet9",
        dtype="float32",
        **resnet,
    )


@every_device
def test_resnet9_every_parameter_gets_a_gradient(device):
    from apps.models import ResNet9

    model = ResNet9(device=device)
    logits = model(tensor(normal(2, 3, 32, 32), device))
    nn.SoftmaxLoss()(logits, tensor([3, 7], device)).backward()
    for p in model.parameters():
        assert p.grad is not None and p.grad.shape == p.shape


# --------------------------------------------------------------------------- train_cifar10


def small_images(count=10):
    """Ten samples as a data set: images (3, 32, 32) and labels 0 to 9."""
    images = np.random.rand(count, 3, 32, 32).astype("float32")
    labels = np.arange(count, dtype="uint8") % 10
    return ndl.data.NDArrayDataset(images, labels), images, labels


def linear_model(device):
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, 10, device=device))


def softmax_regression(images, labels, W, b, batch, lr, weight_decay, epochs):
    """SGD in float64. -> (accuracy, mean loss) of the last epoch, W, b."""
    W, b = W.astype("float64"), b.astype("float64")
    weight_decay = slip("the weight decay is not given to the optimizer", weight_decay, 0.0)
    X = images.reshape(len(images), -1).astype("float64")
    for _ in range(epochs):
        right, total, means = 0, 0.0, []
        for k in range(0, len(X), batch):
            x, y = X[k : k + batch], labels[k : k + batch]
            logits = x @ W + b
            right += (logits.argmax(1) == y).sum()
            means.append(softmax_loss(logits, y))
            total += means[-1] * len(y)
            g = (softmax(logits) - np.eye(10)[y]) / len(y)
            W, b = W - lr * (x.T @ g + weight_decay * W), b - lr * (g.sum(0) + weight_decay * b)
    name = "the mean of the batches' means: the last batch is shorter"
    return right / len(X), slip(name, total / len(X), np.mean(means)), W, b


@every_device
def test_train_cifar10_trains_and_reports(device):
    """A linear model, batches of 4, 4 and 2: losses count samples, not batches."""
    from simple_ml import train_cifar10

    data, images, labels = small_images()
    model = linear_model(device)
    W, b = (p.numpy() for p in model.parameters())
    model.eval()
    accuracy, loss = train_cifar10(
        model,
        ndl.data.DataLoader(data, batch_size=4),
        n_epochs=3,
        optimizer=ndl.optim.SGD,
        lr=0.01,
        weight_decay=0.1,
        loss_fn=nn.SoftmaxLoss,
    )
    wanted_accuracy, wanted_loss, W, b = softmax_regression(images, labels, W, b, 4, 0.01, 0.1, 3)
    assert_close(accuracy, wanted_accuracy, rtol=1e-6, op="accuracy", **resnet)
    assert_close(loss, wanted_loss, rtol=1e-4, op="loss", lengths=(4, 10), **resnet)
    assert_close(model.parameters()[0], W, rtol=1e-3, op="weights after training", **resnet)
    assert model.training, "hw4/resnet9: training switches the model to training: model.train()"
    assert isinstance(accuracy, float) and isinstance(loss, float)


@every_device
def test_train_cifar10_then_evaluate_changes_nothing(device):
    from simple_ml import evaluate_cifar10, train_cifar10

    data, images, labels = small_images()
    model = nn.Sequential(linear_model(device), nn.BatchNorm1d(10, device=device))
    loader = ndl.data.DataLoader(data, batch_size=4)
    train_cifar10(model, loader, n_epochs=1, lr=0.001)
    before = {name: value.numpy() for name, value in model.state_dict().items()}
    accuracy, loss = evaluate_cifar10(model, loader)
    assert not model.training, (
        "hw4/resnet9: evaluation switches the model to evaluation: model.eval()"
    )
    for name, value in model.state_dict().items():
        assert_close(
            value,
            before[name],
            rtol=0,
            atol=0,
            op=f"{name}, afterwards (evaluation changes nothing)",
            **resnet,
        )
    logits = model(tensor(images, device)).numpy().astype("float64")
    assert_close(loss, softmax_loss(logits, labels), rtol=1e-4, op="loss", **resnet)
    twice = slip("the loss_fn that is given is not used", 2 * loss, loss)
    other = evaluate_cifar10(model, loader, TwiceTheLoss)[1]
    assert_close(other, twice, rtol=1e-4, op="another loss", **resnet)
    assert_close(accuracy, (logits.argmax(1) == labels).mean(), op="accuracy", **resnet)


@one_device
def test_train_cifar10_lowers_the_loss_of_resnet9(device):
    from apps.models import ResNet9
    from simple_ml import train_cifar10

    data, _, _ = small_images()
    np.random.seed(0)
    model = ResNet9(device=device)
    loader = ndl.data.DataLoader(data, batch_size=5)
    _, first = train_cifar10(model, loader, n_epochs=1, lr=0.003, weight_decay=0.001)
    accuracy, last = train_cifar10(model, loader, n_epochs=8, lr=0.003, weight_decay=0.001)
    assert last < 0.5 * first and accuracy >= 0.8, (first, last, accuracy)


# ------------------------------------------------------------------------------------- submission


GRADED_CONVOLUTIONS = [
    ((2, 8, 8, 3), (3, 3, 3, 4), 1, 1),
    ((2, 9, 7, 2), (3, 3, 2, 3), 2, 1),
    ((1, 6, 6, 2), (1, 1, 2, 2), 1, 2),
    ((1, 11, 10, 1), (5, 5, 1, 2), 3, 0),
]


def submit_conv_forward():
    import mugrade

    rng = mugrade.rng()
    for images, kernel, stride, padding in GRADED_CONVOLUTIONS:
        x, w = tensor(rng.randn(*images), GRADED_DEVICE), tensor(rng.randn(*kernel), GRADED_DEVICE)
        result = ndl.conv(x, w, stride=stride, padding=padding)
        label = f"conv of {images} with {kernel}, stride {stride}, padding {padding}"
        mugrade.submit(result.numpy(), label=label)
    for a, b, k, stride in ((3, 5, 3, 1), (2, 4, 5, 2), (2, 3, 4, 1)):
        np.random.seed(rng.randint(1000))
        layer = nn.Conv(a, b, k, stride=stride, device=GRADED_DEVICE)
        result = layer(tensor(rng.randn(2, a, 9, 8), GRADED_DEVICE))
        mugrade.submit(layer.weight.numpy(), label=f"weight of Conv({a}, {b}, {k})")
        mugrade.submit(layer.bias.numpy(), label=f"bias of Conv({a}, {b}, {k})")
        mugrade.submit(result.numpy(), label=f"Conv({a}, {b}, {k}, stride={stride})")


def submit_conv_backward():
    import mugrade

    rng = mugrade.rng()
    for images, kernel, stride, padding in GRADED_CONVOLUTIONS:
        x, w = tensor(rng.randn(*images), GRADED_DEVICE), tensor(rng.randn(*kernel), GRADED_DEVICE)
        result = ndl.conv(x, w, stride=stride, padding=padding)
        result.backward(tensor(rng.randn(*result.shape), GRADED_DEVICE, requires_grad=False))
        label = f"conv of {images} with {kernel}, stride {stride}, padding {padding}"
        mugrade.submit(x.grad.numpy(), label=f"{label}: gradient of the images")
        mugrade.submit(w.grad.numpy(), label=f"{label}: gradient of the kernel")


def submit_resnet9():
    import mugrade
    from apps.models import ResNet9
    from simple_ml import evaluate_cifar10, train_cifar10

    rng = mugrade.rng()
    np.random.seed(rng.randint(1000))
    model = ResNet9(device=GRADED_DEVICE)
    sizes = [int(np.prod(p.shape)) for p in model.parameters()]
    images, labels = rng.rand(6, 3, 32, 32).astype("float32"), rng.randint(0, 10, 6)
    logits = model(tensor(images, GRADED_DEVICE))
    value = [np.array(sorted(sizes)), logits.numpy()]
    mugrade.submit(value, label="sizes of the parameters, and logits")
    small = linear_model(GRADED_DEVICE)
    loader = ndl.data.DataLoader(ndl.data.NDArrayDataset(images, labels), batch_size=4)
    for epochs in (1, 2):
        _, loss = train_cifar10(
            small, loader, n_epochs=epochs, optimizer=ndl.optim.SGD, lr=0.01, weight_decay=0.01
        )
        mugrade.submit(loss, label=f"loss of a linear model, {epochs} epochs")
        mugrade.submit(small.parameters()[1].numpy(), label=f"its bias, {epochs} epochs")
    mugrade.submit(evaluate_cifar10(small, loader)[1], label="its loss in evaluation")
    loss = evaluate_cifar10(small, loader, TwiceTheLoss)[1]
    mugrade.submit(loss, label="another loss in evaluation")
