"""The command-line library's own words in both languages.

It asks gettext's current domain for them; here that domain is the engine's catalogue. The messages are named below so
that they are gathered into it.
"""

from __future__ import annotations

import gettext
import os
from pathlib import Path

import hookrow.lang
from hookrow.lang import Language, Plural, Text

__all__ = ["BORROWED", "speak"]

BORROWED: tuple[Text, ...] = (
    Text("Usage:"),
    Text("Options"),
    Text("Commands"),
    Text("Show this message and exit."),
    Text("Show the version and exit."),
    Text("%(prog)s, version %(version)s"),
    Text("Error: {message}"),
    Text("Try '{command} {option}' for help."),
    Text("Missing command."),
    Text("Missing argument"),
    Text("Missing option"),
    Text("Missing parameter"),
    Text("Invalid value: {message}"),
    Text("Invalid value for {param_hint}: {message}"),
    Text("No such option {name!r}."),
    Text("No such command {name!r}."),
    Plural("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)", 1),
    Plural("{value!r} is not {choice}.", "{value!r} is not one of {choices}.", 2),
    Text("{value!r} is not a valid {number_type}."),
    Text("{value} is not in the range {range}."),
    Plural("Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments.", 1),
    Text("Option {name!r} does not take a value."),
    Text("{name} {filename!r} does not exist."),
    Text("{name} {filename!r} is a directory."),
    Text("{name} {filename!r} is not readable."),
    Text("{editor}: Editing failed"),
    Text("file"),
    Text("Repeat for confirmation"),
    Text("Error: The two entered values do not match."),
    Text("Could not open file {filename!r}: {message}"),
    Text("env var: {var}"),
    Text("default: {default}"),
    Text("required"),
)


def speak(language: Language) -> None:
    """Set the language of everything that this process says."""
    hookrow.lang.use(language)
    gettext.bindtextdomain("hookrow", str(Path(hookrow.lang.__file__).parent / "locale"))
    gettext.textdomain("hookrow")
    os.environ["LANGUAGE"] = language  # what gettext's own functions look at first; an editor opened from here too
