"""Draws the lab's traces of training: buckets of gradients, and a pipeline.

`python lab_training.py SOLVED`, where SOLVED is a solved homework beside the solved lab.
"""

import os
import sys
from pathlib import Path

import numpy as np

os.environ["NEEDLE_BACKEND"] = "np"
sys.path.append(f"{sys.argv[1]}/python")
sys.path.append(str(Path(sys.argv[1]).parent / "project/labs/train_big/python"))
sys.path.append(str(Path(__file__).resolve().parents[2]))
from cluster import Network, run
from needle.autograd import Tensor
from train_big.data_parallel import DataParallel
from train_big.pipeline import FORWARD, one_forward_one_backward

FIGURES, SOLVED = Path(__file__).resolve().parent, Path(sys.argv[1]).resolve()


def buckets(comm, layers=6):
    """A backward pass of equal layers, a bucket each."""
    weights = [Tensor(np.zeros(64, "float32")) for _ in range(layers)]
    parallel = DataParallel(comm, weights, bucket_bytes=1)
    for number in reversed(range(layers)):
        comm.compute(20, f"layer {number + 1}")
        weights[number].grad = Tensor(np.ones(64, "float32"))
        parallel.ready(weights[number])
    while parallel.on_their_way:
        parallel.go_on()


def pipeline(comm, micro_batches=8):
    """What a stage waits for and how long it computes; nothing is computed."""
    nothing, requests = np.zeros(1, "float32"), []
    for what, number in one_forward_one_backward(comm.rank, comm.size, micro_batches):
        step = 1 if what == FORWARD else -1
        before, behind = comm.rank - step, comm.rank + step
        if 0 <= before < comm.size:
            comm.recv(before)
        comm.compute(1 if what == FORWARD else 2, f"{what[0].upper()}{number}")
        if 0 <= behind < comm.size:
            requests.append(comm.isend(nothing, behind))
    for request in requests:
        request.wait()


os.chdir(SOLVED.parent)  # traces name places of the program from the current folder
for program, ranks, network, title in (
    (buckets, 3, Network(alpha=2, beta=0.02), "Six buckets of gradients, sent when they are full"),
    (pipeline, 4, Network(alpha=0.1, beta=0), "Four stages, eight micro-batches"),
):
    outcome = run(program, ranks, network=network, flops_per_second=1)
    path = FIGURES / f"train_big_{program.__name__}.svg"
    path.write_text(outcome.svg(title), encoding="utf-8")
