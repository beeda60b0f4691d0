"""The staff's commands: publish, check, roster, grades, extend, override; and the server's own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer

from mugrade.cli.common import PASS_ON, Json, Select, Server, homework_folder, screen, split_words
from mugrade.cli.display import Screen, when
from mugrade.cli.regrade import DryRun, Dtype, Yes, changed_tolerance, consent, staff_view, watch
from mugrade.cli.submit import Words, warn_of_key
from mugrade.client.check import Checker, Runs, WrongTree, constant_cases
from mugrade.client.errors import Exit, UsageFault
from mugrade.client.grader import Grader
from mugrade.client.run import HookResult
from mugrade.client.session import open_session
from mugrade.plan import Plan
from mugrade.recorder import variant_seed
from mugrade.words import count, number

MustDiffer = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[PROBLEM=]DIR",
        help="A wrong solution, which must not match; of one problem, or of all (repeatable).",
    ),
]
Empty = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="The empty handout: not one of its cases may match."),
]
AllowConstant = Annotated[
    bool, typer.Option("--allow-constant", help="Cases may be the same in all variants.")
]
Vary = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE", help="An environment in which the values must agree (repeatable)."
    ),
]
Pool = Annotated[
    int | None,
    typer.Option(min=1, max=64, help="How many variants; default: what the course says."),
]
Reason = Annotated[str, typer.Option(help="For the audit log.")]

SERVER_COMMANDS = {
    "serve": "Start the grader.",
    "init": "Make a course from its file.",
    "link": "Print a one-time sign-in link.",
    "token": "Make an API key for somebody.",
    "seal": "Write the answers in a form that can be checked but not read.",
    "backup": "Copy the whole database into one file.",
    "restore": "Put a backup back.",
    "prune": "Delete what has expired.",
}


def register(app: typer.Typer) -> None:
    app.command(context_settings=PASS_ON)(publish)
    app.command(context_settings=PASS_ON)(check)
    for command in (roster, grades, extend, override):
        app.command()(command)
    register_server(app)


def publish(
    words: Words = None,
    select: Select = None,
    variants: Pool = None,
    solo: Annotated[
        bool, typer.Option("--solo", help="The one variant that `mugrade seal` takes; no class's.")
    ] = False,
    rtol: float | None = None,
    ascale: float | None = None,
    atol: float | None = None,
    dtype: Dtype = None,
    note: Annotated[str, typer.Option(help="Why, for the revision's history.")] = "",
    unchecked: Annotated[bool, typer.Option("--unchecked", help="Skip the self-check.")] = False,
    allow_constant: AllowConstant = False,
    empty: Empty = None,
    must_differ: MustDiffer = None,
    vary: Vary = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    ready: Annotated[
        bool, typer.Option("--ready", help="Only look whether grader and key would take it.")
    ] = False,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Run the hooks on the solved tree and publish their values as the answers."""
    key, name, problems, flags = split_words(words or [])
    show = screen(as_json)
    assignment, folder = homework_folder(name)
    if key is not None:
        warn_of_key(show, key)
    session = open_session(server, key)
    session.require_scope("publish")
    if ready:
        return
    known = staff_view(session, assignment)
    tolerances = {
        p: changed_tolerance(info, rtol, ascale, atol, dtype) for p, info in known.items()
    }
    plan = Plan(assignment, out="", only=problems or None, pool=variants or 1, solo=solo)
    if variants is None and not solo and session.grader.dialect == "v1":
        plan.variants = {
            p: _pairs(assignment, p, info.get("pool") or 1) for p, info in known.items()
        }
    checker = Checker(plan, folder, select=select, flags=flags, tolerances=tolerances)
    show.tell(f"Running the hooks of {assignment} in {folder} ...")
    reference = checker.run()
    findings = {}
    if not unchecked:
        findings = _examine(show, checker, reference, empty, must_differ, vary, allow_constant)
    given = any(value is not None for value in (rtol, ascale, atol, dtype))
    rows: dict[str, list[str]] = {}
    bodies: dict[str, dict[str, Any]] = {}
    for problem, results in reference.items():
        if results[0].outcome == "skipped":
            rows[problem] = [problem, "SKIP", results[0].message]
        elif findings.get(problem):
            rows[problem] = [problem, "FAIL", "; ".join(findings[problem])]
        else:
            bodies[problem] = publication(results, note, dry_run)
            if given:
                base = tolerances.get(problem) or changed_tolerance({}, rtol, ascale, atol, dtype)
                bodies[problem]["tolerance"] = vars(base)
    worst = Exit.WRONG if any(findings.values()) else Exit.OK
    if session.grader.dialect == "v1" and not dry_run:
        foresee(session.v1(), show, assignment, bodies, known, yes)
    for problem, body in bodies.items():
        answer = session.grader.publish(assignment, problem, body)
        if answer.get("job"):
            answer |= {"regraded": watch(session.v1(), show, answer["regraded"] | answer)}
        rows[problem] = [problem, "ok", _publish_words(answer, len(body["labels"]))]
        if dry_run and (moves := answer.get("moves")):
            rows[problem][2] += f"; {moves['up']} attempts up, {moves['down']} down"
    shown = [rows[problem] for problem in reference]
    if as_json:
        show.json([dict(zip(("problem", "word", "message"), row)) for row in shown])
    else:
        show.table(["problem", "", ""], shown)
    raise typer.Exit(worst)


def foresee(
    grader: Grader,
    show: Screen,
    assignment: str,
    bodies: dict[str, dict[str, Any]],
    known: dict[str, dict[str, Any]],
    yes: bool,
) -> None:
    """Ask before scores move: whose would, by a dry run of what was published before. Each body then
    names the revision that was looked at, and is refused when another one stands by then."""
    moved = {}
    for problem, body in bodies.items():
        info = known.get(problem, {})
        if not info.get("published"):
            continue
        body["base"] = info.get("revision")
        show.tell(f"Looking whose scores {assignment}/{problem} would move ...")
        foreseen = grader.publish(assignment, problem, {**body, "dry_run": True})
        moved[problem] = (foreseen.get("moves") or {}).get("students", [])
    consent(show, moved, yes=yes, what="published")


def publication(results: list[HookResult], note: str = "", dry_run: bool = False) -> dict[str, Any]:
    """The body of a publish call."""
    constant = constant_cases(results)
    return {
        "note": note,
        "dry_run": dry_run,
        "labels": [case["label"] for case in results[0].cases],
        "constant_cases": constant if len(constant) < len(results[0].cases) else [],
        "variants": [
            {
                "variant": r.variant,
                "seed": r.seed,
                "values": [case["value"] for case in r.cases],
                "inputs": [case["inputs"] for case in r.cases],
            }
            for r in results
        ],
    }


def _publish_words(answer: dict[str, Any], cases: int) -> str:
    if answer.get("unchanged"):
        return f"unchanged, still revision {answer.get('revision')}"
    words = f"{count(answer.get('cases', cases), 'case')}, {count(answer.get('variants', 1), 'variant')}"
    if answer.get("revision") is not None:
        words = f"revision {answer['revision']}: {words}"
    again = answer.get("regraded") or {}
    if again.get("attempts"):
        again_words = f"{count(again['attempts'], 'attempt')} compared again"
        words += f"; {again_words}, {again.get('changed', 0)} changed"
    return "; ".join([words, *answer.get("warnings", [])])


def _pairs(assignment: str, problem: str, pool: int) -> list[list[int]]:
    return [[v, variant_seed(assignment, problem, v)] for v in range(pool)]


def _examine(
    show: Screen,
    checker: Checker,
    reference: Runs,
    empty: Path | None,
    must_differ: list[str] | None,
    vary: list[str] | None,
    allow_constant: bool,
) -> dict[str, list[str]]:
    """The findings about every problem that is not skipped here."""
    ready = {p: r for p, r in reference.items() if r[0].outcome != "skipped"}
    wrong = [WrongTree.parse(text) for text in must_differ or []]
    if empty is not None:
        wrong.insert(0, WrongTree(empty, empty=True))
    environments = [_environment(text) for text in vary or []]
    with show.progress() as checker.step:
        return checker.examine(ready, wrong=wrong, vary=environments, allow_constant=allow_constant)


def _environment(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(equals for _, equals, _ in pairs):
        raise UsageFault(
            f"--vary is {text!r}; expected NAME=VALUE, or several with commas between."
        )
    return {name: value for name, _, value in pairs}


def check(
    words: Words = None,
    select: Select = None,
    variants: Annotated[int, typer.Option(min=1, max=64, help="How many variants to look at.")] = 2,
    allow_constant: AllowConstant = False,
    empty: Empty = None,
    must_differ: MustDiffer = None,
    vary: Vary = None,
    as_json: Json = False,
) -> None:
    """Look at the hooks before publishing: deterministic, no empty or constant cases, wrong trees fail."""
    _, name, problems, flags = split_words(words or [])
    assignment, folder = homework_folder(name)
    show = screen(as_json)
    plan = Plan(assignment, out="", only=problems or None, pool=variants)
    checker = Checker(plan, folder, select=select, flags=flags)
    reference = checker.run()
    findings = _examine(show, checker, reference, empty, must_differ, vary, allow_constant)
    if as_json:
        show.json(findings)
    else:
        rows = []
        for problem, results in reference.items():
            found = findings.get(problem)
            word = "SKIP" if found is None else "FAIL" if found else "ok"
            rows.append(
                [problem, word, "; ".join(found or []) or count(len(results[0].cases), "case")]
            )
        show.table(["problem", "", ""], rows)
    raise typer.Exit(Exit.WRONG if any(findings.values()) else Exit.OK)


def roster(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="CSV with the columns email, name, role, or an export of Canvas or Moodle; lists "
            "people when left out."
        ),
    ] = None,
    domain: Annotated[
        str, typer.Option(help="What follows the @, where an export has only logins.")
    ] = "",
    dry_run: DryRun = False,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """List the course's people, or import them from a CSV file."""
    grader = open_session(server).v1()
    show = screen(as_json)
    if file is None:
        people = grader.call("GET", "roster")["people"]
        if as_json:
            show.json(people)
        elif not people:
            show.say("Nobody is in the course yet; `mugrade roster FILE.csv` imports people.")
        else:
            show.table(
                ["email", "name", "role"], [[p["email"], p["name"], p["role"]] for p in people]
            )
        return
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageFault(
            f"{file} cannot be read ({error}); expected a CSV file in UTF-8."
        ) from None
    answer = grader.command(
        "POST",
        "roster",
        json={"csv": text, "dry_run": dry_run, **({"domain": domain} if domain else {})},
    )
    if as_json:
        show.json(answer)
    else:
        words = "would be " if dry_run or answer.get("errors") else ""
        if answer.get("errors"):
            show.say("Nothing is imported until these lines are mended:")
        for wrong in answer.get("errors") or []:
            show.say(f"line {wrong['line']}: {wrong['detail']}")
        show.say(
            f"{answer['added']} {words}added, {answer['changed']} {words}changed, {answer['unchanged']} unchanged"
        )
        if not words and answer["added"]:
            show.say("Next: `mugrade invite` makes everybody's way in.")
    raise typer.Exit(Exit.WRONG if answer.get("errors") else Exit.OK)


def grades(
    homework: Annotated[str | None, typer.Argument(help="Homework; all when left out.")] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write CSV to this file ('-' for the terminal).")
    ] = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Show the gradebook."""
    session = open_session(server)
    grader = session.v1()
    show = screen(as_json)
    query = {"assignment": homework} if homework else {}
    if csv is not None:
        response = grader.connection.send("GET", "api/v1/grades.csv", params=query)
        if not response.ok:
            grader.call("GET", "grades", params=query)  # raises the same fault with its sentence
        if str(csv) == "-":
            sys.stdout.write(response.text)
        else:
            try:
                csv.write_bytes(response.content)
            except OSError as error:
                raise UsageFault(f"{csv} cannot be written ({error.strerror}).") from None
            show.say(f"Written to {csv}.")
        return
    answer = grader.call("GET", "grades", params=query)
    if as_json:
        show.json(answer)
        return
    if not answer["students"]:
        show.say("No student is in the course yet; `mugrade roster FILE.csv` imports them.")
        return
    names = [a["id"] if isinstance(a, dict) else a for a in answer["assignments"]]
    rows = [
        [
            s["email"],
            *(number(s["scores"].get(name)) for name in names),
            number(s.get("average")),
            _project_words(s.get("project")),
            s.get("certificate_state") or ("yes" if s.get("certificate") else "no"),
        ]
        for s in answer["students"]
    ]
    show.table(
        ["student", *names, "average", "project", "certificate"],
        rows,
        right=range(1, len(names) + 2),
    )
    if any(s.get("certificate") for s in answer["students"]):
        show.say(
            f"Whoever has earned the certificate takes it at {session.server}certificate; "
            "`mugrade certificate revoke STUDENT` takes it back."
        )


def _project_words(project: dict[str, Any] | None) -> str:
    if not project:
        return "-"
    if project["grade"] is None:
        return str(project["state"])
    return f"{number(project['grade'])}/{number(project['of'])}"


def extend(
    student: Annotated[str, typer.Argument(help="The student's email.")],
    homework: str,
    reason: Reason,
    days: Annotated[
        int | None, typer.Option(min=0, max=365, help="From the homework's due time; 0 lifts it.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="ISO 8601, for example 2026-12-01T23:59Z.")
    ] = None,
    server: Server = None,
) -> None:
    """Give a student more time for a homework."""
    if (days is None) == (until is None):
        raise UsageFault("An extension needs either --days or --until.")
    more = {"days": days} if until is None else {"until": until}
    body = {"student": student, "assignment": homework, "reason": reason, **more}
    answer = open_session(server).v1().command("POST", "extensions", json=body)
    screen().say(f"{student} may hand in {homework} until {when(answer['due_at'])}.")
    if days != 0:
        screen().say(f"`mugrade extend {student} {homework} --days 0 --reason ...` takes it back.")


def override(
    student: Annotated[str, typer.Argument(help="The student's email.")],
    homework: str,
    problem: str,
    reason: Reason,
    points: Annotated[
        str | None, typer.Argument(help="A number such as 7.5; with --lift, none.")
    ] = None,
    lift: Annotated[bool, typer.Option("--lift", help="Take an earlier override back.")] = False,
    server: Server = None,
) -> None:
    """Set a student's points for a problem by hand."""
    if (points is None) != lift:
        raise UsageFault("An override needs either points or --lift.")
    body = {
        "student": student,
        "assignment": homework,
        "problem": problem,
        "points": points,
        "reason": reason,
    }
    answer = open_session(server).v1().command("POST", "overrides", json=body)
    screen().say(f"{student} has {number(answer.get('score'))} points for {homework}/{problem}.")


def register_server(app: typer.Typer) -> None:
    """The server's own commands, loaded only when one of them is called."""
    passed_on = {**PASS_ON, "help_option_names": []}
    for name, text in SERVER_COMMANDS.items():
        app.command(name, help=text, context_settings=passed_on)(_server_command(name))
    of_database = typer.Typer(help="Look after the server's database.", no_args_is_help=True)
    of_database.command(
        "check", help="Look through the whole database.", context_settings=passed_on
    )(_server_command("db_check", "db check"))
    app.add_typer(of_database, name="db")


def _server_command(name: str, words: str = "") -> Callable[[typer.Context], None]:
    words = words or name

    def command(context: typer.Context) -> None:
        inner = typer.Typer(add_completion=False, rich_markup_mode=None)
        inner.command()(getattr(need_server(), name))
        status = inner(context.args, prog_name=f"mugrade {words}", standalone_mode=False)
        if status:
            raise typer.Exit(status)

    return command


def need_server() -> ModuleType:
    """The server's commands, or a sentence when the extra is not installed."""
    try:
        from mugrade.server import commands
    except ImportError as error:
        raise UsageFault(
            f"The server's parts are not installed ({error.name} is missing); run: "
            "pip install 'mugrade[server]'"
        ) from None
    return commands
