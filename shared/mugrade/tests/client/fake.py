"""A small grader that misbehaves on demand, for the client's tests.

It speaks `/api/v1` and the public dialect over the real `http.server`, keeps what it was sent, and
plays a script of faults: `grader.faults["attempts"] = [503, "cut", ...]` makes the next requests
whose path ends so fail, one each. "cut" accepts the request and then closes the connection.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mugrade.compare import compare
from mugrade.encoding import decode
from mugrade.recorder import variant_seed

KEY = "mug_test_0123456789"


class FakeGrader:
    """State and behaviour; `with FakeGrader() as grader` serves it on loopback."""

    def __init__(self, v1: bool = True) -> None:
        self.v1 = v1
        self.requests: list[tuple[str, str, dict, Any]] = []
        self.faults: dict[str, list[Any]] = defaultdict(list)
        self.published: dict[str, dict] = {}
        self.answers: dict[str, dict] = {}
        self.attempts: dict[str, dict] = {}
        self.submissions: list[dict] = []
        self.state = "open"
        self.meta: dict[str, Any] = {
            "name": "mugrade",
            "version": "1",
            "api": 1,
            "time": "2026-11-23T12:00:00Z",
        }
        self.variant = 1
        self.scopes = ["read", "submit", "publish"]

    def __enter__(self) -> FakeGrader:
        handler = type("Handler", (_Handler,), {"grader": self})
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *unused: object) -> None:
        self.http.shutdown()
        self.http.server_close()

    def publish(self) -> None:
        """Publish the prepared answers without running the hooks."""
        self.published = dict(self.answers)

    def paths(self, end: str) -> list[tuple[str, str, dict, Any]]:
        return [request for request in self.requests if request[1].endswith(end)]

    # ----------------------------------------------------------------------------------- answers

    def answer(
        self, method: str, path: str, query: dict, headers: Any, body: Any
    ) -> tuple[int, Any]:
        parts = path.strip("/").split("/")
        if parts[:2] != ["api", "v1"]:
            return self.public(parts[-1], query, body)
        if not self.v1:
            return 404, "no such page"
        if parts[2:] == ["meta"]:
            return 200, self.meta
        if headers.get("Authorization") != f"Bearer {KEY}":
            return 401, _problem("bad_token", "This key is not known here.")
        if parts[2:] == ["me"]:
            return 200, {
                "id": "u1",
                "name": "Ada",
                "email": "ada@example.org",
                "role": "student",
                "scopes": self.scopes,
                "course": {"id": "c", "title": "Course"},
            }
        if parts[2:] == ["assignments"]:
            return 200, {"now": self.meta["time"], "assignments": [self.summary("hw0")]}
        if len(parts) == 4:
            return 200, self.summary(parts[3])
        if parts[-1] == "revision":
            self.published[parts[5]] = body
            return 200, {
                "revision": 1,
                "cases": len(body["labels"]),
                "variants": len(body["variants"]),
            }
        if parts[-1] == "attempts":
            return self.attempt(parts[3], parts[5], headers["Idempotency-Key"], body)
        return 404, _problem("not_found", f"There is no {path} here.")

    def summary(self, assignment: str) -> dict:
        own = {
            name: min(self.variant, len(p.get("variants", [0])) - 1)
            for name, p in self.published.items()
        }
        problems = [
            {
                "id": name,
                "title": name,
                "points": "10",
                "published": True,
                "revision": 1,
                "pool": 2,
                "variant": own[name],
                "seed": variant_seed(assignment, name, own[name]),
                "attempts": 0,
                "tries_left": 20,
                "retry_after": 0,
                "best": None,
            }
            for name in self.published
        ]
        return {
            "id": assignment,
            "title": "Title",
            "account": "u1",
            "now": "2026-11-23T12:00:00Z",
            "due_at": "2026-11-26T12:00:00Z",
            "cutoff_at": "2026-11-30T12:00:00Z",
            "state": self.state,
            "score": "0",
            "points": "20",
            "problems": problems,
        }

    def attempt(self, assignment: str, problem: str, key: str, body: dict) -> tuple[int, Any]:
        if self.state == "late" and not body["accept_late"]:
            return 403, _problem("late", "hw0 was due yesterday.")
        if self.state == "closed":
            return 403, _problem("closed", "hw0 is closed.")
        if key not in self.attempts:
            self.attempts[key] = self.graded(assignment, problem, body)
        return 201, self.attempts[key]

    def graded(self, assignment: str, problem: str, body: dict) -> dict:
        published = self.published[problem]
        values = next(v for v in published["variants"] if v["variant"] == body["variant"])["values"]
        cases = []
        for index, value in enumerate(values):
            sent = body["cases"][index : index + 1]
            verdict = compare(decode(value), decode(sent[0]["value"])) if sent else None
            case = {
                "index": index,
                "label": published["labels"][index],
                "correct": bool(verdict and verdict.correct),
                "kind": verdict.kind if verdict else "missing",
            }
            if verdict and verdict.kind == "shape":
                case |= {
                    "submitted_shape": verdict.submitted_shape,
                    "expected_shape": verdict.expected_shape,
                }
            cases.append(case)
        right = sum(case["correct"] for case in cases)
        return {
            "id": f"a_{len(self.attempts) + 1}",
            "assignment": assignment,
            "problem": problem,
            "cases": cases,
            "correct": right,
            "total": len(cases),
            "score": f"{10 * right / len(cases):.2f}",
            "points": "10",
            "best": {"score": "10.00"},
            "tries_left": 19,
            "assignment_score": "10.00",
            "assignment_points": "20",
            "due_at": "2026-11-26T12:00:00Z",
            "receipt": None,
        }

    def public(self, route: str, query: dict, body: Any) -> tuple[int, Any]:
        if query.get("user_key") != KEY:
            return 401, "wrong key"
        if route == "publish":
            self.published[query["problem"]] = {"public": body}
            return 200, "ok"
        if route == "submit":
            self.submissions.append({"problem": query["problem"], "cases": {}})
            return 200, {"submission_id": len(self.submissions)}
        if route == "submit_test":
            submission = self.submissions[int(query["submission_id"]) - 1]
            index = int(query["test_case_index"])
            want = self.published[submission["problem"]]["public"][index]
            correct = compare(decode(want), decode(body)).correct
            submission["cases"].setdefault(index, correct)
            return 200, {"correct": submission["cases"][index]}
        return 404, "no such page"


def _problem(code: str, detail: str) -> dict:
    return {"code": code, "detail": detail}


class _Handler(BaseHTTPRequestHandler):
    grader: FakeGrader
    protocol_version = "HTTP/1.1"

    def handle_one(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(raw) if raw else None
        self.grader.requests.append((self.command, parts.path, query, body))
        fault = None
        for end, script in self.grader.faults.items():
            if parts.path.endswith(end) and script:
                fault = script.pop(0)
                break
        if fault == "refuse-before":
            self.close_connection = True
            self.connection.close()
            return
        status, headers, answer = 200, {}, None
        if isinstance(fault, tuple):
            status, headers, answer = fault
        elif isinstance(fault, int):
            status, answer = fault, "<html>broken</html>"  # as a proxy in front would say it
        else:
            status, answer = self.grader.answer(self.command, parts.path, query, self.headers, body)
        if fault == "cut":
            self.close_connection = True
            self.connection.close()
            return
        self.reply(status, headers, answer)

    def reply(self, status: int, headers: dict, answer: Any) -> None:
        text = answer if isinstance(answer, str) and status != 200 else json.dumps(answer)
        data = text.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = handle_one

    def log_message(self, *unused: object) -> None:
        pass
