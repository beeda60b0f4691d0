"""Draws homework 1's figures: two small graphs with the gradients that flowed back.

`python hw1_graphs.py SOLVED`, where SOLVED is a solved tree of homework 1 or later with NumPy.
"""

import sys
from pathlib import Path

sys.path.append(f"{sys.argv[1]}/python")
sys.path.append(str(Path(__file__).resolve().parents[2]))
import needle as ndl
from coursekit import viz

a, b = ndl.Tensor([2.0]), ndl.Tensor([5.0])
L = a * b + a
x = ndl.Tensor([2.0])
h = x * x
g = h * h
y = h + g
for name, output, names in (
    ("hw1_sum_of_uses", L, {"a": a, "b": b, "L": L}),
    ("hw1_order", y, {"x": x, "h": h, "g": g, "y": y}),
):
    output.backward()
    path = Path(__file__).with_name(f"{name}.svg")
    path.write_text(viz.svg(output, names), encoding="utf-8")
