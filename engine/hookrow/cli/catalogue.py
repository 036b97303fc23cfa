"""The commands that exist, in the order in which help shows them, and the classes they are made of.

A command's module is imported when the command is used: the list here is all that `hookrow --help` needs. Texts are
translated when they are shown, since the language is known only after the options were read.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from keyword import iskeyword
from typing import Any

import click

from hookrow.lang import Both, Plural, Text

__all__ = ["COMMANDS", "Command", "Family", "Lazy", "Listed", "Option", "ReaderGone", "command", "family", "option"]


class Listed:
    """A command of the first level: where it is, and what it does in a line."""

    __slots__ = ("brief", "module", "section")

    def __init__(self, module: str, brief: Text, section: Text) -> None:
        self.module = module
        self.brief = brief
        self.section = section


CONFIGURE = Text("Hooks and events")
HAPPEN = Text("Firing and the record")
AGAIN = Text("Once more")
BACKGROUND = Text("Running")
CARE = Text("Care")

COMMANDS: dict[str, Listed] = {
    "tui": Listed("tui", Text("Open the terminal interface; so does hookrow without a command."), CONFIGURE),
    "hooks": Listed("hooks", Text("List, show, add, edit, pause, test and remove hooks."), CONFIGURE),
    "export": Listed("exchange", Text("Write the hooks as YAML, without secrets."), CONFIGURE),
    "import": Listed("exchange", Text("Bring hooks from such a file, all of them or none."), CONFIGURE),
    "events": Listed("events", Text("List the events; say which of them an API call means."), CONFIGURE),
    "fire": Listed("fire", Text("Fire an event and obey the answer."), HAPPEN),
    "explain": Listed(
        "explain", Text("Say which hooks would run and why the others would not; sends nothing."), HAPPEN
    ),
    "log": Listed("log", Text("What happened, newest first; or follow it live."), HAPPEN),
    "show": Listed("show", Text("Everything about one firing or delivery."), HAPPEN),
    "fixture": Listed("fixture", Text("Write a recorded request and its reply as a pytest test."), HAPPEN),
    "redeliver": Listed("redeliver", Text("Send recorded deliveries again: same bytes, same webhook-id."), AGAIN),
    "replay": Listed("replay", Text("Run recorded payloads through today's hooks and compare."), AGAIN),
    "drop": Listed("drop", Text("Give up dead deliveries."), AGAIN),
    "worker": Listed("worker", Text("Send what is queued until told to stop."), BACKGROUND),
    "listen": Listed("listen", Text("A receiver for developers: prints what comes, answers as told."), BACKGROUND),
    "demo": Listed("demo", Text("Fire the nine sample events at a local receiver and show what happened."), BACKGROUND),
    "doctor": Listed("doctor", Text("Say what is wrong or would surprise; which settings are in force."), CARE),
    "prune": Listed("prune", Text("Delete finished firings beyond the settings of retention."), CARE),
    "init": Listed("init", Text("Make a database here."), CARE),
    "settings": Listed("settings", Text("List and set what every process on this database obeys."), CARE),
    "keys": Listed("keys", Text("Make, change and check the key that seals secrets."), CARE),
    "db": Listed("db", Text("Upgrade or back up the database."), CARE),
}


class Command(click.Command):
    """A command whose help is translated when it is shown. `more` follows the first sentence on its own page."""

    def __init__(self, *args: Any, brief: Text, more: Text | None = None, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.brief = brief
        self.more = more

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.allow_extra_args = True
        rest = super().parse_args(ctx, args)
        if rest and not ctx.resilient_parsing:
            # Not repeated: somebody may have typed a secret where none is taken.
            ctx.fail(str(Plural("There is {n} argument too many.", "There are {n} arguments too many.", len(rest))))
        return rest

    def get_short_help_str(self, limit: int = 45) -> str:
        return str(self.brief)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_help(formatter, self.brief, self.more)


class Family(click.Group):
    """A group of commands, such as `hooks`; its help is translated when it is shown."""

    def __init__(self, *args: Any, brief: Text, more: Text | None = None, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.brief = brief
        self.more = more

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def get_short_help_str(self, limit: int = 45) -> str:
        return str(self.brief)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_help(formatter, self.brief, self.more)


class ReaderGone(Exception):
    """Whoever read our output went away, as `| head` does."""


class Lazy(click.Group):
    """The root: knows its commands' names and first sentences, and imports a command when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        listed = COMMANDS.get(cmd_name)
        if listed is None:
            return None
        module = import_module(f"hookrow.cli.commands.{listed.module}")
        found: click.Command = getattr(module, f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name)
        return found

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise ReaderGone from None  # click would end the process with a code of its own

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_help(formatter, Text("Webhooks called in order, in time, and remembered."), None)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections = dict.fromkeys(listed.section for listed in COMMANDS.values())
        for section in sections:
            with formatter.section(str(section)):
                formatter.write_dl(
                    [(name, str(each.brief)) for name, each in COMMANDS.items() if each.section == section]
                )


class Option(click.Option):
    """An option whose help is translated when it is shown."""

    def __init__(self, *args: Any, says: Any = "", **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.says = says

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        self.help = str(self.says)
        return super().get_help_record(ctx)


def write_help(formatter: click.HelpFormatter, brief: Text, more: Text | None) -> None:
    """The paragraphs above the options."""
    for text in (brief, more):
        if text is not None:
            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(str(text))


def command(
    name: str, brief: Text | None = None, more: Text | None = None
) -> Callable[[Callable[..., Any]], click.Command]:
    """Makes a command of a function. One of the first level has its sentence in `COMMANDS`."""
    return click.command(name, cls=Command, brief=brief or COMMANDS[name].brief, more=more)


def family(name: str, more: Text | None = None) -> Family:
    """An empty group of the first level."""
    return Family(name, brief=COMMANDS[name].brief, more=more)


def option(*declarations: str, says: Text | Both | str = "", **attributes: Any) -> Callable[[Any], Any]:
    """An option of a command. `says` is its help."""
    return click.option(*declarations, cls=Option, says=says, **attributes)
