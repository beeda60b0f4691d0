"""The class that the page tests work with, and how its people sign in."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import requests
from axe_playwright_python.base import AXE_SCRIPT
from mugrade.client.grader import Connection, Grader
from mugrade.encoding import encode
from mugrade.recorder import variant_seed
from playwright.sync_api import Page

PASSWORD = "correct horse battery"
AXE_RULES = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}


def fill(grader: SimpleNamespace) -> None:
    staff = Grader(Connection(grader.url, grader.staff_key))
    for problem in ("double", "norm"):
        staff.publish(
            "hw0",
            problem,
            {
                "labels": ["a matrix", "a number"],
                "variants": [
                    {"variant": v, "seed": variant_seed("hw0", problem, v), "values": answers(v)}
                    for v in range(2)
                ],
            },
        )
    grader.keys = {}
    for name, error in (("Ada Lovelace", 0.0), ("Alan Turing", 1e-3), ("Emmy Noether", 1e-4)):
        key = sign_up(grader, name)
        grader.keys[name] = key
        submit(grader, key, "norm", error)
    submit(grader, grader.keys["Ada Lovelace"], "double", 0.0)


def answers(variant: int, error: float = 0.0) -> list:
    """The values of a variant, each off by a relative `error`."""
    x = np.random.RandomState(variant).randn(3, 4)
    return [encode(x * (1 + error)), encode(float(variant + 2))]


def email(name: str) -> str:
    return re.sub(r"[()<>]", "", name.split()[0].lower()) + "@example.org"


def sign_up(grader: SimpleNamespace, name: str) -> str:
    """A new student; returns a key of theirs."""
    session = requests.Session()
    session.headers["Origin"] = grader.url.rstrip("/")
    person = {"code": grader.code, "email": email(name), "name": name, "password": PASSWORD}
    assert session.post(grader.url + "signup", data=person).ok
    page = session.post(grader.url + "keys", data={"name": "test"}).text
    return page.split('id="new-key">')[1].split("<")[0]


def submit(grader: SimpleNamespace, key: str, problem: str, error: float) -> dict:
    api = Grader(Connection(grader.url, key))
    mine = next(p for p in api.assignment("hw0")["problems"] if p["id"] == problem)
    cases = [{"label": None, "value": value} for value in answers(mine["variant"], error)]
    return api.attempt("hw0", problem, {"cases": cases}, f"{key[-12:]}-{problem}-{error}")


def sign_in(page: Page, grader: SimpleNamespace, name: str) -> None:
    page.goto(grader.url + "login")
    page.get_by_label("E-mail address").fill(email(name))
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/dashboard")


def sign_in_staff(page: Page, grader: SimpleNamespace) -> None:
    page.goto(grader.link("staff@example.org"))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/staff")


def violations(page: Page, name: str, rules: list[str] | None = None) -> list[str]:
    """What axe, by all of its rules or by these, finds on the page as it stands; MUGRADE_SHOTS names a
    folder for screenshots.

    axe is a script: on a page without JavaScript (htmx was not loaded) it would wait for ever, and
    nothing is looked at. The same pages are looked at with JavaScript.
    """
    if page.evaluate("typeof window.htmx") == "undefined":
        return []
    folder = os.environ.get("MUGRADE_SHOTS")
    if folder:
        shot = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        page.screenshot(path=str(Path(folder, f"{shot}.png")), full_page=True)
    options = {**AXE_RULES, "runOnly": rules or AXE_RULES["runOnly"]}
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE_SCRIPT)
    run = "options => axe.run(options).then(results => results.violations)"
    found = page.evaluate(run, options)
    return [
        f"{name}: {item['id']}: {item['help']} {[n['html'][:150] for n in item['nodes'][:3]]}"
        for item in found
    ]
