"""The pages of docs/ that say what the code says: written from it, so that they can't say anything else."""

from __future__ import annotations

import ast
import inspect
import json
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from hookrow import errors, lang, words
from hookrow.cli.app import root
from hookrow.cli.catalogue import CARE, COMMANDS
from hookrow.cli.example.english import sample_of
from hookrow.cli.exits import code_of
from hookrow.events import CATALOGUE
from hookrow.hook.fields import FIELDS, GROUPS, Field
from hookrow.hook.modes import ROW_LIMIT
from hookrow.hook.together import PREFIX
from hookrow.store.configuration.settings import SETTINGS, known
from hookrow.store.database.locks import WAITS

__all__ = ["PAGES"]

WIDE: dict[str, Any] = {"max_content_width": 118, "terminal_width": 118}
ROOT = Path(__file__).parents[2]
MADE = "<!-- Made from the code by tests/docs/pages.py: UPDATE_DOCS=1 pytest tests/docs/test_pages.py -->\n"

FIRINGS = {
    "allowed": "The operation may go on; shown as `allowed, failed` if a hook failed.",
    "vetoed": "A blocking hook vetoed the operation.",
    "failed": "A blocking hook with `on_failure=stop` failed, so the operation was stopped.",
    "cancelled": "The calling task was cancelled, or the process died while hooks were being called.",
    "running": "Not finished yet.",
}
OUTCOMES = {
    "ok": "The receiver accepted it (2xx), or a blocking hook allowed the operation.",
    "changed": "A blocking hook changed the payload.",
    "vetoed": "A blocking hook vetoed the operation; the rest of the chain was skipped.",
    "refused": "A blocking hook vetoed what had already happened (`after` and `on` events); it is only recorded.",
    "failed": "A blocking hook could not be called or gave no usable response; `on_failure` decided.",
    "sent": "Mode `forget`: the whole request was sent. The response was ignored.",
    "queued": "Waits to be sent for the first time.",
    "retrying": "An attempt failed; the next one is scheduled.",
    "parked": "On hold: its hook is paused or switched off. It is sent when that ends.",
    "dead": "Ten attempts failed, or the body can't be rendered. Kept until somebody redelivers or drops it.",
    "cancelled": "The hook was deleted, the delivery was never enqueued, its caller was cancelled, a gate before it "
    "had refused while both were [asked together](../firing.md#gates-asked-together), or somebody dropped it.",
    "skipped": "The hook was not to be called; see [why a hook was skipped](#why-a-hook-was-skipped).",
}
STATES = {
    "on": "The hook is called.",
    "off": "Somebody switched it off.",
    "not_yet_valid": "The hook's period has not begun.",
    "expired": "The hook's period is over.",
    "paused": "Paused by a person, by the receiver's 410, or by the circuit breaker after ten failures in a row.",
}
WORDS_SAID = (
    "English screens show the code word, Russian ones the word beside it. The filters (`--outcome`, `outcome:` in the",
    "interface's log) accept both, for outcomes, errors and skip reasons.",
)
SKIPS = {
    "inactive": "The hook is switched off.",
    "not_yet_valid": "The hook's period has not begun.",
    "expired": "The hook's period is over.",
    "condition_false": "The hook's condition is false for this payload.",
    "after_veto": "The operation was already stopped by an earlier hook: by a veto, or by a failure with "
    "`on_failure=stop`.",
    "not_enqueued": "Fired with `defer=True`, and `enqueue()` was never called.",
    "loop": "The call came through more hooks than the setting `loop_depth` allows.",
    "hook_deleted": "The hook was deleted while the delivery waited.",
    "no_candidate": "It was for a hook's candidate, which was promoted, dropped or replaced while it waited.",
    "restored": "A restored backup had it as unfinished; it may have been sent since. Send it: `hookrow redeliver`.",
}
ERRORS = {
    "timeout": "The hook's timeout, or what was left of the firing's deadline, ran out.",
    "connect_error": "No connection, or it broke before the response was complete.",
    "tls_error": "The certificate is not trusted, or the receiver speaks no TLS 1.2.",
    "name_error": "The host name could not be resolved.",
    "blocked_address": "The address is never called, or the setting `egress` blocks it.",
    "bad_status": "The response status is not 2xx.",
    "redirect": "The receiver redirects. Redirects are never followed: update the URL.",
    "reply_too_large": "A blocking hook's response is longer than the setting `reply_limit`.",
    "bad_reply": "The response can't be used: not HTTP, not JSON where JSON is required, `allow` neither true "
    "nor false, …",
    "template_error": "The body template fails on this payload; nothing was sent.",
    "condition_error": "The condition gives neither true nor false on this payload; nothing was sent.",
    "deadline": "Less than 50 ms of the firing's deadline were left; the hook was not called.",
    "paused": "The hook is paused: by a person, by the receiver's 410, or by the circuit breaker.",
    "key_error": "A secret of the hook can't be decrypted: its key is missing or wrong.",
    "interrupted": "The process that sent it ended meanwhile, or a gate before it had refused; the request may have "
    "reached the receiver.",
    "damaged": "Somebody changed rows of the database by hand, so that this delivery can't be read; nothing more is "
    "sent. The reason says what stands where.",
    "local_error": "The machine that sends is short of descriptors, memory or the like; nothing was sent, no attempt "
    "is counted. Background deliveries wait 5 seconds to a minute.",
    "unseen_body": "Hooks can't see the API call's body (type, charset, length, doubled keys); nothing was sent.",
    "loop": "The call came through more hooks than the setting `loop_depth` allows; nothing was sent.",
}
VARIABLES = [
    (
        "`HOOKROW_DB`",
        "commands, interface",
        "The database, a file or a URL, unless `--db` is given. Default: `./hooks.db`.",
    ),
    (
        "`HOOKROW_KEYS`",
        "every process",
        "The keys that encrypt secrets, as `hookrow keys new` prints them. Overrides the key file.",
    ),
    (
        "`CREDENTIALS_DIRECTORY`",
        "every process",
        "Set by systemd's `LoadCredential=`: the key is read from `hookrow.key` in that folder. See "
        "[systemd](../production.md#systemd).",
    ),
    (
        "`HOOKROW_EGRESS`",
        "every process",
        "`public` blocks private networks even if the setting `egress` is `private`; it can't relax the setting.",
    ),
    (
        "`HOOKROW_LANG`",
        "commands, interface",
        "`ru` or `en`, unless `--lang` is given. Default: by `LC_ALL`, `LC_MESSAGES`, `LANG`.",
    ),
    ("`HOOKROW_THEME`", "interface", "The interface's colours."),
    ("`NO_COLOR`", "commands, interface", "Any value turns colours off."),
    ("`VISUAL`, `EDITOR`", "commands, interface", "The editor for bodies and payloads. Default: `vi`."),
    ("`PGPASSWORD`, `~/.pgpass`", "every process", "PostgreSQL's password, as libpq reads it."),
]


def word_table(
    title: str, known: Mapping[str, words.Word], meanings: dict[str, str], *, signs: bool = False
) -> list[str]:
    """Code words with the Russian ones, their signs, and what they mean."""
    assert set(meanings) <= set(known), set(meanings) - set(known)
    rows = []
    for code, meaning in meanings.items():
        sign = (words.SIGNS[known[code].sign],) if signs else ()
        rows.append((f"`{code}`", *sign, known[code].ru, meaning))
    return table((title, *(("sign",) if signs else ()), "по-русски", "meaning"), rows)


def cell(text: object) -> str:
    """A text as the cell of a table."""
    return str(text).replace("|", "\\|").replace("\n", " ")


def walk(context: click.Context) -> Iterator[tuple[str, click.Context]]:
    """Every command below, in the order in which help lists them."""
    yield context.command_path, context
    command = context.command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from walk(click.Context(found, context, info_name=name, **WIDE))


def told(path: str, context: click.Context) -> list[str]:
    """A command's own help, under its name."""
    return [
        "",
        f"## {path}",
        "```text",
        *(line.rstrip() for line in context.command.get_help(context).split("\n")),
        "```",
    ]


def everything() -> list[tuple[str, click.Context]]:
    """All commands, speaking English."""
    lang.use("en")
    return list(walk(click.Context(root, info_name="hookrow", **root.context_settings, **WIDE)))


EXITS = (
    (0, "Success."),
    (1, "Completed with a negative result: a veto, a failed test, redelivery or replay, findings of `doctor`."),
    (2, "Wrong usage: an unknown command or option, a missing confirmation."),
    (3, "The database or a key can't be used, or the output can't be written."),
    (4, "Not found: a hook, an event, a firing."),
    (5, "Refused: a conflict, contradicting values, an invalid value."),
    (130, "Stopped with Ctrl+C, or the question was answered with no."),
)


def commands_page() -> str:
    """docs/reference/cli.md."""
    lines = [
        "# Commands",
        MADE,
        "Data goes to stdout, messages to stderr. `hookrow COMMAND --help` prints the same text in your language.",
        "`--db` and `--lang` can stand before the command or after it: `hookrow --db shop.db log` or",
        "`hookrow log --db shop.db`.",
        "",
        "On pages of their own: [`hookrow hooks`](cli-hooks.md), and the commands that look after a database,",
        "such as `export`, `import`, `doctor`, `settings` and `keys` ([maintenance](cli-maintenance.md)).",
        "",
        "## Exit codes",
        "",
        *table(("code", "meaning"), [(f"`{code}`", meaning) for code, meaning in EXITS])[:-1],
    ]
    for path, context in everything():
        if not path.startswith("hookrow hooks ") and not cares(path):
            lines += told(path, context)
    return "\n".join(lines) + "\n"


def cares(path: str) -> bool:
    """Whether a command looks after a database."""
    name = path.split()[1] if " " in path else ""
    return name in ("export", "import") or (name in COMMANDS and COMMANDS[name].section == CARE)


def care_page() -> str:
    """docs/reference/cli-maintenance.md."""
    lines = [
        "# Commands for maintenance",
        MADE,
        "Exit codes and the options of all commands: [cli.md](cli.md).",
    ]
    for path, context in everything():
        if cares(path):
            lines += told(path, context)
    return "\n".join(lines) + "\n"


def hooks_page() -> str:
    """docs/reference/cli-hooks.md."""
    lines = ["# Commands: hookrow hooks", MADE, "Exit codes and the options of all commands: [cli.md](cli.md)."]
    for path, context in everything():
        if path.startswith("hookrow hooks "):
            lines += told(path, context)
    return "\n".join(lines) + "\n"


def table(heads: tuple[str, ...], rows: Iterator[tuple[Any, ...]] | list[tuple[Any, ...]]) -> list[str]:
    """A Markdown table and an empty line."""
    return [
        "| " + " | ".join(heads) + " |",
        "|" + "---|" * len(heads),
        *("| " + " | ".join(cell(each) for each in row) + " |" for row in rows),
        "",
    ]


def fields_page() -> str:
    """docs/reference/fields.md."""
    lang.use("en")
    lines = ["# Fields of a hook", MADE, "Events, settings, outcomes: [events](events.md), [settings](settings.md),"]
    lines += ["[outcomes](outcomes.md). What the flags mean together: [modes](../firing.md#modes).", ""]
    groups = dict(GROUPS)
    for group in dict.fromkeys(each.group for each in FIELDS):
        lines += [f"## {groups.get(group, group)}", ""]
        lines += table(
            ("code", "label in the form", "default", "meaning"),
            [
                (f"`{each.code}`", each.label.en, default_of(each), each.hint.en)
                for each in FIELDS
                if each.group == group
            ],
        )
    return "\n".join(lines).rstrip() + "\n"


def default_of(field: Field) -> str:
    """What an empty field means."""
    if field.required:
        return "required"
    return "–" if field.default in ("", None) else f"`{str(field.default).lower()}`"


def events_page() -> str:
    """docs/reference/events.md."""
    lang.use("en")
    lines = ["# Event types", MADE, "Your service adds its own: [events of your own](../firing.md#events-of-your-own)."]
    lines += ["`before` hooks can stop or change the operation; `after` and `on` hooks are told what has happened."]
    lines += [
        "`hookrow events set EVENT --together`: its [gates are asked together](../firing.md#gates-asked-together).",
        "",
    ]
    lines += table(
        ("code", "title", "moment", "API calls", "private fields"),
        [
            (
                f"`{each.code}`",
                each.title.en,  # type: ignore[union-attr]
                each.moment,
                ", ".join(f"`{call}`" for call in each.methods) or "–",
                ", ".join(f"`{pointer}`" for pointer in each.private) or "–",
            )
            for each in CATALOGUE
        ],
    )
    lines += ["## Sample payloads", "", "`hookrow fire EVENT` sends the sample unless you give `--payload`.", ""]
    for each in CATALOGUE:
        if each.sample is not None:
            lines += [f"### {each.code}", "", "```json", json.dumps(sample_of(each), ensure_ascii=False, indent=1)]
            lines += ["```", ""]
    return "\n".join(lines).rstrip() + "\n"


def settings_page() -> str:
    """docs/reference/settings.md."""
    lang.use("en")
    lines = ["# Settings and environment variables", MADE, "## Settings", ""]
    lines += ["All processes on a database share them: `hookrow settings list`, `hookrow settings set NAME VALUE`.", ""]
    lines += table(
        ("name", "default", "meaning"),
        [
            (f"`{each.name}`", f"`{each.default}`" if each.default else "–", each.meaning.en)
            for each in (*SETTINGS.values(), known(f"{PREFIX}EVENT"))
        ],
    )
    lines += ["## Environment variables", "", *table(("variable", "read by", "meaning"), VARIABLES)]
    return "\n".join(lines).rstrip() + "\n"


WAITS_SAID = f"""Limits of everything that waits for storage, for locks and for other threads. They are fixed. What
waits for a hook has its own limits: the [field](fields.md) `timeout`, and `fire(deadline=)`, {round(ROW_LIMIT)} seconds
unless given.

"""
WAITS_NOT = """
`DatabaseBusy` says whether a lock or the server was waited for. A `before` event raises it, an `after` event goes on
with `firing.error`: [if the database fails](../transactions.md#if-the-database-fails). A command prints it and exits
with 3; a worker goes on trying. A shorter limit of your own (`lock_timeout`, `statement_timeout`) stays in force.

Without a limit: migrations and making tables, backups, counting a whole log for `prune`; a question on a terminal, an
editor or pager that a person has opened; the file or pipe that a command reads; in the caller's own transaction, a
connection that has gone silent.
"""


def waits_page() -> str:
    """docs/reference/waits.md."""
    lines = ["# What waits, and how long", MADE, WAITS_SAID.rstrip(), ""]
    rows = [
        (each.of, each.seconds if isinstance(each.seconds, str) else f"{each.seconds:g}", each.then) for each in WAITS
    ]
    lines += table(("waits for", "seconds", "then"), rows)
    return "\n".join(lines).rstrip() + "\n" + WAITS_NOT


FIGURES_SAID = """## Calls and errors

One rule, wherever figures are shown: list, form, statistics, banner, `doctor`, commands.

- A **call** is a hook's delivery that was not skipped or cancelled, counted at the time of its firing, however many
  attempts it took.
- It is an **error** if it is `failed` or `dead`; as long as it is not finished, if its last attempt failed.
- What was sent to another address only (`--to`) counts nowhere. Durations are those of the last attempt.
- A hook **fails every time** if its last 5 calls within 24 hours were errors, or all of them if there were 2 to 4.
  `doctor` (exit code 1), the banner and the list name such hooks, those that stop operations first; the logger
  `hookrow` warns once a minute, and says when it works again; a firing has a warning.
"""
UNHEARD_SAID = (
    "A request may have reached its receiver although nothing was heard of it: its time ended after it had left, the",
    "connection was lost, the process or its caller ended meanwhile. Log, `show` and interface then say that the",
    "receiver may have acted; in `--json` the `code` of the `reason` is `time_ran_out_sent`, `closed_without_answer`,",
    "`answer_broken_off`, `perhaps_acted`, `called_off`, `interrupted` or, of a firing, `firing_interrupted`; or",
    "`takeovers` is not 0.",
)


def outcomes_page() -> str:
    """docs/reference/outcomes.md."""
    lines = ["# Outcomes, skip reasons, errors, states", MADE, *WORDS_SAID, ""]
    lines += ["## Outcomes of a firing", "", *word_table("outcome", words.OUTCOMES, FIRINGS, signs=True)]
    lines += ["## Outcomes of a delivery", "", *word_table("outcome", words.OUTCOMES, OUTCOMES, signs=True)]
    lines += ["## Why a hook was skipped", "", *word_table("skipped", words.SKIPS, SKIPS)]
    lines += ["## Why a delivery failed", "", *word_table("error", words.ERRORS, ERRORS), *UNHEARD_SAID, ""]
    lines += ["## States of a hook", "", *word_table("state", words.STATES, STATES)]
    lines += [FIGURES_SAID]
    return "\n".join(lines).rstrip() + "\n"


def errors_page() -> str:
    """docs/reference/errors.md."""
    from docs.error_advice import ADVICE

    lang.use("en")
    kinds = list(tree(errors.HookrowError))
    concrete = [kind for kind, _ in kinds if not below(kind) or kind is errors.StorageError]
    lines = [
        "# Errors",
        MADE,
        "All exceptions of Hookrow derive from `HookrowError`. A failing receiver doesn't raise: it is recorded as an",
        "[outcome](outcomes.md). The number is the exit code of the command line.",
        "",
        "```text",
        *(f"{'  ' * depth}{kind.__name__}{exit_of(kind)}" for kind, depth in kinds),
        "```",
        "",
        "Retry the same call only where *retry* says so. Every other error comes again.",
    ]
    for kind in concrete:
        told = inspect.cleandoc(kind.__doc__ or "").replace("\n", " ")
        lines += ["", f"## {kind.__name__}", "", told]
        if kind.__name__ in ADVICE:
            raised, remedy, retry = ADVICE[kind.__name__]
            lines += ["", *table(("raised by", "what to do", "retry"), [(raised, remedy, retry)])[:-1]]
        else:
            lines += [
                "",
                "Its kinds below say what to do. Of itself: the connection failed; retry `fire()` with an "
                "idempotency key.",
            ]
    return "\n".join(lines) + "\n"


def below(kind: type[errors.HookrowError]) -> list[type[errors.HookrowError]]:
    """The kinds of a kind of error."""
    return [child for child in kind.__subclasses__() if child.__module__ == "hookrow.errors"]


def tree(kind: type[errors.HookrowError], depth: int = 0) -> Iterator[tuple[type[errors.HookrowError], int]]:
    """Every error below, with its depth."""
    yield kind, depth
    for child in below(kind):
        yield from tree(child, depth + 1)


def exit_of(kind: type[errors.HookrowError]) -> str:
    """The command line's exit code, if it has one."""
    code = code_of(kind.__new__(kind))
    return "" if code is None else f" ({code})"


def first_line(path: Path) -> str:
    """What a module says of itself, in its first sentence."""
    said = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return said.split("\n\n")[0].replace("\n", " ")


def map_page(package: Path, title: str, other: str) -> str:
    """docs/contributing/map.md, map-interface.md."""
    lines = [
        f"# Map of {title}: every module in one line",
        MADE,
        f"How they work together: [architecture.md](architecture.md). The other half: [{other}]({other}).",
        "",
    ]
    folders = sorted({path.parent for path in package.rglob("*.py")}, key=lambda each: each.parts)
    for folder in folders:
        name = str(folder.relative_to(package.parent)).replace("/", ".")
        about = first_line(folder / "__init__.py")
        modules = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
        lines += [f"## {name}", "", about, ""]
        lines += table(("module", "gives"), [(f"`{path.stem}`", first_line(path)) for path in modules])
    return "\n".join(lines).rstrip() + "\n"


def names_page(name: str) -> str:
    """docs/api*.md."""
    from docs import api_page

    lang.use("en")
    made: str = getattr(api_page, name)(MADE)
    return made


PAGES = {
    "reference/api.md": partial(names_page, "engines_page"),
    "reference/api-given.md": partial(names_page, "given_page"),
    "reference/api-records.md": partial(names_page, "records_page"),
    "reference/api-records-2.md": partial(names_page, "more_records_page"),
    "reference/api-kit.md": partial(names_page, "kit_page"),
    "reference/api-contrib.md": partial(names_page, "contrib_page"),
    "contributing/map.md": partial(map_page, ROOT / "engine" / "hookrow", "the engine", "map-interface.md"),
    "contributing/map-interface.md": partial(map_page, ROOT / "tui" / "hookrow_tui", "the interface", "map.md"),
    "reference/cli.md": commands_page,
    "reference/cli-hooks.md": hooks_page,
    "reference/cli-maintenance.md": care_page,
    "reference/fields.md": fields_page,
    "reference/events.md": events_page,
    "reference/settings.md": settings_page,
    "reference/waits.md": waits_page,
    "reference/outcomes.md": outcomes_page,
    "reference/errors.md": errors_page,
}

if __name__ == "__main__":  # a process of its own: click keeps help in the language of its first reader
    sys.path.insert(0, str(Path(__file__).parents[1]))  # for what stands beside this file
    json.dump({name: make() for name, make in PAGES.items()}, sys.stdout)
