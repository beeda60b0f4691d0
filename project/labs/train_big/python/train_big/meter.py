"""What a piece of a program holds and computes, counted and not timed.

    with Meter() as meter:
        model = nn.Linear(8, 8)
        model(x).backward()
    print(meter.peak_bytes, meter.operations)

Counted is the array behind every Tensor that is made in the block, each buffer once, for as long as a
Tensor or the graph holds it; not what an operator uses while it computes. Layers run as they are
written (`needle.kernels("own")`), so that every operator is seen.

In a program of many ranks `with Meter(comm):` tells the rank's communicator: a matrix product lets its
virtual clock go on, and the bytes are what `Run.peak_memory` shows.
"""

import math
import threading

import numpy as np
from needle import autograd, ops


class Meter:
    """Counts inside a `with` block, of the thread that runs it.

    Args:
        comm: the rank's Communicator, which is told; None: nobody is.

    Attributes:
        live_bytes: now.
        peak_bytes: the most that there ever were.
        operations: of matrix products, an addition and a multiplication for each term; nothing else
            is counted, as is the custom.
    """

    def __init__(self, comm=None):
        self.comm = comm
        self.live_bytes = self.peak_bytes = self.operations = 0
        self._holders = {}  # id of a buffer -> [the buffer, how many Records hold it]

    def __enter__(self):
        _instruments.begin(self)
        return self

    def __exit__(self, *error):
        _instruments.end()

    def hold(self, data):
        """A Record begins to hold `data` -> its buffers, to be given to `release`."""
        buffers = [buffer_of(array) for array in _flat(data)]
        for buffer in buffers:
            entry = self._holders.setdefault(id(buffer), [buffer, 0])
            entry[1] += 1
            if entry[1] == 1:
                self._change(buffer.nbytes)
        return buffers

    def release(self, buffers):
        """A Record holds these buffers no more."""
        for buffer in buffers:
            entry = self._holders[id(buffer)]
            entry[1] -= 1
            if entry[1] == 0:
                del self._holders[id(buffer)]
                self._change(-buffer.nbytes)

    def _change(self, nbytes):
        self.live_bytes += nbytes
        self.peak_bytes = max(self.peak_bytes, self.live_bytes)
        if self.comm is not None:
            self.comm.hold("tensors", self.live_bytes)

    def multiplied(self, operations):
        """A matrix product was made."""
        self.operations += operations
        if self.comm is not None:
            self.comm.compute(operations)


class _Instruments:
    """What is put in needle's place while any Meter counts: a Record's data, and the product."""

    def __init__(self):
        self.here = threading.local()  # .meter: the one that counts in this thread
        self.counting = 0
        self.held = {}  # id of a Record -> (its meter, its buffers)

    def begin(self, meter):
        self.here.outer = [*getattr(self.here, "outer", ()), getattr(self.here, "meter", None)]
        self.here.meter = meter
        self.counting += 1
        if self.counting == 1:
            self._install()

    def end(self):
        self.here.meter = self.here.outer.pop()
        self.counting -= 1
        if self.counting == 0:
            autograd.Record.data, ops.MatMul.compute = self.before
            del autograd.Record.__del__
            self.kernels.__exit__()
            self.held.clear()

    def _install(self):
        record, product = autograd.Record, ops.MatMul
        self.before = slot, multiply = record.data, product.compute

        def set_data(this, data):
            self.forget(this)
            slot.__set__(this, data)
            meter = getattr(self.here, "meter", None)
            if meter is not None:
                self.held[id(this)] = meter, meter.hold(data)

        def counted_multiply(this, a, b):
            result = multiply(this, a, b)
            meter = getattr(self.here, "meter", None)
            if meter is not None:
                meter.multiplied(2 * math.prod(result.shape) * a.shape[-1])
            return result

        record.data, product.compute = property(slot.__get__, set_data), counted_multiply
        record.__del__ = lambda this: self.forget(this)
        self.kernels = ops.kernels("own")

    def forget(self, record):
        """A Record's data is replaced, or the Record goes."""
        meter, buffers = self.held.pop(id(record), (None, ()))
        if meter is not None:
            meter.release(buffers)


_instruments = _Instruments()


def _flat(data):
    """The arrays in an array, a tuple of arrays, or None."""
    if isinstance(data, (tuple, list)):
        return [array for part in data for array in _flat(part)]
    return [] if data is None else [data]


def buffer_of(array):
    """The NumPy array that owns the memory of which `array` is a view."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
