"""Our client against a server that has only the public course's three routes."""

from __future__ import annotations

import pytest
from fake import KEY, FakeGrader


@pytest.fixture
def public(homework, monkeypatch):
    with FakeGrader(v1=False) as fake:
        monkeypatch.setenv("MUGRADE_SERVER", fake.url)
        monkeypatch.setenv("MUGRADE_KEY", KEY)
        yield fake


def test_the_dialect_is_found_by_asking(public, mugrade):
    assert mugrade("publish", "hw0", "--unchecked").status == 0
    done = mugrade("submit", "hw0")
    assert done.status == 0, done.out + done.err
    assert "2/2" in done.out


def test_the_wire_is_that_of_the_public_client(public, mugrade):
    mugrade("publish", "hw0", "norm", "--unchecked")
    mugrade("submit", "hw0", "-k", "norm")
    routes = [r for r in public.requests if not r[1].endswith("meta")]
    assert [path for _, path, _, _ in routes] == [
        "/publish",
        "/submit",
        "/submit_test",
        "/submit_test",
    ]
    publish, submit, first, second = routes
    assert publish[2] == {"user_key": KEY, "assignment": "hw0", "problem": "norm"}
    assert isinstance(publish[3], list) and len(publish[3]) == 2
    assert (
        submit[2] == {"user_key": KEY, "assignment": "hw0", "problem": "norm"} and submit[3] is None
    )
    assert first[2] == {"user_key": KEY, "submission_id": "1", "test_case_index": "0"}
    assert second[2]["test_case_index"] == "1"


def test_arrays_travel_in_the_public_form():
    import numpy as np
    from mugrade.client.public import to_public
    from mugrade.encoding import encode

    big = np.arange(200.0).reshape(20, 10)
    assert to_public(encode({"x": [big]})) == {
        "x": [{"_encoded_type": "np.ndarray", "data": big.tolist()}]
    }
    assert to_public(encode(float("inf"))) == float("inf")
    assert to_public(encode(np.float32)) == {"_encoded_type": "type", "data": repr(np.float32)}


def test_a_wrong_case_fails_with_its_place(public, mugrade, rewrite):
    mugrade("publish", "hw0", "--unchecked")
    rewrite("return 2 * x", "return 2.001 * x")
    done = mugrade("submit", "hw0", "double")
    assert done.status == 1
    assert "a matrix" in done.out and "tests/test_work.py" in done.out


def test_an_http_error_is_never_a_pass(public, mugrade):
    mugrade("publish", "hw0", "--unchecked")
    public.faults["submit_test"] = [(400, {}, "no such submission")]
    done = mugrade("submit", "hw0", "norm")
    assert done.status == 2 and "no such submission" in done.out


def test_opening_a_submission_is_not_repeated_but_kept(public, mugrade, own_home):
    mugrade("publish", "hw0", "--unchecked")
    public.faults["/submit"] = ["cut"]
    assert mugrade("submit", "hw0", "norm").status == 4
    assert len(public.paths("/submit")) == 1
    assert mugrade("sync").status == 0


def test_a_cut_case_is_repeated(public, mugrade):
    mugrade("publish", "hw0", "--unchecked")
    public.faults["submit_test"] = ["cut"]
    assert mugrade("submit", "hw0", "norm").status == 0
    assert len(public.submissions) == 1


def test_commands_beyond_the_dialect_say_so(public, mugrade):
    done = mugrade("grades")
    assert done.status == 2 and "public dialect" in done.err


def test_the_dialect_can_be_forced(homework, grader, mugrade, monkeypatch):
    monkeypatch.setenv("MUGRADE_DIALECT", "legacy")
    mugrade("publish", "hw0", "norm", "--unchecked")
    assert grader.paths("/publish")
    monkeypatch.setenv("MUGRADE_DIALECT", "smoke signals")
    assert mugrade("publish", "hw0").status == 2
