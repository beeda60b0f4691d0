"""The student's commands: submit, run, status, sync, receipts, verify."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mugrade.cli.common import PASS_ON, Json, Select, Server, homework_folder, screen, split_words
from mugrade.cli.display import Screen, as_data, when
from mugrade.client import receipts as signed
from mugrade.client.errors import ClientError, Exit, UsageFault
from mugrade.client.grader import problem_path
from mugrade.client.outbox import Outbox
from mugrade.client.run import run_hooks
from mugrade.client.session import open_session
from mugrade.client.settings import Folders
from mugrade.client.submit import Request, Results, Submission
from mugrade.client.submit import sync as send_outbox
from mugrade.plan import Plan
from mugrade.words import number

Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="[HW] [PROBLEM...]", help="Homework and problems; all when left out."),
]
MAX_SOURCE = 256 * 1024


def register(app: typer.Typer) -> None:
    app.command(context_settings=PASS_ON)(submit)
    app.command(context_settings=PASS_ON)(run)
    app.command()(status)
    app.command()(sync)
    app.command()(receipts)
    app.command()(verify)
    app.command()(timing)


def submit(
    words: Words = None,
    select: Select = None,
    late: Annotated[
        bool, typer.Option("--late", help="Hand in although it costs points or late days.")
    ] = False,
    source: Annotated[
        list[Path] | None, typer.Option(help="Send this text file along (repeatable).")
    ] = None,
    server: Server = None,
    as_json: Json = False,
    report_file: Annotated[
        Path | None, typer.Option("--report", help="Write what --json prints to this file too.")
    ] = None,
) -> None:
    """Run the submission hooks of a homework and send their values.

    Other options go to pytest. The old form `mugrade submit KEY hw0 -k "softmax"` works too.
    """
    key, name, problems, flags = split_words(words or [])
    show = screen(as_json)
    assignment, folder = homework_folder(name)
    if key is not None:
        warn_of_key(show, key)
    session = open_session(server, key)
    request = Request(
        assignment, folder, problems, select, late, flags, read_sources(source or [], folder)
    )
    report = Submission(session, request, show.tell).run()
    show.report(report)
    if report_file is not None:
        try:
            report_file.write_text(json.dumps(as_data(report)), encoding="utf-8")
        except OSError as error:
            raise UsageFault(
                f"{report_file} cannot be written ({error.strerror}); what was handed in counts all the "
                "same."
            ) from None
    raise typer.Exit(report.exit)


def warn_of_key(show: Screen, key: str) -> None:
    show.tell(
        "A key on the command line stays in the shell's history and in saved notebooks; "
        "`mugrade login` once and leave it out."
    )


def read_sources(paths: list[Path], folder: Path) -> list[dict[str, str]]:
    """The files as the attempt's `source` manifest."""
    import hashlib

    out = []
    for path in paths:
        full = path if path.is_absolute() else folder / path
        try:
            text = full.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageFault(f"{path} cannot be sent along ({error}); name a text file.") from None
        if len(text) > MAX_SOURCE:
            raise UsageFault(
                f"{path} is larger than {MAX_SOURCE // 1024} KiB; name source files only."
            )
        out.append(
            {
                "path": path.as_posix(),
                "sha256": hashlib.sha256(text.encode()).hexdigest(),
                "text": text,
            }
        )
    return out


def run(
    homework: Annotated[str, typer.Argument(help="Homework, for example hw0.")],
    problem: Annotated[str, typer.Argument(help="Problem, for example softmax_loss.")],
    flags: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    case: Annotated[int | None, typer.Option(min=1, help="Show only this case.")] = None,
    pdb: Annotated[
        bool,
        typer.Option(
            "--pdb", help="Stop in the debugger where the case begins, or where it fails."
        ),
    ] = False,
    server: Server = None,
) -> None:
    """Run one hook here with your own variant, sending nothing."""
    assignment, folder = homework_folder(homework)
    show = screen()
    mine = own_variant(assignment, problem, server, show)
    plan = Plan(assignment, out="", only=[problem], variants={problem: [mine]} if mine else {})
    plan.case, plan.debug = case, pdb
    extra = [*(flags or []), *(["--pdb"] if pdb else []), *(["-s"] if pdb or case else [])]
    result = run_hooks(plan, folder, flags=extra)[0]
    for index, found in enumerate(result.cases, 1):
        if case in (None, index):
            place = Path(found["file"])
            short = place.relative_to(folder) if place.is_relative_to(folder) else place
            show.say(
                f"case {index}  {found['label']}  {describe(found['value'])}  {short}:{found['line']}"
            )
    if case is not None and case > len(result.cases) and result.outcome == "ok":
        raise UsageFault(f"{problem} has {len(result.cases)} cases; there is no case {case}.")
    if result.outcome != "ok":
        show.say(f"{problem}: {result.message}")
        for frame in result.trace:
            show.say(
                f"  {frame['file']}:{frame['line']} in {frame['function']}\n    {frame['text']}"
            )
    raise typer.Exit({"ok": Exit.OK, "skipped": Exit.HARDWARE}.get(result.outcome, Exit.WRONG))


def own_variant(
    assignment: str, problem: str, server: str | None, show: Screen
) -> list[int] | None:
    """This account's variant, or None (then variant 0 runs) when it cannot be known."""
    try:
        plan, _ = open_session(server).plan(assignment)
    except ClientError as fault:
        show.tell(f"{fault} Running variant 0 instead of yours.")
        return None
    for found in plan.get("problems") or []:
        if found["id"] == problem and found.get("variant") is not None:
            return [found["variant"], found["seed"]]
    return None


def describe(value: object) -> str:
    """An encoded value in a few words."""
    if isinstance(value, dict) and "_encoded_type" in value:
        if value["_encoded_type"] == "np.ndarray":
            return f"{value['dtype']} array {tuple(value['shape'])}"
        return str(value.get("data"))
    if isinstance(value, (list, dict)):
        return f"{'list' if isinstance(value, list) else 'dict'} of {len(value)}"
    return repr(value)


def status(
    homework: Annotated[str | None, typer.Argument(help="Homework; all when left out.")] = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Show scores, due times and tries left."""
    session = open_session(server)
    show = screen(as_json)
    if homework is not None:
        session.v1()
        plan, fresh = session.plan(homework)
        if as_json:
            show.json(plan)
            return
        show.status(plan)
        if not fresh:
            show.say("(as of the last time the grader was reached)")
        return
    answer = session.v1().assignments()
    if as_json:
        show.json(answer)
    elif not answer["assignments"]:
        show.say("The course has no homework yet; staff publish one with `mugrade publish`.")
    else:
        show.table(
            ["homework", "title", "score", "due"],
            [
                [
                    a["id"],
                    a.get("title") or "",
                    f"{number(a.get('score'))}/{number(a.get('points'))}",
                    when(a["due_at"], answer.get("now")) if a.get("due_at") else "no due time",
                ]
                for a in answer["assignments"]
            ],
            right=[2],
        )


def sync(
    server: Server = None,
    discard: Annotated[bool, typer.Option("--discard", help="Throw away what is waiting.")] = False,
    as_json: Json = False,
) -> None:
    """Send what could not be sent before."""
    show = screen(as_json)
    outbox = Outbox(Folders.of_user().outbox)
    waiting = outbox.entries()
    if discard:
        for entry in waiting:
            outbox.remove(entry)
        show.say(f"Thrown away: {len(waiting) - len(outbox.entries())}.")
        return
    if not waiting:
        show.json([]) if as_json else show.say("Nothing is waiting to be sent.")
        return
    session = open_session(server)
    done = send_outbox(session)
    if as_json:
        show.json(
            [
                {
                    "assignment": entry.assignment,
                    "problem": row.problem,
                    "word": row.word,
                    "message": row.message,
                    "attempt": row.attempt,
                }
                for entry, row in done
            ]
        )
    for entry, row in done:
        if not as_json:
            cases = f"{row.correct}/{row.cases} cases" if row.cases else ""
            show.say(
                f"{entry.assignment}/{row.problem}  {row.word}  {cases}  {row.message}".rstrip()
            )
    left = len(outbox.entries())
    if left and not as_json:
        show.say(
            f"Still waiting: {left} (of another account or grader, too early, or it cannot be reached)."
        )
    raise typer.Exit(Results("", [row for _, row in done]).exit)


def receipts(
    homework: Annotated[str | None, typer.Argument(help="Homework; all when left out.")] = None,
    as_json: Json = False,
) -> None:
    """List the signed receipts on this machine."""
    show = screen(as_json)
    found = signed.stored(Folders.of_user().receipts, homework)
    if as_json:
        show.json([{"file": str(path), **payload} for path, payload in found])
    elif not found:
        show.say("No receipts yet; `mugrade submit` stores one for each attempt.")
    else:
        show.table(
            ["problem", "cases", "score", "at", "attempt"],
            [
                [
                    f"{p.get('assignment')}/{p.get('problem')}",
                    f"{p.get('correct')}/{p.get('total')}",
                    number(p.get("score")),
                    when(p["at"]).split(" (")[0] if p.get("at") else "-",
                    p.get("attempt"),
                ]
                for _, p in found
            ],
            right=[1, 2],
        )
        show.say("`mugrade verify` checks all of them, `mugrade verify FILE` one.")


def verify(
    what: Annotated[
        str | None, typer.Argument(metavar="[FILE|RECEIPT]", help="All stored ones when left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check receipts, or a certificate's signature, against the grader's public key, offline."""
    folders = Folders.of_user()
    show = screen(as_json)
    if what is None:
        texts = {str(path): path.read_text("utf-8") for path, _ in signed.stored(folders.receipts)}
    elif what.startswith("mgr1."):
        texts = {"the receipt": what}
    else:
        try:
            texts = {what: Path(what).read_text("utf-8")}
        except (OSError, ValueError):
            raise UsageFault(
                f"{what:.200} is neither a file nor a receipt; `mugrade receipts --json` lists files."
            ) from None
    known = signed.known_keys(folders)
    checked = [(name, *signed.check(text, known)) for name, text in texts.items()]
    if as_json:
        show.json([{"file": name, "ok": good, "message": words} for name, good, words in checked])
    elif not checked:
        show.say("No receipts yet; `mugrade submit` stores one for each attempt.")
    else:
        for name, good, words in checked:
            show.say(f"{'ok  ' if good else 'BAD '} {words}" + ("" if good else f" ({name})"))
    raise typer.Exit(Exit.OK if all(good for _, good, _ in checked) else Exit.WRONG)


def timing(
    homework: Annotated[str, typer.Argument(help="Homework, for example hw3.")],
    problem: Annotated[str, typer.Argument(help="A speed problem that you have solved.")],
    seconds: Annotated[float, typer.Argument(min=1e-9, help="How long your program takes.")],
    device: Annotated[str, typer.Option(help="What it ran on, in a few words.")] = "",
    operations: Annotated[
        int | None, typer.Option(min=1, help="Arithmetic operations that it makes.")
    ] = None,
    moved: Annotated[
        int | None, typer.Option("--bytes", min=1, help="Bytes that it moves to and from memory.")
    ] = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Report what your program takes, for the leaderboard of a speed problem; counts rank first."""
    session = open_session(server)
    path = problem_path(homework, problem)
    counts = {"operations": operations, "bytes": moved}
    body = {"seconds": seconds, "device": device}
    body |= {name: count for name, count in counts.items() if count is not None}
    session.v1().call("POST", f"{path}/timing", json=body)
    entries = session.v1().call("GET", f"{path}/leaderboard")["entries"]
    show = screen(as_json)
    if as_json:
        show.json(entries)
        return
    show.say(
        f"Reported: {seconds:g} seconds. You are listed once you choose a name at {session.server}data."
    )
    if entries:
        names = ("operations", "bytes", "size")
        rows = [
            [n, e["name"], *(e.get(c) or "-" for c in names), f"{e['seconds']:.4g}", e["device"]]
            for n, e in enumerate(entries, 1)
        ]
        show.table(["place", "name", *names, "seconds", "device"], rows, right=[0, 2, 3, 4, 5])
