"""`manage.py hookrow …`: the whole command line on the project's database."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hookrow.cli.app import run
from hookrow.cli.session import Session
from hookrow.contrib.django.installed import configured, place

if TYPE_CHECKING:
    BaseCommand = object  # Django has no types of its own
else:
    from django.core.management.base import BaseCommand

__all__ = ["Command"]

FROM_SETTINGS = {"KEYS": "HOOKROW_KEYS", "EGRESS": "HOOKROW_EGRESS"}
"""What commands read from the environment."""


class HookrowCommand(BaseCommand):
    """Hands its arguments on as they are: Django's own options are not for it."""

    help = "The command line of Hookrow on this project's database."
    requires_system_checks: Sequence[str] = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """From a shell: ends with Hookrow's exit code."""
        sys.exit(command_line(argv[2:], f"{os.path.basename(argv[0])} {argv[1]}"))

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("arguments", nargs=argparse.REMAINDER)

    def handle(self, *args: Any, **options: Any) -> None:
        """From Python: `call_command("hookrow", "log", "--json")`. Raises SystemExit unless it went well."""
        if code := command_line(options["arguments"], "manage.py hookrow"):
            sys.exit(code)


Command = HookrowCommand
"""As Django asks for it."""


def command_line(arguments: list[str], called: str) -> int:
    """Run Hookrow's command line by the project's settings; gives its exit code."""
    known = configured()
    for name, variable in FROM_SETTINGS.items():
        if name in known:
            os.environ[variable] = known[name]
    return run(arguments, Session(place().url, called))
