"""The pipeline: its schedule, its gradients, its bubble, and how much it keeps."""

import weakref

import numpy as np
import pytest
from cluster import Network, run
from course_testing import assert_close
from needle import nn
from needle.autograd import TensorOp
from train_big.pipeline import BACKWARD, FORWARD, PipelineStage, one_forward_one_backward
from train_big_networks import gradients, network, normal, tensor

PROBLEM = "train-big/pipeline"
SIZES = [(1, 3), (2, 1), (2, 4), (4, 2), (4, 8), (8, 9)]
sizes = pytest.mark.parametrize("stages, micro_batches", SIZES)

# -------------------------------------------------------------------------------------- schedule


def shown(order):
    return " ".join(f"{what[0].upper()}{number}" for what, number in order)


EXAMPLE = ["F0 F1 F2 B0 F3 B1 B2 B3", "F0 F1 B0 F2 B1 F3 B2 B3", "F0 B0 F1 B1 F2 B2 F3 B3"]


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_pipeline_schedule_of_three_stages_and_four_micro_batches(stage):
    got = shown(one_forward_one_backward(stage, 3, 4))
    assert got == EXAMPLE[stage], (
        f"{PROBLEM}: stage {stage} of 3 with 4 micro-batches: {got}; expected {EXAMPLE[stage]}"
    )


@sizes
def test_pipeline_schedule_keeps_no_more_micro_batches_than_stages_that_follow(
    stages, micro_batches
):
    for stage in range(stages):
        order, kept, most = one_forward_one_backward(stage, stages, micro_batches), 0, 0
        for what in (FORWARD, BACKWARD):
            numbers = [number for kind, number in order if kind == what]
            assert numbers == list(range(micro_batches)), (
                f"{PROBLEM}: stage {stage}: {what} of {numbers}: each once, in order"
            )
        for what, _ in order:
            kept += 1 if what == FORWARD else -1
            most = max(most, kept)
            assert kept >= 0, (
                f"{PROBLEM}: stage {stage} goes backward before forward: {shown(order)}"
            )
        assert most == min(stages - stage, micro_batches), (
            f"{PROBLEM}: stage {stage} of {stages} keeps {most} micro-batches at a time: "
            f"{shown(order)}; {min(stages - stage, micro_batches)} are enough"
        )


# ------------------------------------------------------------------------------- the real thing


def cut(model, comm):
    """This stage's modules of a network."""
    number = len(model.modules) // comm.size
    return nn.Sequential(*model.modules[comm.rank * number : (comm.rank + 1) * number])


def squares(y, number):
    """The mean over rows of a micro-batch; each has an aim of its own."""
    error = y - float(number)
    return (error * error).sum() / y.shape[0]


def train(comm, micro_batches, layers=8, steps=1):
    stage = PipelineStage(comm, cut(network(layers), comm))
    for _ in range(steps):
        loss = stage.step(micro_batches, squares)
    return loss, gradients(stage.module.parameters())


@pytest.mark.parametrize("steps", [1, 2])
@sizes
def test_pipeline_gradients_are_those_of_the_mean_loss(stages, micro_batches, steps):
    batch = [normal(3, 8, seed=seed) for seed in range(micro_batches)]
    model = network(8)
    losses = [squares(model(tensor(part)), number) for number, part in enumerate(batch)]
    total = sum(losses[1:], losses[0]) / micro_batches
    total.backward()
    desired = gradients(model.parameters())
    outcome = run(train, stages, batch, 8, steps)
    got = [grad for _, grads in outcome.results for grad in grads]
    for number, (grad, wanted) in enumerate(zip(got, desired, strict=True)):
        op = f"gradient of parameter {number} after step {steps}"
        assert_close(grad, wanted, problem=PROBLEM, op=op, rtol=1e-5, atol=1e-5, dtype="float32")
    *others, loss = [loss for loss, _ in outcome.results]
    assert_close(loss, total.numpy(), problem=PROBLEM, op="the loss, on the last stage", rtol=1e-5)
    assert others == [None] * (stages - 1), f"{PROBLEM}: only the last stage knows the loss"


class Work(TensorOp):
    """x times a weight; forward takes the rank one unit of time, backward two."""

    def __init__(self, comm, note):
        self.comm, self.note = comm, note

    def compute(self, x, weight):
        self.comm.compute(1, "forward")
        result = x * weight
        self.note(+1)
        weakref.finalize(result, self.note, -1)
        return result

    def gradient(self, out_grad, node):
        self.comm.compute(2, "backward")
        x, weight = node.inputs
        return out_grad * weight, out_grad * x


class Worker(nn.Module):
    """A stage that works, and counts the micro-batches whose results it keeps."""

    def __init__(self, comm):
        super().__init__()
        self.weight = nn.Parameter([[1.0]], dtype="float32")
        self.comm, self.kept, self.most = comm, 0, 0

    def note(self, change):
        self.kept += change
        self.most = max(self.most, self.kept)

    def forward(self, x):
        return Work(self.comm, self.note)(x, self.weight)


def work(comm, micro_batches):
    worker = Worker(comm)
    PipelineStage(comm, worker).step([np.ones((1, 1))] * micro_batches, lambda y, number: y.sum())
    return worker.most


@sizes
def test_pipeline_waits_for_its_bubble_and_no_longer(stages, micro_batches):
    outcome = run(work, stages, micro_batches, network=Network(0, 0), flops_per_second=1)
    bubble = (stages - 1) / (micro_batches + stages - 1)
    for rank in range(stages):
        assert abs(outcome.idle(rank) - bubble) <= 0.01 * bubble, (
            f"{PROBLEM}: stage {rank} of {stages} with {micro_batches} micro-batches waits for "
            f"{outcome.idle(rank):.3f} of the time; (p - 1) / (m + p - 1) is {bubble:.3f}\n"
            f"{outcome.text()}"
        )


@sizes
def test_pipeline_lets_the_activations_of_a_micro_batch_go(stages, micro_batches):
    kept = run(work, stages, micro_batches).results
    desired = [min(stages - stage, micro_batches) for stage in range(stages)]
    assert kept == desired, (
        f"{PROBLEM}: the stages keep {kept} micro-batches at a time; expected {desired}"
    )


@sizes
def test_pipeline_sends_each_activation_and_each_adjoint_once(stages, micro_batches):
    outcome = run(train, stages, [normal(3, 8)] * micro_batches)
    desired = [
        micro_batches * 3 * 8 * 4 * ((stage > 0) + (stage < stages - 1)) for stage in range(stages)
    ]
    assert outcome.bytes_sent == desired, (
        f"{PROBLEM}: the stages send {outcome.bytes_sent} bytes; expected {desired}"
    )


def submit_pipeline():
    import mugrade

    rng = mugrade.rng()
    for stages in (2, 4):
        micro_batches = int(rng.randint(stages, 99))
        codes = [
            2 * number + (what == BACKWARD)
            for stage in range(stages)
            for what, number in one_forward_one_backward(stage, stages, micro_batches)
        ]
        mugrade.submit(codes, label=f"schedules of {stages} stages")
        outcome = run(work, stages, micro_batches, network=Network(0, 0), flops_per_second=1)
        mugrade.submit([*outcome.results, int(outcome.time)], label=f"kept, time, {stages} stages")
        rows = int(rng.randint(2, 99))
        batch = [rng.randn(rows, 8).astype("float32") for _ in range(stages + 2)]
        outcome = run(train, stages, batch, 4, 2)
        loss = outcome.results[-1][0]
        grads = [grads[0] for _, grads in outcome.results]
        mugrade.submit([np.array(loss), *grads], label=f"loss and gradients, {stages} stages")
        mugrade.submit(outcome.bytes_sent, label=f"bytes sent, {stages} stages")
