"""Settings every mugrade test shares, and `live.py` within reach of all of them."""

import sys
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from argon2 import PasswordHasher
from fastapi.testclient import TestClient
from hypothesis import settings
from mugrade.server.services import passwords

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("mugrade", deadline=None, max_examples=100, derandomize=True)
settings.load_profile("mugrade")


@pytest.fixture(scope="session", autouse=True)
def hasher_of_the_product():
    """The tests' own servers hash passwords by the real argon2 with little work; yields the other."""
    ours = passwords._hasher()
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", lambda: cheap)
        yield ours


@pytest.fixture(scope="session", autouse=True)
def one_event_loop():
    """For all in-process clients, as a server has one; else each request would start a loop and threads."""
    with start_blocking_portal() as portal, pytest.MonkeyPatch.context() as patch:
        patch.setattr(TestClient, "portal", portal)
        yield


def pytest_addoption(parser):
    parser.addoption(
        "--no-postgres",
        action="store_true",
        help="leave out the tests that start a private PostgreSQL cluster",
    )
