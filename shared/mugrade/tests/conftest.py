"""Settings every mugrade test shares, and `live.py` within reach of all of them."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("mugrade", deadline=None, max_examples=100, derandomize=True)
settings.load_profile("mugrade")


def pytest_addoption(parser):
    parser.addoption(
        "--no-postgres",
        action="store_true",
        help="leave out the tests that start a private PostgreSQL cluster",
    )
