"""The CPU device's operators on random views, with one thread and with several."""

import pytest
import random_views


@pytest.mark.own_process(NEEDLE_NUM_THREADS="1")
def test_operators_on_random_views_agree_with_numpy_with_one_thread():
    random_views.check(seed=1)


@pytest.mark.own_process(NEEDLE_NUM_THREADS="3")
def test_operators_on_random_views_agree_with_numpy_with_three_threads():
    random_views.check(seed=3)
