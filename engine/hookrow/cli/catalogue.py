"""The commands that exist, in the order in which help shows them, and the classes they are made of.

A command's module is imported when the command is used: the list here is all that `hookrow --help` needs. Texts are
translated when they are shown, since the language is known only after the options were read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from copy import copy
from functools import partial
from importlib import import_module
from keyword import iskeyword
from math import isnan
from typing import Any, Final

import click

from hookrow.cli.click_words import speak
from hookrow.cli.stdout import ReaderGone, emit
from hookrow.lang import Both, Plural, Speech, Text, detect

__all__ = [
    "COMMANDS",
    "Command",
    "Family",
    "Lazy",
    "Listed",
    "Number",
    "Option",
    "command",
    "family",
    "name_commands",
    "option",
    "spoken",
]


class Listed:
    """A command of the first level: where it is, and what it does in a line."""

    __slots__ = ("brief", "module", "section")

    def __init__(self, module: str, brief: Text, section: Text) -> None:
        self.module: Final = module
        self.brief: Final = brief
        self.section: Final = section


CONFIGURE = Text("Hooks and events")
HAPPEN = Text("Firing and log")
AGAIN = Text("Redeliver and replay")
BACKGROUND = Text("Running")
CARE = Text("Maintenance")

COMMANDS: dict[str, Listed] = {
    "tui": Listed("tui", Text("Open the terminal interface; so does hookrow without a command."), CONFIGURE),
    "hooks": Listed("hooks", Text("List, show, add, edit, pause, test and remove hooks."), CONFIGURE),
    "export": Listed("exchange", Text("Export the hooks as YAML, without secrets."), CONFIGURE),
    "import": Listed("exchange", Text("Import hooks from such a file, all of them or none."), CONFIGURE),
    "events": Listed("events", Text("List event types, or find those that an API call triggers."), CONFIGURE),
    "fire": Listed("fire", Text("Fire an event and print the result."), HAPPEN),
    "explain": Listed("explain", Text("Show which hooks would run, and why others would not. Sends nothing."), HAPPEN),
    "log": Listed("log", Text("Show what happened, newest first; or follow it live."), HAPPEN),
    "show": Listed("show", Text("Show everything about one firing or delivery."), HAPPEN),
    "fixture": Listed("fixture", Text("Write a recorded request and its reply as a pytest test."), HAPPEN),
    "rehearse": Listed("rehearse", Text("Try recorded firings on a changed, unsaved hook. Sends nothing."), HAPPEN),
    "redeliver": Listed("redeliver", Text("Send recorded deliveries again: same bytes, same webhook-id."), AGAIN),
    "replay": Listed("replay", Text("Fire recorded payloads again through today's hooks and compare."), AGAIN),
    "tap": Listed("tap", Text("Send live copies of deliveries to a developer's machine."), AGAIN),
    "drop": Listed("drop", Text("Discard dead deliveries."), AGAIN),
    "worker": Listed("worker", Text("Send the queued deliveries until stopped."), BACKGROUND),
    "listen": Listed("listen", Text("Run a test receiver that prints requests and answers them."), BACKGROUND),
    "demo": Listed("demo", Text("Fire the nine sample events at local receivers and show the results."), BACKGROUND),
    "doctor": Listed("care.doctor", Text("Check for problems and show the active settings."), CARE),
    "prune": Listed(
        "care.prune", Text("Delete finished firings older or larger than the retention settings allow."), CARE
    ),
    "init": Listed("care.init", Text("Create a database here."), CARE),
    "settings": Listed(
        "care.settings", Text("List and change settings shared by all processes on this database."), CARE
    ),
    "keys": Listed("care.keys", Text("Create, change and check the key that encrypts secrets."), CARE),
    "db": Listed("care.db", Text("Back up, restore, check, copy or upgrade the database."), CARE),
}


# Placeholders of usage lines and options, as help shows them.
PLACES: dict[str, Text] = {
    "ANSWER": Text("ANSWER"),
    "ARGS": Text("ARGS"),
    "COMMAND": Text("COMMAND"),
    "CONDITION": Text("CONDITION"),
    "EVENT": Text("EVENT"),
    "FILE": Text("FILE"),
    "FIRST": Text("FIRST"),
    "HOOK": Text("HOOK"),
    "KEY": Text("KEY"),
    "LAST": Text("LAST"),
    "METHOD": Text("METHOD"),
    "NAME": Text("NAME"),
    "OPTIONS": Text("OPTIONS"),
    "OUTCOME": Text("OUTCOME"),
    "PATH": Text("PATH"),
    "PORT": Text("PORT"),
    "REPLY": Text("REPLY"),
    "REVISION": Text("REVISION"),
    "STATUS": Text("STATUS"),
    "TARGET": Text("TARGET"),
    "TEXT": Text("TEXT"),
    "TIME": Text("TIME"),
    "VALUE": Text("VALUE"),
    "VAR": Text("VAR"),
}


def spoken(place: str) -> str:
    """A placeholder such as `FILE|-` or `[HOOK]...` in the language in use."""
    return re.sub(r"[A-Z]{3,}", lambda found: str(PLACES.get(found[0], found[0])), place)


# One for each command's help, below its name; what it works on is the example database's.
EXAMPLES: dict[str, str] = {
    "": "hookrow --db shop.db log --follow",
    "tui": "hookrow --db shop.db tui",
    "hooks": "hookrow hooks list --event before_order_add",
    "hooks secret": "hookrow hooks secret new stock",
    "hooks secret new": "hookrow hooks secret new stock",
    "hooks secret rotate": "hookrow hooks secret rotate stock",
    "hooks stats": "hookrow hooks stats stock",
    "rehearse": "hookrow rehearse stock --condition 'order.sum > 1000' --since 7d",
    "hooks try": "hookrow hooks try stock --timeout 2 --on-failure continue",
    "hooks promote": "hookrow hooks promote stock --yes",
    "hooks drop-candidate": "hookrow hooks drop-candidate stock",
    "hooks list": "hookrow hooks list --event before_order_add",
    "hooks show": "hookrow hooks show stock",
    "hooks add": "hookrow hooks add --name CRM --url https://crm.example --event on_subscription --no-fire-and-forget",
    "hooks edit": "hookrow hooks edit stock --timeout 3 --on-failure stop",
    "hooks rm": "hookrow hooks rm new-year --yes",
    "hooks enable": "hookrow hooks enable old-warehouse",
    "hooks disable": "hookrow hooks disable stock",
    "hooks pause": "hookrow hooks pause stock --reason 'inventory until Monday' --yes",
    "hooks resume": "hookrow hooks resume stock",
    "hooks move": "hookrow hooks move stock --before contract-discount",
    "hooks history": "hookrow hooks history stock",
    "hooks rollback": "hookrow hooks rollback stock 1",
    "hooks test": "hookrow hooks test stock",
    "hooks deleted": "hookrow hooks deleted",
    "hooks restore": "hookrow hooks restore new-year",
    "hooks undo": "hookrow hooks undo --yes",
    "export": "hookrow export -o hooks.yaml",
    "import": "hookrow import hooks.yaml --dry-run",
    "events": "hookrow events",
    "events match": "hookrow events match POST /user/new",
    "events set": "hookrow events set before_order_add --together",
    "fire": "hookrow fire before_order_add --payload order.json",
    "explain": "hookrow explain before_order_add --payload order.json",
    "log": "hookrow log --outcome vetoed --since yesterday",
    "show": "hookrow show evt_…",
    "fixture": "hookrow fixture msg_… --yes",
    "redeliver": "hookrow redeliver --outcome dead --since 1w --rate 5/s --yes",
    "replay": "hookrow replay evt_… --to http://localhost:3000 --dry-run",
    "tap": "hookrow tap --event before_order_add --to http://localhost:3000",
    "drop": "hookrow drop --outcome dead --hook stock --yes",
    "worker": "hookrow worker --concurrency 64",
    "listen": "hookrow listen --port 3000 --reply veto",
    "demo": "hookrow demo",
    "doctor": "hookrow doctor",
    "prune": "hookrow prune --days 14",
    "init": "hookrow --db shop.db init",
    "settings": "hookrow settings set egress public",
    "settings list": "hookrow settings list",
    "settings set": "hookrow settings set retention_days 14",
    "keys": "hookrow keys check",
    "keys new": "hookrow --db shop.db keys new",
    "keys check": "hookrow keys check",
    "keys rotate": "hookrow keys rotate",
    "keys forget": "hookrow keys forget 5c65c9a5",
    "keys abandon": "hookrow keys abandon 5c65c9a5",
    "db": "hookrow db backup hooks-copy.db",
    "db upgrade": "hookrow db upgrade",
    "db backup": "hookrow db backup hooks-copy.db",
    "db check": "hookrow db check",
    "db copy": "hookrow db copy --to copy.db --log",
    "db restore": "hookrow db restore copy.db --yes",
}


WHOLE, NUMBER = Text("whole number"), Text("number")
NUMBERS: Mapping[str, Any] = {"integer": WHOLE, "integer range": WHOLE, "float": NUMBER, "float range": NUMBER}


class Option(click.Option):
    """An option whose help is translated when it is shown."""

    def __init__(self, *args: Any, says: Any = "", **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.says = says

    def make_metavar(self, ctx: click.Context) -> str:
        return spoken(super().make_metavar(ctx))

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        self.help: str | None = str(self.says)
        return super().get_help_record(ctx)


def name_commands(program: str) -> None:
    """From now on every text that names a command names it as it is typed here, in the place of `hookrow`."""
    Speech.typed = None
    if program != "hookrow":
        command = re.compile(rf"\bhookrow(?= (?:{'|'.join(COMMANDS)})\b)")
        Speech.typed = partial(command.sub, lambda _: program)


def choose_database(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    """What the command, or a command below it, works on."""
    if value is not None or ctx.obj is None:
        from hookrow.cli.session import Session

        ctx.obj = (ctx.obj or Session())._replace(db=value, named=True)
        name_commands(ctx.obj.program)


def choose_language(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    """Speak as `--lang` says from the moment that it is read, so that help and errors obey it."""
    if value is not None:
        speak(detect(value))


def anywhere(*, hidden: bool) -> list[click.Parameter]:
    """The options that may stand before the command and after it."""
    where = Text("The database: a file or a URL; else $HOOKROW_DB, else ./hooks.db.")
    speech = Text("Language; else $HOOKROW_LANG, else the locale's.")
    either: Any = {"expose_value": False, "hidden": hidden}
    return [
        Option(["--db"], metavar="URL|PATH", callback=choose_database, says=where, **either),
        Option(
            ["--lang"], type=click.Choice(["ru", "en"]), is_eager=True, callback=choose_language, says=speech, **either
        ),
    ]


BEFORE, AFTER = anywhere(hidden=False), anywhere(hidden=True)


class Spoken(click.Command):
    """A command whose help is in the language in use, with an example and the options `--db` and `--lang`.

    `more` follows the first sentence, `brief`, on the command's own page.
    """

    def __init__(self, *args: Any, brief: Text, more: Text | None = None, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.brief = brief
        self.more = more

    def get_short_help_str(self, limit: int = 45) -> str:
        return str(self.brief)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for text in (self.brief, self.more):
            if text is not None:
                formatter.write_paragraph()
                with formatter.indentation():
                    formatter.write_text(str(text))

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*(AFTER if ctx.parent else BEFORE), *super().get_params(ctx)]

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [spoken(piece) for piece in super().collect_usage_pieces(ctx)]

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        found = super().get_help_option(ctx)
        if found is not None:
            found.help = str(Text("Show this message and exit."))
            found.callback = show_help
        return found

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        called = str(ctx.find_root().info_name)
        example = EXAMPLES.get(ctx.command_path.removeprefix(called).strip())
        if example is not None:
            example = example.replace("hookrow", called, 1)
            with formatter.section(str(Text("Example"))):
                formatter.write(f"{' ' * formatter.current_indent}{example}\n")


class Command(Spoken):
    """A command that refuses arguments beyond its own, and says of what is no number what it should be."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        for each in self.params:
            if each.type.name in NUMBERS:
                each.type = copy(each.type)  # that of a plain `int` is everybody's
                each.type.name = NUMBERS[each.type.name]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.allow_extra_args = True
        rest = super().parse_args(ctx, args)
        if rest and not ctx.resilient_parsing:
            # Not repeated: somebody may have typed a secret where none is taken.
            ctx.fail(str(Plural("There is {n} argument too many.", "There are {n} arguments too many.", len(rest))))
        return rest


class Family(Spoken, click.Group):
    """A group of commands, such as `hooks`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


def show_help(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Print a command's help and leave."""
    if value and not ctx.resilient_parsing:
        emit(f"{ctx.get_help()}\n")
        ctx.exit()


class Lazy(Spoken, click.Group):
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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections = dict.fromkeys(listed.section for listed in COMMANDS.values())
        for section in sections:
            with formatter.section(str(section)):
                formatter.write_dl(
                    [(name, str(each.brief)) for name, each in COMMANDS.items() if each.section == section]
                )


def command(
    name: str, brief: Text | None = None, more: Text | None = None
) -> Callable[[Callable[..., Any]], click.Command]:
    """Makes a command of a function. One of the first level has its sentence in `COMMANDS`."""
    return click.command(name, cls=Command, brief=brief or COMMANDS[name].brief, more=more)


def family(name: str, more: Text | None = None) -> Family:
    """An empty group of the first level."""
    return Family(name, brief=COMMANDS[name].brief, more=more)


class Number(click.FloatRange):
    """A number within bounds; "nan" is none, although it is neither below nor above them."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = super().convert(value, param, ctx)
        if isnan(found):
            self.fail(
                str(Text("{value!r} is not a valid {number_type}.", value=value, number_type=self.name)), param, ctx
            )
        return found


def option(*declarations: str, says: Text | Both | str = "", **attributes: Any) -> Callable[[Any], Any]:
    """An option of a command. `says` is its help."""
    return click.option(*declarations, cls=Option, says=says, **attributes)
