"""The public course's dialect: three calls, the key in the query (docs/api.md, last section).

`PublicGrader` offers `attempt` and `publish` like `client.Grader`, as far as that dialect goes: no
variants, no labels, no kinds of difference, and no account to look at.
"""

from __future__ import annotations

import json
from typing import Any

from mugrade.client.errors import UsageFault
from mugrade.client.grader import COMMAND_TIMEOUT, TIMEOUT, Connection, answer_fault, read_body
from mugrade.encoding import TAG, decode, encode


class PublicGrader:
    """A server with only `/submit`, `/submit_test` and `/publish`."""

    dialect = "public"

    def __init__(self, connection: Connection, key: str) -> None:
        self.connection = connection
        self._key = key

    def attempt(self, assignment: str, problem: str, body: dict, idempotency_key: str) -> dict:
        """Send an attempt case by case.

        Only `/submit` is not repeatable: a second one would be a second submission, while the
        first verdict of a case stands however often it is sent.
        """
        opened = self._post(
            "submit", None, repeatable=False, assignment=assignment, problem=problem
        )
        submission = opened.get("submission_id") if isinstance(opened, dict) else None
        if submission is None:
            raise UsageFault(
                f"{self.connection.server} gave no submission_id, so it does not speak the public "
                "dialect; check the address with `mugrade doctor`."
            )
        cases = []
        for index, case in enumerate(body["cases"]):
            answer = self._post(
                "submit_test",
                to_public(case["value"]),
                submission_id=submission,
                test_case_index=index,
            )
            correct = isinstance(answer, dict) and answer.get("correct") is True
            cases.append(
                {
                    "index": index,
                    "label": case["label"],
                    "correct": correct,
                    "kind": "ok" if correct else "different",
                }
            )
        right = sum(case["correct"] for case in cases)
        return {
            "id": str(submission),
            "assignment": assignment,
            "problem": problem,
            "cases": cases,
            "correct": right,
            "total": len(cases),
        }

    def publish(self, assignment: str, problem: str, body: dict[str, Any]) -> dict[str, Any]:
        if body.get("dry_run"):
            raise UsageFault(
                f"{self.connection.server} speaks only the public dialect, which has no dry run."
            )
        values = [to_public(value) for value in body["variants"][0]["values"]]
        answer = self._post(
            "publish", values, repeatable=False, assignment=assignment, problem=problem
        )
        return {"cases": len(values), "variants": 1, "answer": answer}

    def _post(self, path: str, value: Any, *, repeatable: bool = True, **query: Any) -> Any:
        arguments: dict[str, Any] = {}
        if (
            path != "submit"
        ):  # dumps, because requests refuses the bare NaN that this dialect writes
            arguments = {"data": json.dumps(value), "headers": {"Content-Type": "application/json"}}
        response = self.connection.send(
            "POST",
            path,
            timeout=COMMAND_TIMEOUT if path == "publish" else TIMEOUT,
            params={"user_key": self._key, **query},
            bearer=False,
            repeatable=repeatable,
            **arguments,
        )
        if response.status_code != 200:
            raise answer_fault(self.connection.server, response)
        return read_body(self.connection.server, response)


def to_public(encoded: Any) -> Any:
    """The public form of a value in our full form: plain nested lists, bare NaN and infinities."""
    if isinstance(encoded, list):
        return [to_public(item) for item in encoded]
    if not isinstance(encoded, dict):
        return encoded
    tag = encoded.get(TAG)
    if tag == "np.ndarray":
        return encode(decode(encoded).values, public=True)
    if tag == "float":
        return decode(encoded)
    return {key: to_public(item) for key, item in encoded.items()}
