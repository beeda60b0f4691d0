"""Draws the lab's traces: sums over four ranks by whole arrays and by parts.

`python lab_traces.py SOLVED`, where SOLVED is a solved homework beside the solved lab.
"""

import os
import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(sys.argv[1]).parent / "project/labs/train_big/python"))
sys.path.append(str(Path(__file__).resolve().parents[2]))
from cluster import Network, run
from train_big.collectives import all_reduce
from train_big.ring import ring_sum

NETWORK = Network(alpha=1e-5, beta=1e-9)


def program(comm, function):
    comm.compute((5 - comm.rank) * 2e8, "own work")
    function(comm, np.ones(250_000, "float32"))
    comm.compute(2e8, "own work")


FIGURES = Path(__file__).resolve().parent
os.chdir(Path(sys.argv[1]).parent)  # traces name places of the program from the current folder
for function in (ring_sum, all_reduce):
    outcome = run(program, 4, function, network=NETWORK, flops_per_second=1e12)
    title = f"{function.__name__} of 1 MB on 4 ranks"
    path = FIGURES / f"train_big_{function.__name__}.svg"
    path.write_text(outcome.svg(title), encoding="utf-8")
