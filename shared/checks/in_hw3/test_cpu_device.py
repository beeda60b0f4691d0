"""The CPU device in processes, threads and memory."""

import os
import platform
import sys
import threading

import numpy as np
import pytest
from memory import peak_memory
from needle import backend_ndarray as nd


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.own_process(NEEDLE_NUM_THREADS="2")
def test_a_forked_child_computes_with_threads_of_its_own():
    a = nd.array(np.ones((600, 600)))
    a @ a  # starts the threads
    child = os.fork()
    if child == 0:
        os._exit(0 if (a @ a).numpy()[0, 0] == 600 else 1)  # it has none of its parent's threads
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.own_process(NEEDLE_NUM_THREADS="2")
def test_kernels_may_be_called_from_many_python_threads():
    x = np.random.randn(300, 300).astype("float32")
    a, desired, wrong = nd.array(x), x @ x, []

    def work():
        for _ in range(20):
            if not np.allclose((a @ a).numpy(), desired, atol=1e-3):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss counts differently")
@pytest.mark.own_process()
def test_temporaries_reuse_memory():
    a = nd.array(np.ones(1 << 22))
    for _ in range(50):
        b = a + 1.0
    before = peak_memory()
    for _ in range(500):
        b = a + 1.0
    assert peak_memory() - before < 4096
    del b


on_x86 = pytest.mark.skipif(
    platform.machine().lower() not in {"x86_64", "amd64"},
    reason="only x86 is slow at subnormal numbers",
)
SMALL = np.float32(1e-22)  # its square, also summed up, is subnormal


@on_x86
@pytest.mark.parametrize("size", [7, 1000])  # this thread alone; all threads
@pytest.mark.own_process(NEEDLE_NUM_THREADS="2")
def test_subnormal_numbers_are_zero_to_a_matrix_product(size):
    a = nd.array(np.full((size, 70), SMALL))
    assert not (a @ a.permute((1, 0))).numpy().any()
    subnormal = nd.array(np.full((70, size), np.float32(1e-40)))
    assert not (nd.array(np.full((size, 70), 1e10)) @ subnormal).numpy().any()


@pytest.mark.own_process(NEEDLE_NUM_THREADS="2")
def test_numpy_and_other_kernels_find_the_processor_as_it_was():
    a = nd.array(np.full((1000, 70), SMALL))
    a @ a.permute((1, 0))
    with pytest.raises(ValueError, match="matmul"):
        a.device.matmul(a._handle, a._handle, a._handle, 1000, 70, 1)
    many = nd.array(np.full(1 << 20, SMALL))
    assert (many * many).numpy().all()  # on all threads
    assert (np.full(7, SMALL) * SMALL).all()
