"""Publishing: what is refused, what is warned of, what a new revision changes."""

from __future__ import annotations

import numpy as np
from mugrade.recorder import solo_seed

from .test_api import problem_document


def test_publishing_again_unchanged_and_changed(server):
    assert server.staff.publish("hw0/add", [1, 2]).json()["revision"] == 1
    again = server.staff.publish("hw0/add", [1, 2]).json()
    assert again["unchanged"] and again["revision"] == 1
    server.student.attempt("hw0/add", 1, 3)
    fixed = server.staff.publish("hw0/add", [1, 3], note="second case").json()
    assert fixed["revision"] == 2 and fixed["regraded"] == {"attempts": 1, "changed": 1}
    assert server.student.get("/assignments/hw0").json()["score"] == "5.00"


def test_publish_dry_run_writes_nothing(lite):
    assert lite.staff.publish("hw0/add", [1], dry_run=True).json()["revision"] == 1
    assert not lite.student.get("/assignments/hw0").json()["problems"][0]["published"]


def test_publish_refuses_with_all_reasons(lite):
    body = problem_document(lite.staff.publish("hw0/add", [[], 1, None]), 400, "invalid")
    assert len(body["errors"]) == 2 and "Case 0 is empty" in body["errors"][0]
    body = problem_document(lite.staff.publish("hw0/add", [1, 5], [2, 5]), 400, "invalid")
    assert "Case 1 is the same" in body["errors"][0]
    assert lite.staff.publish("hw0/add", [1, 5], [2, 5], constant_cases=[1]).status_code == 200
    problem_document(lite.staff.publish("hw0/add", [1], [2, 3]), 400, "invalid")
    problem_document(lite.staff.publish("hw0/add", [1], labels=["a", "b"]), 400, "invalid")
    problem_document(
        lite.staff.publish("hw0/add", [1], case_tolerances={"7": {"rtol": 0}}), 400, "invalid"
    )
    problem_document(lite.staff.publish("hw0/add", [1], tolerance={"rtol": 5}), 422, "invalid")


def test_publish_warns_of_cases_that_a_constant_would_pass(lite):
    said = lite.staff.publish("hw0/add", [np.ones(4), np.ones(4)]).json()["warnings"]
    assert any("repeated number" in w for w in said) and any(
        "repeats an earlier" in w for w in said
    )


def test_publish_warns_of_a_loose_tolerance_by_the_cases_names(lite):
    values = [np.full(3, 200.0) * [1, 2, 3], 0.5, 7, "text"]
    said = lite.staff.publish(
        "hw0/add",
        values,
        labels=["norm", "loss", "count", "name"],
        tolerance={"rtol": 0.02, "ascale": 0.01, "atol": 0.01},
        case_tolerances={"0": {"rtol": 1e-5, "atol": 5.0}},
    ).json()["warnings"]
    loose = [w for w in said if "second digit" in w]
    assert loose == [
        "rtol = 0.02 in 'loss' is loose: a value wrong in its second digit would pass.",
        "atol = 0.01 in 'loss' is loose: a value wrong in its second digit would pass.",
    ]


def test_what_is_for_learners_alone_is_not_published_into_a_class(server):
    solo = [{"variant": 0, "seed": solo_seed("hw0", "add"), "values": [1.5]}]
    url = "/assignments/hw0/problems/add/revision"
    assert server.staff.call("PUT", url, json={"variants": solo}).status_code == 200
    server.person("ada")
    for dry_run in (True, False):
        refused = server.staff.call("PUT", url, json={"variants": solo, "dry_run": dry_run})
        problem_document(refused, 409, "class_has_students")
        assert "--solo" in refused.json()["detail"] and "1 student" in refused.json()["detail"]
    assert server.staff.publish("hw0/add", [1.5]).status_code == 200


def test_publish_makes_a_problem_the_course_lacks(lite):
    assert lite.staff.publish("hw0/extra", [1], title="Extra", points="2.5").status_code == 200
    problem = lite.student.get("/assignments/hw0").json()["problems"][-1]
    assert (problem["id"], problem["title"], problem["points"]) == ("extra", "Extra", "2.5")
    problem_document(lite.staff.publish("hw9/extra", [1]), 404, "not_found")


def test_tolerances_per_problem_and_case(lite):
    near = 1 + 5e-5
    lite.staff.publish("hw0/add", [1.0, 1.0, 1.0], case_tolerances={"1": {"rtol": 1e-4}})
    kinds = [c["kind"] for c in lite.student.attempt("hw0/add", near, near, 1.0).json()["cases"]]
    assert kinds == ["values", "ok", "ok"]
    lite.staff.publish(
        "hw0/add", [np.float32([1]), 1.0, 2.0], tolerance={"dtype": True, "rtol": 1e-3}
    )
    kinds = [
        c["kind"] for c in lite.student.attempt("hw0/add", np.ones(1), near, 2.0).json()["cases"]
    ]
    assert kinds == ["dtype", "ok", "ok"]
