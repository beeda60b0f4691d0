"""A real grader under uvicorn on loopback, for tests that need more than one process's view."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import uvicorn
from mugrade.server import coursefile
from mugrade.server.app import create_app
from mugrade.server.clock import utc_now
from mugrade.server.services import accounts, course_edit, sessions, tokens
from mugrade.server.settings import Settings
from mugrade.server.testing import free_port

COURSE = """
[course]
id = "deep"
title = "Deep learning from scratch"
code = "abcde-fghij"
timezone = "Europe/Berlin"

[late]
percent_per_day = 10
pooled_days = 3
cutoff_days = 7

[[assignment]]
id = "hw0"
title = "Softmax regression"
due_at = 2099-12-01T23:59:00

[[assignment.problem]]
id = "double"
title = "Doubling"
points = 10
pool = 2

[[assignment.problem]]
id = "norm"
title = "Norms"
points = 10
pool = 2
speed = true

[[assignment]]
id = "hw1"
title = "Automatic differentiation"

[[rubric]]
id = "idea"
title = "Idea and difficulty"
points = 40

[[rubric]]
id = "proof"
title = "Evidence that it works"
points = 60

[[person]]
email = "staff@example.org"
name = "Grace Hopper"
role = "instructor"
"""


@contextlib.contextmanager
def live_grader(folder: Path, course: str = COURSE, **given) -> Iterator[SimpleNamespace]:
    """A running grader; yields url, code, database, staff key and a maker of sign-in links."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    options = {"sqlite_synchronous": "NORMAL", **given}
    app = create_app(Settings(data_dir=folder, web=url, **options))
    database = app.state.database
    with database.write() as session:
        made = course_edit.apply_file(session, utc_now(), coursefile.parse(course), actor="tests")
        staff = accounts.find(session, made.pk, "staff@example.org")
        key, _ = tokens.issue(session, utc_now(), staff, name="tests")

    def link(email: str) -> str:
        with database.write() as session:
            account = accounts.find(session, made.pk, email)
            return f"{url}link?code={sessions.one_time_link(session, utc_now(), account)}"

    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield SimpleNamespace(
            url=url,
            app=app,
            database=database,
            code=made.code,
            staff_key=key,
            link=link,
            pk=made.pk,
        )
    finally:
        server.should_exit = True
        thread.join(10)
