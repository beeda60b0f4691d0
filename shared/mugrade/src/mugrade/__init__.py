"""mugrade: grading by comparing values.

In a submission hook, a function `submit_<problem>()` of a homework's test file::

    def submit_softmax_loss():
        import mugrade
        rng = mugrade.rng()
        logits = rng.randn(8, 3).astype("float32")
        mugrade.submit(softmax_loss(logits, labels), label="three classes")

`submit` hands in one case; `rng()` is the stream that this student's variant of the problem draws
its inputs from, and `seed` is that variant's seed. Everything else is the command `mugrade`
(`python -m mugrade`). Nothing here touches the network.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from mugrade.recorder import current

if TYPE_CHECKING:
    import numpy

__version__ = "1.0.0"
__all__ = ["__version__", "rng", "seed", "submit"]


def submit(value: Any, label: str | None = None) -> None:
    """Hand in `value` as the next case of the running submission hook.

    The value is copied at once: what the hook does to it afterwards changes nothing. With no
    submission running it is printed instead, so that a hook can be called by hand.

    Raises:
        TypeError: a value of a type that cannot be sent; the sentence names the type.
    """
    current().submit(value, label, sys._getframe(1))


def rng() -> numpy.random.RandomState:
    """The random stream of the case at hand: the same object until the next `submit`."""
    return current().rng()


def __getattr__(name: str) -> Any:
    if name == "seed":
        return current().seed
    raise AttributeError(f"module 'mugrade' has no attribute {name!r}")
