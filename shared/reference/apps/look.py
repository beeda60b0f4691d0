"""What `hw viz` shows of your own networks; run it in the homework's folder.

    hw viz gradients apps/look.py:depth -o gradients.png
    hw viz mistakes apps/look.py:digits -o mistakes.png
### FROM hw4
    hw viz mistakes apps/look.py:images -o mistakes.png         after train.py resnet9
    hw viz attention apps/look.py:attention -o attention.png    after train.py transformer --chars
    hw viz filters checkpoints/resnet9.safetensors -o filters.png
### END
"""

import os
import sys

HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
for folder in (os.path.join(HOME, "python"), os.path.join(HOME, "apps"), HOME):
    if folder not in sys.path:
        sys.path.append(folder)

import numpy as np
from experiments import NoResidual, fit, parts_of, replaced
from experiments import digits as batches_of_digits
from mlp_resnet import MLPResNet

import needle as ndl
from needle import nn


def depth(blocks=20):
    """The norm of the loss's gradient at each Linear layer of a deep MLPResNet before training."""
    X, y = next(batches_of_digits(True, 100))
    norms = {}
    for name, parts in (("with the sums", {}), ("without", {"Residual": NoResidual})):
        np.random.seed(0)
        with replaced(nn, **parts):
            model = MLPResNet(784, 64, num_blocks=blocks, drop_prob=0.0)
        nn.SoftmaxLoss()(model(X), y).backward()
        layers = [part for part in parts_of(model) if isinstance(part, nn.Linear)]
        norms[name] = [float(np.linalg.norm(part.weight.grad.numpy())) for part in layers]
    return {"norms": norms}


def digits():
    """The test images that your MLPResNet gets wrong after two epochs."""
    np.random.seed(0)
    model = MLPResNet(784, 64, num_blocks=1)
    opt = ndl.optim.Adam(model.parameters(), lr=0.003)
    fit(model, opt, (batch for _ in range(2) for batch in batches_of_digits(True, 100)))
    model.eval()
    batches = list(batches_of_digits(False, 250))
    X, y = (np.concatenate([batch[k].numpy() for batch in batches]) for k in range(2))
    predicted = np.concatenate([model(X).numpy().argmax(axis=1) for X, _ in batches])
    return {
        "images": X.reshape(-1, 28, 28, 1),
        "labels": y.astype(int),
        "predicted": predicted,
        "names": "0123456789",
    }


### FROM hw4

EMOJI = (
    *("face", "person", "hand", "animal", "food"),
    *("vehicle", "place", "object", "symbol", "flag"),
)
CIFAR = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)


def trained(*words):
    """The run of train.py that these words name, as its last checkpoint has it."""
    from apps import train

    run = train.Run(train.parse([*words, "--resume"]))
    run.model.eval()
    return run


def images():
    """The test images that the ResNet9 of your last training gets wrong."""
    run = trained("resnet9")
    X, y = run.data.test[:]
    batches = (logits.numpy() for logits, _ in run.data.test_batches(run.model, run.device))
    names = EMOJI
    if "CIFAR" in run.title:
        names = CIFAR
    return {
        "images": X.transpose(0, 2, 3, 1),
        "labels": y.astype(int),
        "predicted": np.concatenate([batch.argmax(axis=1) for batch in batches]),
        "names": names,
    }


def attention(text="It is a truth universally"):
    """Where the heads of the first layer look, in the Transformer of your last training."""
    run = trained("transformer", "--chars")
    seen, forward = [], nn.MultiHeadAttention.forward

    def kept(self, q, k, v):
        result, probs = forward(self, q, k, v)
        seen.append(probs.numpy()[0])
        return result, probs

    number = run.data.corpus.dictionary.word2idx
    ids = np.array([[number[letter]] for letter in text.replace(" ", "_")])
    with replaced(nn.MultiHeadAttention, forward=kept):
        run.model(ndl.Tensor(ids, device=run.device, dtype="float32", requires_grad=False))
    return {"weights": seen[0], "tokens": list(text)}


### END
