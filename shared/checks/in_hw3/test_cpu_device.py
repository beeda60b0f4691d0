"""The CPU device in processes, threads and memory."""

import os
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
