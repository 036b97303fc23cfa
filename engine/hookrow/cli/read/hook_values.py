"""A hook's fields on the command line: options made of the declared fields, values read, the hook written out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from hookrow.cli.catalogue import option
from hookrow.errors import InvalidInput, Problem
from hookrow.hook.candidate import TRIED
from hookrow.hook.fields import FIELD, FIELDS, HEADER_VALUE, Field
from hookrow.lang import Both, Text

if TYPE_CHECKING:
    from hookrow.hook.model import Hook

__all__ = ["drops_candidate", "field_options", "given_values", "hook_json", "keeps_secrets", "tried_options"]

SEALED = tuple(field.code for field in FIELDS if field.kind == "secret")
HEADER = "custom_header"
LONGEST = 8192
"""Characters of a secret on stdin."""

keeps_secrets: Final = option(
    "--keep-secrets",
    is_flag=True,
    says=Text("If the URL moves to another origin (scheme, host, port): send the hook's secrets there too."),
)
drops_candidate: Final = option(
    "--drop-candidate",
    is_flag=True,
    says=Text("Drop the hook's candidate, if it has one, with this change."),
)


def field_options(function: Any) -> Any:
    """Add an option for every declared field of a hook; its label and hint are the help."""
    for field in reversed(FIELDS):
        for add in reversed(options_of(field)):
            function = add(function)
    return function


def tried_options(function: Any) -> Any:
    """The same for the fields that can be tried."""
    for field in reversed(FIELDS):
        for add in reversed(options_of(field) if field.code in TRIED else ()):
            function = add(function)
    return function


def help_of(field: Field) -> Both:
    """A field's label, by which the form has it, and what it means."""
    return Both(f"{field.label.en}. {field.hint.en}", f"{field.label.ru}. {field.hint.ru}")


def options_of(field: Field) -> list[Callable[[Any], Any]]:
    """The options of one field. A secret is never an argument: it is asked for, or read from stdin or a variable."""
    name, flag = field.option, field.option.removeprefix("--")
    if field.kind == "flag":
        return [option(f"{name}/--no-{flag}", field.code, default=None, says=help_of(field))]
    if field.kind == "template":
        from_file = Text("{label}: read from a file, or from stdin with -.", label=field.label)
        return [
            option(name, field.code, metavar="TEXT", says=help_of(field)),
            option(f"{name}-file", f"{field.code}_file", type=click.File(encoding="utf-8-sig"), says=from_file),
        ]
    if field.code == HEADER:
        return [
            option(
                f"{name}-name",
                f"{field.code}_name",
                metavar="NAME",
                says=Text("The header's name; its value is asked for."),
            ),
            *secret_sources(name, field.code, field.label),
            option(f"--no-{flag}", f"{field.code}_off", is_flag=True, says=Text("Remove the header.")),
        ]
    if field.secret:
        asked = Text("{label}: ask for it here.", label=field.label)
        return [
            option(name, f"{field.code}_ask", is_flag=True, says=asked),
            *secret_sources(name, field.code, field.label),
            option(
                f"--no-{flag}", f"{field.code}_off", is_flag=True, says=Text("{label}: remove it.", label=field.label)
            ),
        ]
    if field.kind == "choice":
        words = "|".join(code for code, _ in field.choices)
        return [option(name, field.code, metavar=f"[{words}]", says=help_of(field))]
    return [option(name, field.code, metavar="TEXT", says=help_of(field))]


def secret_sources(name: str, code: str, label: object) -> list[Callable[[Any], Any]]:
    """Where a script may hand over a secret without showing it in the list of processes."""
    return [
        option(
            f"{name}-stdin", f"{code}_stdin", is_flag=True, says=Text("{label}: read one line from stdin.", label=label)
        ),
        option(
            f"{name}-env", f"{code}_env", metavar="VAR", says=Text("{label}: take it from a variable.", label=label)
        ),
    ]


def given_values(options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that this command line names, as text, booleans and secrets; what it does not name is left out.

    Raises:
        click.UsageError: two secrets from one stdin, two sources of one secret, a variable that is not set.
    """
    values: dict[str, Any] = {
        field.code: options[field.code] for field in FIELDS if not field.secret and options.get(field.code) is not None
    }
    if options.get("body_file") is not None:
        if "body" in values:
            raise click.UsageError(str(Text("Give the body once: {one} or {two}.", one="--body", two="--body-file")))
        values["body"] = options["body_file"].read()
    wants_stdin = [code for code in (*SEALED, HEADER) if options.get(f"{code}_stdin")]
    if len(wants_stdin) > 1:
        raise click.UsageError(str(Text("Only one secret can come from stdin.")))
    for code in SEALED:
        read, secret = read_secret(options, code, asked=bool(options.get(f"{code}_ask")))
        if read:
            values[code] = secret
    values.update(header_values(options))
    return values


def header_values(options: Mapping[str, Any]) -> dict[str, Any]:
    """The custom header: a name with a value that is asked for or read; or none."""
    name = options.get(f"{HEADER}_name")
    read, secret = read_secret(options, HEADER, asked=name is not None)
    if not read:
        return {}
    if options.get(f"{HEADER}_off"):
        return {HEADER: "", HEADER_VALUE: None}
    return {HEADER_VALUE: secret} if name is None else {HEADER: name, HEADER_VALUE: secret}


def read_secret(options: Mapping[str, Any], code: str, *, asked: bool) -> tuple[bool, str | None]:
    """Whether the command line names this secret, and its value (None to remove it)."""
    variable, stdin, off = (options.get(f"{code}_{way}") for way in ("env", "stdin", "off"))
    if sum(map(bool, (variable, stdin, off))) + (asked and bool(off)) > 1:
        raise click.UsageError(str(Text("{field}: name one source only.", field=FIELD[code].option)))
    if off:
        return True, None
    if stdin:
        return True, one_line(sys.stdin.read(LONGEST + 1), code)
    if variable:
        if variable not in os.environ:
            raise click.UsageError(str(Text("The variable {name} is not set.", name=variable)))
        return True, os.environ[variable].removeprefix("\ufeff")
    if not asked:
        return False, None
    if not sys.stdin.isatty():
        ways_out = Text(
            "Can't ask for {field}: not a terminal. Use {field}-stdin or {field}-env VAR.", field=FIELD[code].option
        )
        raise click.UsageError(str(ways_out))
    secret: str = click.prompt(str(FIELD[code].label), hide_input=True, confirmation_prompt=True, err=True)
    return True, secret


def one_line(text: str, code: str) -> str:
    """The one line that was read, without its line break and a byte order mark.

    Raises:
        InvalidInput: there are more: nobody can tell which is meant, or whether the secret goes on.
    """
    found = text.removeprefix("\ufeff").removesuffix("\n").removesuffix("\r")
    if len(text) > LONGEST or "\n" in found or "\r" in found:
        raise InvalidInput([Problem(f"{FIELD[code].option}-stdin", Text("One line only; stdin contains more."))])
    return found


def hook_json(hook: Hook) -> dict[str, Any]:
    """The contract of `hooks … --json`: every field by its code, and `id`, `mode`, `state`, `revision`."""
    shown: dict[str, Any] = {"id": hook.id}
    for field in FIELDS:
        value = getattr(hook, field.code)
        if field.code == HEADER:
            secret = hook.custom_header_value
            shown[HEADER] = {"name": value, "set": secret is not None and secret.is_set}
        elif field.secret:
            shown[field.code] = {"set": value is not None and value.is_set}
        elif isinstance(value, datetime):
            shown[field.code] = value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        else:
            shown[field.code] = value
    candidate = None if hook.candidate is None else hook.candidate.as_json()
    return shown | {"mode": hook.mode, "state": hook.state, "revision": hook.revision, "candidate": candidate}
