"""A browser for tests: forms of our own pages, with cookies, on the in-process application."""

from __future__ import annotations

import html
import re
from typing import Any

from fastapi.testclient import TestClient


class Browser:
    """Somebody at a browser behind one network address."""

    def __init__(self, server: Any, address: str = "203.0.113.7") -> None:
        self.client = TestClient(
            server.app,
            raise_server_exceptions=False,
            client=(address, 4711),
            follow_redirects=False,
        )

    def get(self, path: str) -> Any:
        return self.client.get(path)

    def head(self, path: str) -> Any:
        return self.client.head(path)

    def post(self, path: str, **fields: str) -> Any:
        return self.client.post(path, data=fields, headers={"Origin": "http://testserver"})

    def sign_up(self, who: str, /, **fields: str) -> Any:
        given = {
            "code": "demo-code",
            "email": f"{who}@example.org",
            "name": who.title(),
            "password": "correct horse",
        }
        return self.post("/signup", **{**given, **fields})

    def sign_in(self, email: str, password: str = "correct horse") -> Any:
        return self.post("/login", email=email, password=password)

    @property
    def signed_in(self) -> bool:
        return self.get("/keys").status_code == 200


def text(answer: Any) -> str:
    """The page's words."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def make_key(browser, **fields):
    """Make a key on the page of keys and read it there."""
    return re.search(r"mug_[\w-]+", browser.post("/keys", **fields).text)[0]


def me(server, key):
    """What the server answers to a key that asks who it is."""
    return server.client.get("/api/v1/me", headers={"Authorization": f"Bearer {key}"})
