"""The pages of docs/ that say what the code says: written from it, so that they can't say anything else."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from hookrow import errors, lang, words
from hookrow.cli.app import root
from hookrow.cli.catalogue import CARE, COMMANDS
from hookrow.cli.exits import code_of
from hookrow.events import CATALOGUE
from hookrow.hook.fields import FIELDS, GROUPS
from hookrow.store.configuration.settings import SETTINGS

__all__ = ["PAGES"]

WIDE: dict[str, Any] = {"max_content_width": 118, "terminal_width": 118}
ROOT = Path(__file__).parents[2]
MADE = "<!-- Made from the code by tests/docs/pages.py: UPDATE_DOCS=1 pytest tests/docs/test_pages.py -->\n"

OUTCOMES = {
    "ok": "The receiver took it (2xx), or a waiting hook allowed the operation.",
    "changed": "A waiting hook changed the payload.",
    "vetoed": "A waiting hook said no; the row stopped.",
    "refused": "A waiting hook said no to what had already happened; it is only recorded.",
    "failed": "A waiting hook could not be asked or did not answer properly; `on_failure` decided.",
    "sent": "Fire and forget: the whole request was handed to the connection.",
    "queued": "It waits to be sent for the first time.",
    "retrying": "An attempt failed; the next one is due later.",
    "parked": "Its hook is paused or switched off; it goes out when that ends.",
    "dead": "Ten attempts failed, or its body can't be made; kept until a person redelivers or drops it.",
    "cancelled": "Its hook was deleted, it was never enqueued, its caller was cancelled, or a person dropped it.",
    "skipped": "It was not to run; `skipped` says why.",
}
FIRINGS = {
    "running": "It has no outcome yet.",
    "allowed": "The operation goes on; shown as `allowed, failed` where a hook failed.",
    "vetoed": "A hook said no: the operation is refused.",
    "failed": "A hook failed whose `on_failure` is `stop`: the operation is refused.",
    "cancelled": "Its caller was cancelled, or its process died.",
}
STATES = {
    "on": "It is called.",
    "off": "A person switched it off.",
    "not_yet_valid": "Its period has not begun.",
    "expired": "Its period is over.",
    "paused": "Paused by a person, by its receiver's 410, or by ten failures in a row.",
}
WORDS_SAID = (
    "In English the word on every screen is the code word, in Russian the one beside it. The filters (`--outcome`, and",
    "`outcome:` in the log of the terminal interface) take all of them: outcomes, errors and skip reasons, in both",
    "languages.",
)
SKIPS = {
    "inactive": "The hook is switched off.",
    "not_yet_valid": "The hook's period has not begun.",
    "expired": "The hook's period is over.",
    "condition_false": "The hook's condition is false for this payload.",
    "after_veto": "An earlier hook of the row refused.",
    "not_enqueued": "Fired with `defer=True`, and `enqueue()` was never called.",
    "loop": "The call came through more hooks than the setting `loop_depth` allows.",
    "hook_deleted": "The hook was deleted while the delivery waited.",
}
ERRORS = {
    "timeout": "The hook's timeout, or what was left of the row's deadline, ran out.",
    "connect_error": "No connection, or it broke before the answer was complete.",
    "tls_error": "The certificate is not trusted, or there is no TLS.",
    "name_error": "The host's name could not be resolved.",
    "blocked_address": "The address is never called, or the setting `egress` refuses it.",
    "bad_status": "The receiver answered with another status than 2xx.",
    "redirect": "The receiver redirects; redirects are never followed. Update the URL.",
    "reply_too_large": "A waiting hook's reply is longer than `reply_limit`.",
    "bad_reply": "The reply can't be obeyed: no HTTP, no JSON where JSON is needed, `allow` neither true nor false, …",
    "template_error": "The body's template fails on this payload; nothing was sent.",
    "condition_error": "The condition gives neither true nor false on this payload; nothing was sent.",
    "deadline": "Less than 50 ms were left of the row's deadline; the hook was not called.",
    "paused": "The hook is paused: by a person, by its receiver's 410, or by the breaker.",
    "key_error": "A secret of the hook can't be opened: its key is missing or wrong.",
    "unseen_body": "Hooks can't see the API call's body (type, charset, length, doubled keys); nothing was sent.",
    "loop": "The call came through more hooks than the setting `loop_depth` allows; nothing was sent.",
}


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


def commands_page() -> str:
    """docs/commands.md."""
    lines = [
        "# Commands",
        MADE,
        "stdout is data, stderr is talk. Exit codes: 0 done · 1 done, and the answer is no (a veto, a failed test,",
        "redelivery or replay, findings of `doctor`) · 2 usage · 3 storage or key · 4 not found · 5 refused (conflict,",
        "contradiction, invalid value) · 130 after ctrl+c. `hookrow … --help` prints the same in the language in use.",
        "On pages of their own: the family `hookrow hooks` ([commands-hooks.md](commands-hooks.md)), and what looks",
        "after a database: export, import, doctor, settings, keys, … ([commands-care.md](commands-care.md)).",
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
    """docs/commands-care.md."""
    lines = [
        "# Commands: looking after a database",
        MADE,
        "What they share with all others: [commands.md](commands.md).",
    ]
    for path, context in everything():
        if cares(path):
            lines += told(path, context)
    return "\n".join(lines) + "\n"


def hooks_page() -> str:
    """docs/commands-hooks.md."""
    lines = ["# Commands: hookrow hooks", MADE, "What they share with all others: [commands.md](commands.md)."]
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


def reference_page() -> str:
    """docs/reference.md."""
    lang.use("en")
    lines = ["# Reference: fields, events, settings, words", MADE, "## Fields of a hook", ""]
    groups = dict(GROUPS) if not isinstance(GROUPS, dict) else GROUPS
    for group in dict.fromkeys(each.group for each in FIELDS):
        lines += [f"### {groups.get(group, group)}", ""]
        lines += table(
            ("code", "English", "по-русски", "meaning"),
            [(f"`{each.code}`", each.label.en, each.label.ru, each.hint.en) for each in FIELDS if each.group == group],
        )
    lines += ["## Events", "", "A service adds its own: see [services.md](services.md).", ""]
    lines += table(
        ("code", "English", "по-русски", "moment", "API calls", "private"),
        [
            (
                f"`{each.code}`",
                each.title.en,  # type: ignore[union-attr]
                each.title.ru,  # type: ignore[union-attr]
                each.moment,
                ", ".join(f"`{call}`" for call in each.methods) or "–",
                ", ".join(f"`{pointer}`" for pointer in each.private) or "–",
            )
            for each in CATALOGUE
        ],
    )
    lines += [
        "## Settings",
        "",
        "`hookrow settings list | set NAME VALUE`; every process on a database obeys the same.",
        "",
    ]
    lines += table(
        ("name", "default", "meaning"),
        [
            (f"`{each.name}`", f"`{each.default}`" if each.default else "–", each.meaning.en)
            for each in SETTINGS.values()
        ],
    )
    lines += ["## Outcomes of a firing", "", *WORDS_SAID, ""]
    lines += word_table("outcome", words.OUTCOMES, FIRINGS, signs=True)
    lines += ["## Outcomes of a delivery", "", *word_table("outcome", words.OUTCOMES, OUTCOMES, signs=True)]
    lines += ["## Why a delivery was left out", "", *word_table("skipped", words.SKIPS, SKIPS)]
    lines += ["## Why a delivery failed", "", *word_table("error", words.ERRORS, ERRORS)]
    lines += ["## States of a hook", "", *word_table("state", words.STATES, STATES)]
    return "\n".join(lines).rstrip() + "\n"


def errors_page() -> str:
    """docs/errors.md."""
    lang.use("en")
    lines = [
        "# Errors",
        MADE,
        "Everything that the engine raises on purpose is a `HookrowError`. A receiver's failure is none of these: it",
        "is a recorded outcome. The command line's exit code stands beside each.",
        "",
    ]

    def below(kind: type[errors.HookrowError], depth: int) -> Iterator[str]:
        made = kind.__new__(kind)
        code = code_of(made)
        told = inspect.cleandoc(kind.__doc__ or "").replace("\n", " ")
        yield f"{'  ' * depth}- `{kind.__name__}`{'' if code is None else f' (exit {code})'}: {told}"
        for child in kind.__subclasses__():
            if child.__module__ == "hookrow.errors":
                yield from below(child, depth + 1)

    return "\n".join([*lines, *below(errors.HookrowError, 0)]) + "\n"


def first_line(path: Path) -> str:
    """What a module says of itself, in its first sentence."""
    said = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return said.split("\n\n")[0].replace("\n", " ")


def map_page() -> str:
    """docs/map.md."""
    lines = [
        "# Map of the code: one line a module",
        MADE,
        "How they work together: [architecture.md](architecture.md).",
        "",
    ]
    for package in (ROOT / "engine" / "hookrow", ROOT / "tui" / "hookrow_tui"):
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
    "api.md": partial(names_page, "engines_page"),
    "api-given.md": partial(names_page, "given_page"),
    "api-records.md": partial(names_page, "records_page"),
    "api-kit.md": partial(names_page, "kit_page"),
    "map.md": map_page,
    "commands.md": commands_page,
    "commands-hooks.md": hooks_page,
    "commands-care.md": care_page,
    "reference.md": reference_page,
    "errors.md": errors_page,
}

if __name__ == "__main__":  # a process of its own: click keeps help in the language of its first reader
    sys.path.insert(0, str(Path(__file__).parents[1]))  # for what stands beside this file
    sys.stdout.write(PAGES[sys.argv[1]]())
