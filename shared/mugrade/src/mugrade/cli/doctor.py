"""`mugrade doctor`: what is wrong between this machine and the grader, and the command that mends it."""

from __future__ import annotations

import datetime as dt

from mugrade.cli.display import Screen, parse_time
from mugrade.client.errors import ClientError, Exit
from mugrade.client.grader import Connection, Grader
from mugrade.client.keys import find_key
from mugrade.client.outbox import Outbox
from mugrade.client.session import choose_dialect
from mugrade.client.settings import Folders, choose_server
from mugrade.words import count

KEY_WARNING = dt.timedelta(days=14)
SKEW = 120
"""Seconds by which the clocks may differ before it is worth a word."""


def examine(server: str | None, show: Screen) -> Exit:
    """Print one line a check, `ok` or `BAD` first, and return the first fault's status."""
    worst, lines = Exit.OK, []

    def check(good: bool, line: str, status: Exit = Exit.USAGE) -> None:
        nonlocal worst
        lines.append({"ok": bool(good), "message": line})
        if not show.as_json:
            show.say(f"{'ok ' if good else 'BAD'}  {line}")
        worst = worst if good or worst else status

    folders = Folders.of_user()
    try:
        url = choose_server(server, folders)
        check(True, f"address: {url}")
        dialect = choose_dialect(url, folders)
        if dialect == "public":
            check(True, "the grader speaks the public dialect: submit and publish only")
        else:
            meta = Grader(Connection(url)).meta()
            check(True, f"the grader answers: mugrade {meta.get('version')}")
            skew = clock_skew(meta)
            check(abs(skew) <= SKEW, clock_line(skew))
        key = find_key(url, folders)
        if key is None:
            check(False, "no key on this machine; run `mugrade login`", Exit.AUTH)
        else:
            check(True, f"key {key.hint} from {key.source}")
            if dialect == "v1":
                me = Grader(Connection(url, key.text)).me()
                check(True, f"account: {me['name']}, {me['role']} of {me['course']['title']}")
                check(*key_line(me))
    except ClientError as fault:
        check(False, str(fault), Exit(fault.status))
    waiting = len(Outbox(folders.outbox).entries())
    check(
        not waiting,
        f"{count(waiting, 'attempt')} in the outbox; run `mugrade sync`"
        if waiting
        else "outbox empty",
    )
    if show.as_json:
        show.json(lines)
    return worst


def key_line(me: dict) -> tuple[bool, str]:
    """Whether the key works for some time yet, and until when."""
    if not me.get("key_expires_at"):
        return True, "the key works until it is revoked"
    until = parse_time(me["key_expires_at"])
    left = until - dt.datetime.now(dt.timezone.utc)
    words = f"the key works until {until:%Y-%m-%d}"
    return left > KEY_WARNING, words + ("" if left > KEY_WARNING else "; run `mugrade login` soon")


def clock_skew(meta: dict) -> float:
    """Seconds this machine's clock is ahead of the grader's."""
    if not meta.get("time"):
        return 0.0
    return (dt.datetime.now(dt.timezone.utc) - parse_time(meta["time"])).total_seconds()


def clock_line(skew: float) -> str:
    if abs(skew) <= SKEW:
        return "clock: agrees with the grader's"
    side = "ahead of" if skew > 0 else "behind"
    return (
        f"clock: {abs(skew) / 60:.0f} minutes {side} the grader's; due times are judged by the grader's clock. Set "
        "this machine's clock by network time."
    )
