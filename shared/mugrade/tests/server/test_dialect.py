"""The public client's traffic, field by field."""

from __future__ import annotations

import base64
import json
import pickle

import numpy as np
import pytest
from mugrade.encoding import encode

JSON = {"Content-Type": "application/json"}


def post(server, path, body=None, **query):
    data = body if isinstance(body, (bytes, type(None))) else json.dumps(body)
    return server.client.post(
        path, params=query, content=data, headers=JSON if body is not None else {}
    )


def publish(server, values, problem="add", **options):
    return post(
        server,
        "/publish",
        [encode(v, public=True) for v in values],
        user_key=server.staff.token,
        assignment="hw0",
        problem=problem,
        **options,
    )


def open_submission(server, who=None, problem="add"):
    answer = post(
        server, "/submit", user_key=(who or server.student).token, assignment="hw0", problem=problem
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["submission_id"]


def send(server, submission, index, value, who=None):
    return post(
        server,
        "/submit_test",
        encode(value, public=True),
        user_key=(who or server.student).token,
        submission_id=submission,
        test_case_index=str(index),
    )


def plain_line(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text and "\n" not in answer.text and "{" not in answer.text
    return answer.text


def test_publish_then_submit_every_case(server):
    values = [3, np.arange(6.0).reshape(2, 3), {"w": [1.5, "x"]}, np.float32, np.array([1, 2])]
    answer = publish(server, values)
    assert answer.status_code == 200 and answer.json()
    submission = open_submission(server)
    for index, value in enumerate(values):
        got = send(server, submission, index, value)
        assert got.status_code == 200 and got.json() == {"correct": True}
    shown = server.student.get("/assignments/hw0").json()
    assert shown["problems"][0]["best"]["correct"] == 5 and shown["score"] == "5.00"


def test_a_wrong_case_is_correct_false_and_says_nothing_else(server):
    publish(server, [np.ones(3)])
    submission = open_submission(server)
    assert send(server, submission, 0, np.zeros(3)).json() == {"correct": False}


def test_the_first_verdict_of_a_case_stands(server):
    publish(server, [1, 2])
    submission = open_submission(server)
    assert send(server, submission, 0, 7).json() == {"correct": False}
    assert send(server, submission, 0, 1).json() == {"correct": False}
    assert send(server, submission, 1, 2).json() == {"correct": True}
    assert send(server, submission, 1, 9).json() == {"correct": True}


def test_score_is_correct_over_published_and_missing_is_failed(server):
    publish(server, [1, 2, 3, 4])
    submission = open_submission(server)
    send(server, submission, 2, 3)
    problem = server.student.get("/assignments/hw0").json()["problems"][0]
    assert problem["best"]["score"] == "1.25" and problem["best"]["cases"] == 4
    kinds = server.student.get("/assignments/hw0/problems/add/attempts").json()["attempts"][0][
        "cases"
    ]
    assert [c["kind"] for c in kinds] == ["missing", "missing", "ok", "missing"]


def test_content_type_does_not_matter(server):
    publish(server, [1])
    submission = open_submission(server)
    answer = server.client.post(
        "/submit_test",
        params={
            "user_key": server.student.token,
            "submission_id": submission,
            "test_case_index": 0,
        },
        content=b"1",
    )
    assert answer.json() == {"correct": True}


def test_another_students_submission_is_not_found(server):
    publish(server, [1])
    submission = open_submission(server)
    plain_line(send(server, submission, 0, 1, who=server.person("other")), 404)


@pytest.mark.parametrize("key", ["", "mug_wrong", "x" * 10_000])
def test_wrong_keys(lite, key):
    for path in ("/submit", "/submit_test", "/publish"):
        plain_line(post(lite, path, 1, user_key=key, assignment="hw0", problem="add"), 401)


def test_students_may_not_publish(lite):
    answer = post(
        lite, "/publish", [1], user_key=lite.student.token, assignment="hw0", problem="add"
    )
    assert "publish" in plain_line(answer, 403)


def test_unknown_names_and_indices(lite):
    publish(lite, [1])
    key = lite.student.token
    plain_line(post(lite, "/submit", user_key=key, assignment="hw9", problem="add"), 404)
    plain_line(post(lite, "/submit", user_key=key, assignment="hw0", problem="nope"), 404)
    plain_line(post(lite, "/submit", user_key=key, assignment="hw0"), 400)
    submission = open_submission(lite)
    for index in ("1", "-1", "x", "", "99999999999"):
        plain_line(send(lite, submission, index, 1), 400)
    plain_line(send(lite, "a_none", 0, 1), 404)


def test_unpublished_and_closed(lite):
    key = lite.student.token
    plain_line(post(lite, "/submit", user_key=key, assignment="hw0", problem="add"), 403)
    publish(lite, [1])
    submission = open_submission(lite)
    lite.clock.forward(days=30)
    plain_line(post(lite, "/submit", user_key=key, assignment="hw0", problem="add"), 403)
    plain_line(send(lite, submission, 0, 1), 403)


def test_a_submission_cannot_be_kept_open_over_the_due_time(lite):
    publish(lite, [1, 2])
    submission = open_submission(lite)
    send(lite, submission, 0, 1)
    lite.clock.forward(hours=7)
    plain_line(send(lite, submission, 1, 2), 403)


def test_twenty_an_hour(lite):
    publish(lite, [1])
    for _ in range(9):
        open_submission(lite)
    submission = open_submission(lite)
    send(lite, submission, 0, 1)  # no miss, so only the hourly limit is left
    for _ in range(9):
        open_submission(lite)
    submission = open_submission(lite)
    send(lite, submission, 0, 1)
    answer = post(lite, "/submit", user_key=lite.student.token, assignment="hw0", problem="add")
    assert "20 attempts an hour" in plain_line(answer, 429)
    assert int(answer.headers["retry-after"]) == 3600


@pytest.mark.parametrize(
    "body",
    [b"", b"NaN", b"[1e999]", b"{", b"1" * 5000, b"[" * 10_000, b'"\xff"', b"18446744073709551616"]
    + [b'{"_encoded_type":"np.ndarray","data":[NaN]}', b'{"_encoded_type":"nonsense"}', b"[1,]"]
    + [b'{"_encoded_type":"np.ndarray","data":[[1],[1,2]]}', b"[" + b"0," * 200_000 + b"0]"],
)
def test_hostile_bodies_are_one_line_and_400(lite, body):
    publish(lite, [1])
    submission = open_submission(lite)
    query = {"user_key": lite.student.token, "submission_id": submission, "test_case_index": 0}
    plain_line(lite.client.post("/submit_test", params=query, content=body), 400)
    query = {"user_key": lite.staff.token, "assignment": "hw0", "problem": "add"}
    answer = lite.client.post("/publish", params=query, content=body)
    assert answer.status_code == 400


def test_bodies_are_capped_while_being_read(lite):
    publish(lite, [1])
    submission = open_submission(lite)
    query = {"user_key": lite.student.token, "submission_id": submission, "test_case_index": 0}

    sent = 0

    def endless():
        nonlocal sent
        while sent < 50 << 20:
            sent += 1 << 16
            yield b"0" * (1 << 16)

    plain_line(lite.client.post("/submit_test", params=query, content=endless()), 413)
    plain_line(lite.client.post("/submit_test", params=query, content=b"0" * ((1 << 20) + 1)), 413)


def test_pickles_are_gone(lite):
    publish(lite, ["x"])
    submission = open_submission(lite)
    pickled = base64.b64encode(pickle.dumps(np.ones(3))).decode()
    query = {"user_key": lite.student.token, "submission_id": submission, "test_case_index": 0}
    plain_line(lite.client.post("/submit_test", params={**query, "output": pickled}), 410)
    plain_line(lite.client.post("/submit_test", params=query, data={"output": pickled}), 410)
    plain_line(lite.client.post("/submit_test", params=query, content=json.dumps(pickled)), 410)
    query = {"user_key": lite.staff.token, "assignment": "hw0", "problem": "add"}
    plain_line(lite.client.post("/publish", params=query, content=json.dumps([pickled])), 410)
    assert send(lite, submission, 0, "x").json() == {"correct": True}


def test_publish_refuses_what_gives_points_for_nothing(lite):
    assert "no list" in plain_line(
        post(lite, "/publish", 3, user_key=lite.staff.token, assignment="hw0", problem="add"), 400
    )
    assert "no case" in plain_line(publish(lite, []), 400)
    assert "empty" in plain_line(publish(lite, [[], 1]), 400)


def test_legacy_routes_can_be_turned_off(request, tmp_path):
    from mugrade.server.settings import Settings

    from .conftest import Server, make_settings

    server = Server(
        Settings(**make_settings(request, "sqlite", tmp_path), legacy_routes=False)
    ).load()
    answer = post(server, "/submit", user_key=server.student.token, assignment="hw0", problem="add")
    assert answer.status_code == 404
    server.close()


def test_keys_in_queries_reach_no_log(lite, caplog):
    caplog.set_level("DEBUG")
    publish(lite, [1])
    open_submission(lite)
    assert any(
        "POST /submit 200" in r.getMessage() for r in caplog.records if r.name == "mugrade.access"
    )
    ours = [
        r.getMessage()
        for r in caplog.records
        if not r.name.startswith(("httpx", "httpcore", "asyncio"))
    ]
    assert not any("mug_" in line for line in ours)
