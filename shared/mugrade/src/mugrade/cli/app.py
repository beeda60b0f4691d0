"""The command `mugrade`: accounts here, submissions in `cli.submit`, staff in `cli.staff`.

Every command ends with one of the statuses of `errors.Exit`; a `ClientError` becomes its
sentence on standard error. Nobody sees a traceback for a mistake of their own.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Annotated

import typer

import mugrade
from mugrade.cli import people, regrade, staff, submit
from mugrade.cli.common import Json, Server, screen
from mugrade.client.errors import AuthFault, ClientError, Exit, NetworkFault, UsageFault
from mugrade.client.grader import Connection, Grader
from mugrade.client.keys import checked_key, find_key, forget_key, store_key
from mugrade.client.session import choose_dialect, open_session
from mugrade.client.settings import Folders, choose_server, remember_server

app = typer.Typer(
    name="mugrade",
    help="Hand in homework to a grader that compares values, and look at the results.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
submit.register(app)
staff.register(app)
people.register(app)
regrade.register(app)


@app.command()
def login(
    server: Server = None,
    key: Annotated[
        str | None, typer.Option(help="Use this key instead of the browser; '-' asks for it.")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="Staff: ask for this too (repeatable): grade, publish, roster.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Connect this machine to your account, by a code that you confirm in the browser."""
    folders = Folders.of_user()
    url = choose_server(server, folders)
    show = screen(as_json)
    if key is None:
        key = _device_login(url, scope)
    elif key == "-":
        key = typer.prompt(f"Key for {url}", hide_input=True)
    else:
        show.tell(
            "A key on the command line stays in the shell's history; `mugrade login --key -` asks for it."
        )
    key = checked_key(key, url)
    name = "the key"
    if choose_dialect(url, folders) == "v1":
        account = Grader(Connection(url, key)).me()
        name = f"{account['name']} ({account['role']}, {account['course']['title']})"
    place = store_key(url, key, folders)
    remember_server(url, folders)
    if as_json:
        show.json({"server": url, "account": name, "stored": place})
    else:
        show.say(f"Logged in to {url} as {name}; the key is in {place}.")
        if "publish" in (scope or []):
            show.say(
                "Next: `mugrade publish HOMEWORK` in the solved tree; `mugrade roster FILE.csv`."
            )


def _device_login(url: str, scopes: list[str] | None) -> str:
    """RFC 8628: show a code, wait until it was confirmed in the browser."""
    grader = Grader(Connection(url))
    asked = {"client": os.environ.get("HOSTNAME", "terminal")}
    more = {"scopes": scopes} if scopes else {}  # a grader of before knows no scopes here
    begun = grader.call("POST", "device/code", json={**asked, **more})
    print(
        f"Open {begun.get('verification_uri_complete') or begun['verification_uri']}\n"
        f"and confirm the code {begun['user_code']}. Waiting ...",
        file=sys.stderr,
        flush=True,
    )
    pause, left = float(begun.get("interval", 5)), float(begun.get("expires_in", 900))
    while left > 0:
        time.sleep(pause)
        left -= pause
        try:
            return grader.call("POST", "device/token", json={"device_code": begun["device_code"]})[
                "token"
            ]
        except UsageFault as fault:
            if fault.code == "slow_down":
                pause += 5
            elif fault.code == "access_denied":
                raise AuthFault(
                    "The code was refused in the browser; run `mugrade login` again."
                ) from fault
            elif fault.code != "authorization_pending":
                break
    raise AuthFault("The code was not confirmed in time; run `mugrade login` again.")


@app.command()
def logout(server: Server = None) -> None:
    """Forget the key on this machine and revoke it at the grader."""
    folders = Folders.of_user()
    url = choose_server(server, folders)
    key = find_key(url, folders)
    show = screen()
    if key is None:
        show.say(f"There was no key for {url} on this machine.")
        return
    try:
        if choose_dialect(url, folders) == "v1":
            Grader(Connection(url, key.text)).call("DELETE", "me/token")
        told = "and revoked"
    except AuthFault:
        told = "and was no longer valid"
    except NetworkFault:
        told = f"but could not be revoked; do that at {url}keys"
    forget_key(url, folders)
    show.say(f"The key for {url} is forgotten {told}.")
    if key.source == "MUGRADE_KEY":
        show.say("MUGRADE_KEY is still set in this shell: unset MUGRADE_KEY")


@app.command()
def whoami(server: Server = None, as_json: Json = False) -> None:
    """Show which account the key of this machine belongs to."""
    session = open_session(server)
    me = session.v1().me()
    show = screen(as_json)
    if as_json:
        show.json({**me, "server": session.server, "key_from": session.key.source})
        return
    show.say(f"{me['name']} <{me['email']}>, {me['role']} of {me['course']['title']}")
    show.say(f"at {session.server}; key {session.key.hint} from {session.key.source}")


@app.command()
def doctor(server: Server = None, as_json: Json = False) -> None:
    """Check address, clock, key and outbox; each fault comes with the command that mends it."""
    from mugrade.cli.doctor import examine

    raise typer.Exit(examine(server, screen(as_json)))


@app.command()
def version() -> None:
    """Print the version."""
    print(mugrade.__version__)


def main(arguments: list[str] | None = None) -> None:
    """Entry point: run the command and exit with its status."""
    sys.exit(int(run(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit status."""
    _trust_the_systems_certificates()
    as_json = "--json" in arguments
    try:
        status = app(arguments, prog_name="mugrade", standalone_mode=False)
        return int(status or 0)
    except ClientError as fault:
        screen(as_json).fault(str(fault), fault.status)
        return fault.status
    except typer.Exit as done:
        return done.exit_code
    except typer.Abort:
        screen().fault("stopped.", Exit.USAGE)
        return Exit.USAGE
    except KeyboardInterrupt:
        screen().fault(
            "stopped; what was not acknowledged is in the outbox, `mugrade sync` sends it.", 130
        )
        return 130
    except UnicodeEncodeError as error:
        screen(as_json).fault(f"{error.object!a:.80} is no text in UTF-8.", Exit.USAGE)
        return Exit.USAGE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        screen(as_json).fault(f"{where}{error.strerror or error}.", Exit.USAGE)
        return Exit.USAGE
    except Exception as error:
        if hasattr(error, "format_message"):  # click's own usage errors
            context = getattr(error, "ctx", None)  # of the command whose words were wrong
            inner = context.command_path.split()[1:] if context is not None else []
            command = " ".join(["mugrade", *inner, "--help"])
            screen(as_json).fault(
                f"{error.format_message()} `{command}` lists what there is.", Exit.USAGE
            )
            return Exit.USAGE
        if type(error).__module__.startswith("mugrade.server"):  # its errors are sentences too
            screen(as_json).fault(str(getattr(error, "detail", error)), Exit.USAGE)
            return Exit.USAGE
        raise


def _trust_the_systems_certificates() -> None:
    """Let TLS use the operating system's certificates, where a university's proxy has put its own."""
    try:
        import truststore

        truststore.inject_into_ssl()
    except ImportError:  # requests' own bundle then
        pass
