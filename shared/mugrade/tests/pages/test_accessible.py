"""axe finds nothing on any page, in light and dark; and the rules that axe cannot see."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from pupils import AXE_RULES, sign_in, sign_in_staff, violations

OPEN = [
    "",
    "signup",
    "login",
    "link?code=x",
    "invitation",
    "invitation?code=x",
    "forgot",
    "certificates",
    "certificates/c_0",
    "leaderboard/deep/hw0/norm",
    "nowhere",
]
STUDENT = [
    "welcome",
    "dashboard",
    "homework/hw0",
    "homework/hw0/norm",
    "homework/hw1",
    "keys",
    "device",
    "project",
    "certificate",
    "data",
    "homework/none",
]
STAFF = [
    "staff",
    "staff/grades",
    "staff/grades?sort=-hw0",
    "staff/grades?homework=hw0",
    "staff/grades/lms",
    "staff/homework/hw0",
    "staff/problems/hw0/norm",
    "staff/problems/hw0/double",
    "staff/projects",
    "staff/roster",
    "staff/course",
    "staff/coincidences",
    "staff/audit",
    "keys",
]

OF_COLOURS = ["color-contrast", "link-in-text-block"]
"""axe's rules whose verdict depends on colours, which are all that a dark page changes."""


def look(page: Page, url: str, name: str) -> list[str]:
    """axe's violations on the page behind `url` with its details opened, in light and in dark."""
    page.emulate_media(color_scheme="light")
    page.goto(url)
    closed = page.locator("details:not([open]) > summary")
    for _ in range(min(5, closed.count())):
        closed.first.click()  # which opens it, so that the next is the first
    light = violations(page, f"light {name}")
    page.emulate_media(color_scheme="dark")
    return light + violations(page, f"dark {name}", OF_COLOURS)


@pytest.mark.parametrize("who", ["open", "student", "staff"])
def test_axe_finds_no_violation(chromium: Browser, school: SimpleNamespace, who: str):
    size = {"width": 1100, "height": 800}
    context = chromium.new_context(viewport=size, reduced_motion="reduce")
    page = context.new_page()
    paths = {"open": OPEN, "student": STUDENT, "staff": STAFF}[who]
    if who == "student":
        sign_in(page, school, "Emmy Noether")
        page.goto(school.url + "homework/hw0/norm")
        attempt = page.get_by_role("link", name="attempt of").first.get_attribute("href")
        paths = [*paths, attempt.lstrip("/")]
    if who == "staff":
        sign_in_staff(page, school)
        page.goto(school.url + "staff/grades")
        student = page.get_by_role("link", name="Emmy Noether").get_attribute("href").lstrip("/")
        page.goto(school.url + student)
        attempt = page.locator("a[href^='/staff/attempts/']").first.get_attribute("href")
        paths = [*paths, student, attempt.lstrip("/")]
    found = [fault for path in paths for fault in look(page, school.url + path, f"{who} {path}")]
    context.close()
    assert not found, "\n".join(found)


def test_axe_would_find_one(page: Page, school: SimpleNamespace):
    """The check itself works here: a page with a control without a name is found out."""
    page.goto(school.url + "login")
    page.evaluate(
        "document.querySelectorAll('label').forEach(l => l.replaceWith(...l.querySelectorAll('input')))"
    )
    found = Axe().run(page, options=AXE_RULES).response["violations"]
    assert "label" in {item["id"] for item in found}


def test_pages_fit_a_phone(chromium: Browser, school: SimpleNamespace):
    """Nothing but tables in their own scrolling box is wider than 320 CSS pixels (WCAG 1.4.10)."""
    context = chromium.new_context(viewport={"width": 320, "height": 700})
    page = context.new_page()
    sign_in_staff(page, school)
    for path in [
        "staff",
        "staff/grades",
        "staff/homework/hw0",
        "staff/problems/hw0/norm",
        "staff/roster",
        "staff/course",
        "staff/coincidences",
        "staff/audit",
        "staff/grades/lms",
        "keys",
    ]:
        page.goto(school.url + path)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 320, f"{path} is {wide} pixels wide"
    page.goto(school.url + "staff/course")
    size = "tag => parseFloat(getComputedStyle(document.querySelector(`main ${tag}`)).fontSize)"
    assert page.evaluate(size, "h1") > page.evaluate(size, "h2"), "the larger heading is the page's"
    context.close()


def test_every_control_can_be_reached_by_keyboard(chromium: Browser, school: SimpleNamespace):
    context = chromium.new_context()
    page = context.new_page()
    page.goto(school.url + "signup")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    seen = set()
    for _ in range(25):
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate(
                "document.activeElement.name || document.activeElement.textContent.trim()"
            )
        )
    assert {"code", "name", "email", "password", "Sign up"} <= seen
    context.close()
