"""A public client written anew from the dialect's description: nothing of this package is in it.

Over real HTTP, against the real server: `requests.post` with everything in the query, values as the
public client encodes them, any status but 200 shown as text.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import pickle

import numpy as np
import pytest
import requests
from live import live_grader


class _Encoder(json.JSONEncoder):
    """Lists, tuples and dicts are JSON's own; everything else that the dialect knows is here."""

    def default(self, value):
        if isinstance(value, np.ndarray):
            return {"_encoded_type": "np.ndarray", "data": value.tolist()}
        if isinstance(value, dt.datetime):
            return {"_encoded_type": "datetime", "data": value.isoformat()}
        if isinstance(value, (type, np.dtype)):
            return {"_encoded_type": "type", "data": repr(value)}
        if isinstance(value, np.floating):
            return float(value)
        if isinstance(value, np.integer):
            return int(value)
        return super().default(value)


class PublicClient:
    """The three calls; what it shows a person is in `shown`."""

    def __init__(self, server: str, key: str):
        self.server = server if server.endswith("/") else server + "/"
        self.key = key
        self.shown: list[str] = []

    def call(self, path: str, body: str | None = None, **query) -> requests.Response:
        headers = {} if body is None else {"Content-Type": "application/json"}
        return requests.post(
            self.server + path,
            params={"user_key": self.key, **query},
            data=body,
            headers=headers,
            timeout=30,
        )

    def publish(self, assignment: str, problem: str, values: list) -> None:
        body = json.dumps(values, cls=_Encoder)
        answer = self.call("publish", body, assignment=assignment, problem=problem)
        self.shown.append(str(answer.json()) if answer.status_code == 200 else answer.text)

    def submit(self, assignment: str, problem: str, values: list) -> list[bool]:
        opened = self.call("submit", assignment=assignment, problem=problem)
        if opened.status_code != 200:
            self.shown.append(opened.text)
            return []
        submission, correct = opened.json()["submission_id"], []
        for index, value in enumerate(values):
            body = json.dumps(value, cls=_Encoder)
            answer = self.call("submit_test", body, submission_id=submission, test_case_index=index)
            if answer.status_code == 200:
                correct.append(answer.json()["correct"])
            else:
                self.shown.append(answer.text)
        return correct


VALUES = [
    3,
    np.int64(-7),
    np.float32(0.25),
    1e-300,
    True,
    "text",
    [1, (2, 3)],
    {"a": [1.5], "b": "x"},
    np.arange(6).reshape(2, 3),
    np.random.RandomState(0).randn(40, 3),
    np.array(4.0),
    np.array([True, False]),
    dt.datetime(2026, 11, 25, 12, 30),
    np.dtype("float32"),
    np.float64,
    float,
]


@pytest.fixture(scope="module")
def grader(tmp_path_factory):
    with live_grader(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def student_key(grader):
    session = requests.Session()
    session.headers["Origin"] = grader.url.rstrip("/")
    person = {"code": grader.code, "email": "f@example.org", "name": "F", "password": "long enough"}
    assert session.post(grader.url + "signup", data=person).ok
    page = session.post(grader.url + "keys", data={"name": "old client"}).text
    return page.split('id="new-key">')[1].split("<")[0]


def test_every_value_of_the_dialect_is_published_and_found_right(grader, student_key):
    staff = PublicClient(grader.url.rstrip("/"), grader.staff_key)
    staff.publish("hw0", "double", VALUES)
    assert len(staff.shown) == 1 and f"'cases': {len(VALUES)}" in staff.shown[0]
    student = PublicClient(grader.url, student_key)
    assert student.submit("hw0", "double", VALUES) == [True] * len(VALUES)
    assert not student.shown


def test_wrong_values_are_false_and_a_value_too_many_is_one_line(grader, student_key):
    PublicClient(grader.url, grader.staff_key).publish("hw0", "norm", [1.0, np.ones(3)])
    student = PublicClient(grader.url, student_key)
    assert student.submit("hw0", "norm", [1.001, np.ones((3, 1)), 5]) == [False, False]
    (line,) = student.shown
    assert "\n" not in line and not line.startswith(("{", "<"))


@pytest.mark.parametrize("value", [float("nan"), np.array([1.0, np.inf]), 2**70, [[[]] * 3] * 10])
def test_values_that_are_no_strict_json_are_refused_or_false_in_one_line(
    grader, student_key, value
):
    PublicClient(grader.url, grader.staff_key).publish("hw0", "one", [1.0])
    student = PublicClient(grader.url, student_key)
    assert student.submit("hw0", "one", [value]) in ([], [False])
    assert all("\n" not in line and "<" not in line for line in student.shown)


def test_a_wrong_key_and_unknown_names_are_one_line(grader, student_key):
    for client, assignment in (
        (PublicClient(grader.url, "wrong"), "hw0"),
        (PublicClient(grader.url, student_key), "nothing"),
    ):
        client.publish(assignment, "double", [1])
        client.submit(assignment, "double", [1])
        assert len(client.shown) == 2
        assert all("\n" not in line and not line.startswith(("{", "<")) for line in client.shown)


@pytest.mark.parametrize("path", ["submit_test", "submission_test", "api/old_submit"])
def test_the_oldest_clients_pickles_are_gone_on_every_path(grader, student_key, path):
    old = PublicClient(grader.url, student_key)
    pickled = base64.b64encode(pickle.dumps([1.5])).decode()
    answer = old.call(path, submission_id="a_x", test_case_index=0, output=pickled)
    assert answer.status_code == 410
    assert "pickle" in answer.text and "\n" not in answer.text and "<" not in answer.text
