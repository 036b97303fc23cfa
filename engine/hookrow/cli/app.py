"""The root command and its edge. What `hookrow --help` does not need is imported where it is needed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from hookrow.cli.catalogue import Lazy, name_commands, option
from hookrow.cli.click_words import speak
from hookrow.cli.session import Session
from hookrow.cli.stdout import emit, tell
from hookrow.lang import Text, detect

__all__ = ["root", "run"]

AS_IT_IS = Session()


def show_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Print the version and leave."""
    if value and not ctx.resilient_parsing:
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("hookrow")
        except PackageNotFoundError:  # run from the source, not installed
            number = "0"
        emit(f"hookrow {number}\n")
        ctx.exit()


@click.group(
    cls=Lazy,
    brief=Text("Call webhooks in order and on time, and log every request."),
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=show_version,
    says=Text("Show the version and exit."),
)
@click.pass_context
def root(ctx: click.Context) -> int | None:
    """Webhooks called in order, in time, and remembered."""
    if ctx.invoked_subcommand is not None:
        return None
    if sys.stdin.isatty() and sys.stdout.isatty():
        from hookrow.cli.commands.tui import open_terminal_interface

        return open_terminal_interface(ctx.obj)
    emit(f"{ctx.get_help()}\n")
    path = ctx.obj.path
    if path is not None and not path.exists():
        none = Text(
            "There is no database {path} yet. Create it: hookrow init, with samples: hookrow init --example", path=path
        )
        tell(f"\n{none}")
    hint = Text("The terminal interface needs a terminal. Over SSH: ssh -t HOST hookrow")
    tell(f"\n{hint}")
    return 0


def run(arguments: Sequence[str] | None = None, session: Session = AS_IT_IS) -> int:
    """Run one command line and give its exit code. Nothing but a fault of this program has a traceback.

    `session` names the database where `--db` does not (else it is $HOOKROW_DB, else ./hooks.db), and the program.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # it was closed (`>&-`): as if nothing came from there, and nobody listened
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - as long as the process
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8 must not stop a log
    speak(detect())
    name_commands(session.program)
    try:
        code = root.main(args=arguments, prog_name=session.called, standalone_mode=False, obj=session)
        return code if isinstance(code, int) else 0
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - every kind of end has its words and its code
        from hookrow.cli.exits import end

        return end(error)
    finally:
        name_commands("hookrow")  # of a process that goes on
