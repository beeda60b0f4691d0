"""A real grader with a class in it, and a real headless Chromium.

The browser is the system's (Debian's package `chromium`, or Chrome): Playwright is given its path.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parent))
from live import live_grader
from pupils import fill

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--js-flags=--no-opt,--single-threaded",  # axe runs once a page: to optimize it does not pay
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]


def chromium_path() -> str:
    """Where the system's browser is; the tests that need one are skipped without it, never in CI."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    missing = "no Chromium on this machine; install it with: sudo apt-get install chromium"
    if os.environ.get("CI"):
        raise RuntimeError(missing)
    pytest.skip(missing)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A grader with two published problems and three students who have handed things in.

    Tests read it or add people of their own; they do not change these.
    """
    with live_grader(tmp_path_factory.mktemp("school")) as grader:
        fill(grader)
        yield grader


@pytest.fixture
def grader(tmp_path: Path) -> Iterator[SimpleNamespace]:
    """A grader of one's own, filled alike, for tests that change it."""
    with live_grader(tmp_path / "server") as own:
        fill(own)
        yield own


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A fresh browser in which any script error or refused resource fails the test."""
    context = chromium.new_context()
    yield from _watched(context)


@pytest.fixture
def plain_page(chromium: Browser) -> Iterator[Page]:
    """The same without JavaScript."""
    context = chromium.new_context(java_script_enabled=False)
    yield from _watched(context)


def _watched(context: BrowserContext) -> Iterator[Page]:
    faults: list[str] = []
    made = context.new_page()
    made.set_default_timeout(20_000)
    made.on("pageerror", lambda error: faults.append(str(error)))
    made.on(
        "console",
        lambda message: (
            faults.append(message.text)
            if message.type == "error" and "status of 4" not in message.text
            else None
        ),
    )
    yield made
    context.close()
    assert not faults, faults
