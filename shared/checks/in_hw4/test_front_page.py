"""The program on the site's front page runs as it stands there."""

import re
from pathlib import Path

import needle as ndl
import numpy as np
from apps.models import ResNet9
from needle.nn import SoftmaxLoss

FRONT = Path(__file__).resolve().parents[2] / "site" / "front.markdown"


def test_the_program_on_the_front_page_runs_on_two_batches_of_noise():
    images = ndl.Tensor(np.random.randn(4, 3, 32, 32), dtype="float32", device=ndl.cuda())
    labels = ndl.Tensor(np.arange(4), dtype="float32", device=ndl.cuda())
    names = {"ndl": ndl, "ResNet9": ResNet9, "SoftmaxLoss": SoftmaxLoss}
    names["loader"] = [(images, labels)] * 2
    program = re.search(r"```python\n(.*?)```", FRONT.read_text(encoding="utf-8"), re.DOTALL)[1]
    exec(program, names)
    assert names["loss"].shape == () and np.isfinite(names["loss"].numpy())
    assert all(p.grad is not None for p in names["model"].parameters())
