"""One training, by every scheme: `hw lab train-big apps/train.py`, with `--ranks 2` or `--mpi 4`, too.

Homework 4's Transformer language model, a tiny one, learns a made-up language. Every scheme makes the
same steps on the same batches, and so comes to the same losses; what differs is who holds what, and
who tells whom. Time is virtual (under MPI this machine's).
"""

import sys
import time

import numpy as np
from apps.models import LanguageModel
from cluster import Network, run
from needle import nn, optim
from needle.autograd import Tensor
from train_big.checkpointing import checkpoint
from train_big.collectives import all_reduce
from train_big.data_parallel import DataParallel, share
from train_big.fully_sharded import ShardedLinear
from train_big.language_model import block_parts, in_a_row, parts, replace_linears
from train_big.meter import Meter
from train_big.pipeline import PipelineStage
from train_big.sharded_optimizer import ShardedOptimizer
from train_big.tensor_parallel import ParallelBlock

WORDS, FEATURES, HIDDEN, LAYERS = 24, 32, 64, 6
TIME, BATCH, STEPS = 16, 8, 6
NETWORK, OPERATIONS_PER_SECOND = Network(alpha=2e-6, beta=1e-9), 1e10
BUCKET_BYTES = 100_000


def batches():
    """STEPS pairs (ids, next ids), each (BATCH, TIME): a word decides what comes next, mostly."""
    random = np.random.RandomState(1)
    follower = random.permutation(WORDS)
    text = np.zeros((STEPS * BATCH, TIME + 1), dtype="int64")
    text[:, 0] = random.randint(0, WORDS, len(text))
    for place in range(TIME):
        strays = random.rand(len(text)) < 0.1
        chosen = random.randint(0, WORDS, len(text))
        text[:, place + 1] = np.where(strays, chosen, follower[text[:, place]])
    pairs = zip(np.split(text[:, :-1], STEPS), np.split(text[:, 1:], STEPS))
    return [(ids.astype("float32"), following) for ids, following in pairs]


def modules():
    """The model's modules in a row, with the same weights on every rank."""
    kept = np.random.get_state()
    np.random.seed(0)
    model = LanguageModel(FEATURES, WORDS, HIDDEN, LAYERS, "transformer", TIME)
    np.random.set_state(kept)
    return in_a_row(model)


def adam(params):
    return optim.Adam(params, lr=0.003)


def loss_of(logits, following):
    """The mean over all words; `following` is (B, T), logits begin with the first words of all texts."""
    return nn.SoftmaxLoss()(logits, Tensor(following.T.ravel(), requires_grad=False))


def forward(model, ids, following):
    return loss_of(model(Tensor(ids.T, requires_grad=False)), following)


def average(comm, loss):
    return all_reduce(comm, loss.numpy(), mean=True).item()


def usual_step(model):
    """A step as on one machine: from a batch of ids and following ids to the loss."""
    optimizer = adam(model.parameters())

    def step(ids, following):
        optimizer.reset_grad()
        loss = forward(model, ids, following)
        loss.backward()
        optimizer.step()
        return loss.numpy().item()

    return step


# Each scheme is a function of the rank's Communicator and returns one that makes a step: from a batch
# of ids and following ids, the whole one on all ranks, to the loss.


def alone(comm):
    """Everything on one rank, without a message."""
    return usual_step(nn.Sequential(*modules()))


def data_parallel(comm, model=None, averaged=None):
    """Each rank has the whole model and a part of the batch.

    Args:
        model: if it is not the plain one.
        averaged: Parameters whose gradients are to be averaged; default: all.
    """
    model = model or nn.Sequential(*modules())
    parallel = DataParallel(comm, averaged or model.parameters(), BUCKET_BYTES)
    optimizer = adam(model.parameters())

    def step(ids, following):
        optimizer.reset_grad()
        loss = forward(model, share(comm, ids), share(comm, following))
        parallel.backward(loss)
        optimizer.step()
        return average(comm, loss)

    return step


class Checkpointed(nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return checkpoint(self.module, x)


def with_checkpoints(comm):
    """Data parallel, and each layer keeps its input only."""
    front, *layers, back = modules()
    return data_parallel(comm, nn.Sequential(front, *map(Checkpointed, layers), back))


def sharded_optimizer(comm):
    """Data parallel, and each rank keeps a part of Adam's state."""
    model = nn.Sequential(*modules())
    optimizer = ShardedOptimizer(comm, model.parameters(), adam)

    def step(ids, following):
        optimizer.reset_grad()
        loss = forward(model, share(comm, ids), share(comm, following))
        loss.backward()
        optimizer.step()
        return average(comm, loss)

    return step


def fully_sharded(comm):
    """Data parallel, and each rank holds a part of every Linear layer."""
    model = nn.Sequential(*modules())
    replace_linears(model, lambda linear: ShardedLinear(comm, linear))
    averaged = {layer.part for layer in parts(model, ShardedLinear)}  # their gradients are means
    return data_parallel(comm, model, [p for p in model.parameters() if p not in averaged])


def tensor_parallel(comm):
    """Each rank has the whole batch and a part of every matrix of the blocks."""
    front, *layers, back = modules()
    model = nn.Sequential(front, *[ParallelBlock(comm, *block_parts(b)) for b in layers], back)
    return usual_step(model)


def pipeline(comm):
    """Each rank has some of the layers; the texts of a batch follow one another."""
    row = modules()
    cuts = [round(len(row) * rank / comm.size) for rank in range(comm.size + 1)]
    model = nn.Sequential(*row[cuts[comm.rank] : cuts[comm.rank + 1]])
    stage = PipelineStage(comm, model)
    optimizer = adam(model.parameters())

    def step(ids, following):
        optimizer.reset_grad()
        texts = [text[:, None] for text in ids]
        loss = stage.step(texts, lambda logits, number: loss_of(logits, following[number, None]))
        optimizer.step()
        return loss

    return step


SCHEMES = {
    "data parallel": data_parallel,
    "and checkpoints": with_checkpoints,
    "sharded optimizer": sharded_optimizer,
    "fully sharded": fully_sharded,
    "tensor parallel": tensor_parallel,
    "pipeline": pipeline,
}


def train(comm, scheme):
    """The losses of all steps; None where a rank does not know them."""
    with Meter(comm):
        step = scheme(comm)
        return [step(*batch) for batch in batches()]


def row(name, outcome, losses, seconds):
    """A line of the table: of most numbers the largest of any rank."""
    computed = max(outcome.seconds("compute", rank) for rank in range(len(outcome.results)))
    numbers = [
        f"{losses[0]:.4f}",
        f"{losses[-1]:.4f}",
        f"{max(outcome.peak_memory) / 1e3:,.0f}",
        f"{max(outcome.bytes_sent) / 1e3:,.0f}",
        f"{max(outcome.flops) / 1e6:,.0f}",
        f"{1e3 * outcome.time:.2f}",
        f"{1e3 * computed:.2f}" if computed else "-",
        f"{seconds:.1f}",
    ]
    return [name, *numbers]


HEADS = ["scheme", "first loss", "last loss", "peak kB", "sent kB", "million op", "ms", "computing"]
HEADS += ["real s"]


def compare(ranks):
    """Train by every scheme on so many ranks -> (rows of the table, largest difference of losses)."""
    schemes = {"one rank": alone} if ranks == 1 else SCHEMES
    rows, all_losses = [], [alone_losses()]
    for name, scheme in schemes.items():
        began = time.perf_counter()
        outcome = run(train, ranks, scheme, network=NETWORK, flops_per_second=OPERATIONS_PER_SECOND)
        losses = outcome.results[-1]  # the last stage of a pipeline knows them
        all_losses.append(losses)
        rows.append(row(name, outcome, losses, time.perf_counter() - began))
    differences = np.abs(np.array(all_losses) - all_losses[0])
    return rows, differences.max(), outcome


def alone_losses():
    """What every scheme must come to: the same training by one process that knows of no cluster."""
    step = alone(None)
    return [step(*batch) for batch in batches()]


def main():
    ranks = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    rows, difference, outcome = compare(ranks)
    if outcome.rank == 0:
        print(
            f"{ranks} ranks, {outcome.transport}; losses differ from one process by {difference:.1e}"
        )
        widths = [max(map(len, column)) for column in zip(HEADS, *rows)]
        for line in (HEADS, *rows):
            cells = [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
            print("  ".join([line[0].ljust(widths[0]), *cells]))


if __name__ == "__main__":
    main()
