"""`mugrade serve`, `init`, `link`, `token` and `seal`, as processes and from their files."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import requests
import typer
from mugrade import cli
from mugrade.encoding import encode
from mugrade.recorder import solo_seed, variant_seed
from mugrade.server import commands
from mugrade.server.db import Database
from mugrade.server.models import WebSession
from mugrade.server.settings import Settings
from sqlalchemy import func, select
from typer.testing import CliRunner

from .conftest import COURSE

app = typer.Typer()
for command in (commands.serve, commands.init, commands.link, commands.token, commands.seal):
    app.command()(command)
run = CliRunner().invoke


@pytest.fixture
def start():
    """Start `serve` in a process of its own; yields a function that returns what it announced."""
    running = []

    def begin(*options, cwd=None, **environment):
        code = "from mugrade.server.commands import serve; import typer; typer.run(serve)"
        process = subprocess.Popen(
            [sys.executable, "-c", code, "--port", "0", "--json", *map(str, options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
            cwd=cwd,
        )
        running.append(process)
        line = process.stdout.readline()
        assert line, process.stderr.read()
        return json.loads(line)

    yield begin
    for process in running:
        process.terminate()
        process.communicate(timeout=20)  # closes its pipes too


def wait_until_ready(address):
    adapter = requests.adapters.HTTPAdapter(
        max_retries=requests.adapters.Retry(8, backoff_factor=0.2)
    )
    with requests.Session() as session:
        session.mount("http://", adapter)
        return session.get(address + "readyz", timeout=30)


def test_serve_without_configuration_uses_the_data_folder(start, tmp_path):
    told = start(XDG_DATA_HOME=str(tmp_path), HOME=str(tmp_path))
    assert wait_until_ready(told["address"]).json() == {"status": "ok"}
    assert (tmp_path / "mugrade" / "mugrade.sqlite3").exists()
    assert told["link"].startswith(told["address"] + "link?code=")
    assert (
        requests.get(told["address"] + "api/v1/meta", timeout=10).json()["web"] == told["address"]
    )


@pytest.mark.parametrize(
    "options, environment, printed",
    [
        ([], {}, True),
        (["--web", "http://localhost:9/"], {}, True),
        (["--web", "https://grader.example.org/"], {}, False),
        ([], {"MUGRADE_WEB": "https://grader.example.org/"}, False),
        (["--host", "0.0.0.0"], {}, False),
    ],
)
def test_an_instructors_link_is_not_printed_where_it_would_end_in_a_log(
    start, tmp_path, options, environment, printed
):
    """H6: behind a proxy, on 127.0.0.1, every start wrote an instructor's link into the journal."""
    told = start("--data", tmp_path, *options, **environment)
    assert (told["link"] is not None) == printed
    database = Database(Settings(data_dir=tmp_path))
    with database.read() as session:
        made = session.scalar(select(func.count()).select_from(WebSession))
    database.close()
    assert made == printed, "what is not printed is not made either"


def test_several_workers_on_sqlite_are_told_what_that_means(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(commands, "_run", lambda *a: None)
    commands.serve(port=0, data=tmp_path, workers=3)
    assert "3 workers on SQLite take turns" in capsys.readouterr().err


def test_init_makes_a_course_and_is_repeatable(tmp_path):
    file = tmp_path / "course.toml"
    file.write_text(COURSE)
    out = run(
        app,
        ["init", str(file), "--data", str(tmp_path), "--json", "--token", "teacher@example.org"],
    )
    first = json.loads(out.output)
    assert (
        first["course"] == "demo"
        and first["code"] == "demo-code"
        and first["key"].startswith("mug_")
    )
    again = run(app, ["init", str(file), "--data", str(tmp_path), "--json"])
    assert json.loads(again.output) == {
        "course": "demo",
        "title": "Demonstration",
        "code": "demo-code",
    }
    link = run(app, ["link", "teacher@example.org", "--data", str(tmp_path)])
    assert "link?code=" in link.output


@pytest.mark.parametrize(
    "text, reason",
    [
        ("not toml", "no TOML"),
        ("[course]\nid = 'x'", "title"),
        (COURSE.replace("points = 5", "points = -5"), "points"),
        (COURSE.replace('id = "hw1"', 'id = "hw0"'), "twice"),
        (COURSE.replace("due_at = 2026-10-20", "due_at = 2026-09-01"), "open before"),
        (COURSE + "\nunknown = 1", "unknown"),
    ],
)
def test_init_names_what_is_wrong_in_the_file(tmp_path, text, reason):
    file = tmp_path / "course.toml"
    file.write_text(text)
    result = run(app, ["init", str(file), "--data", str(tmp_path)])
    assert result.exit_code != 0 and reason in str(result.exception.detail)


def test_solo_grades_with_sealed_answers_and_ships_no_solution(start, tmp_path, lite):
    values = [np.linspace(1, 2, 7) * 12345.678, {"loss": 0.123456789}, "secret-word"]
    assert lite.staff.publish("hw0/add", values).status_code == 200
    sealed = lite.staff.get("/sealed-answers").json()
    below = tmp_path / "released" / "hw0"
    below.mkdir(parents=True)
    commands.write_answers(tmp_path / "released" / "answers.json.gz", sealed)
    text = json.dumps(sealed)
    assert "secret-word" not in text and "0.1234" not in text and "12345.6" not in text

    told = start("--solo", "--data", tmp_path / "solo", cwd=below)  # finds them in a folder above
    assert told["course"] == "demo"
    key = run(app, ["token", "you@localhost", "--data", str(tmp_path / "solo")]).output.strip()
    wait_until_ready(told["address"])
    url = told["address"] + "api/v1/assignments/hw0/problems/add/attempts"
    right = [{"value": encode(v)} for v in values]
    wrong = [{"value": encode(v)} for v in (values[0] * 1.0001, {"loss": 0.2}, "secret")]
    headers = {"Authorization": f"Bearer {key}"}
    for _ in range(25):  # no limits in solo
        answer = requests.post(
            url, json={"cases": wrong, "accept_late": True}, headers=headers, timeout=10
        )
        assert [c["kind"] for c in answer.json()["cases"]] == ["values"] * 3
    answer = requests.post(
        url, json={"cases": right, "accept_late": True}, headers=headers, timeout=10
    )
    assert answer.json()["correct"] == 3, answer.text
    headers = {"Authorization": f"Bearer {key}"}
    shown = requests.get(told["address"] + "api/v1/assignments/hw0", headers=headers, timeout=10)
    assert shown.json()["due_at"] is None and shown.json()["problems"][0]["tries_left"] is None


def test_what_a_class_is_graded_by_is_not_sealed(lite):
    values = [{"variant": 3, "seed": variant_seed("hw0", "add", 3), "values": [1.5]}]
    url = "/assignments/hw0/problems/add/revision"
    assert lite.staff.call("PUT", url, json={"variants": values}).status_code == 200
    refused = lite.staff.get("/sealed-answers")
    assert refused.status_code == 409 and "--class-is-over" in refused.json()["detail"]
    assert lite.staff.get("/sealed-answers?class_is_over=true").status_code == 200
    values = [{"variant": 0, "seed": solo_seed("hw0", "add"), "values": [1.5]}]
    assert lite.staff.call("PUT", url, json={"variants": values}).status_code == 200
    assert lite.staff.get("/sealed-answers").status_code == 200


@pytest.mark.parametrize(
    "command, words",
    [
        (["init", "nowhere.toml"], "nowhere.toml cannot be read"),
        (["serve", "--course", "nowhere.toml"], "nowhere.toml cannot be read"),
        (["serve", "--solo"], "There is no answers.json.gz here"),
        (["serve", "--answers", "nowhere.gz"], "nowhere.gz cannot be read"),
        (["serve", "--answers", "broken.gz"], "broken.gz is no sealed answers file"),
        (["serve", "--answers", "other.gz"], "other.gz is no sealed answers file"),
        (["serve", "--answers", "older.gz"], "older.gz is a sealed answers file of the form"),
        (["serve", "--port", "1", "--host", "192.0.2.1"], "Cannot listen"),
        (["link", "nobody@example.org"], "There is no database at"),
    ],
)
def test_mistakes_are_one_sentence_and_status_2(tmp_path, monkeypatch, capfd, command, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.gz").write_bytes(b"\x1f\x8bnonsense")
    (tmp_path / "other.gz").write_text("{}")
    older = {"format": "mugrade-sealed-answers/1", "course": {}, "problems": []}
    (tmp_path / "older.gz").write_text(json.dumps(older))
    status = cli.run([*command, "--data", str(tmp_path / "data")])
    told = capfd.readouterr()
    assert status == 2 and words in " ".join(told.err.split()), told.err
    assert "Traceback" not in told.err


def test_commands_begin_without_what_only_serve_needs():
    """To import it takes as long as most commands do."""
    webs = {"fastapi", "psycopg", "uvicorn"}
    code = f"import sys, mugrade.server.commands; print({webs} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
