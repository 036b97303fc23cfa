"""The interface's own texts: messages of the gettext domain `hookrow_tui`, translated when they are shown."""

from __future__ import annotations

from hookrow.lang import Plural, Text

__all__ = ["DOMAIN", "NO_MATCH", "READ_ONLY", "Say", "SayPlural"]

DOMAIN = "hookrow_tui"


class Say(Text):
    """A message of the terminal interface; English is the msgid. See `hookrow.lang.Text`."""

    __slots__ = ()

    def __init__(self, message: str, /, **values: object) -> None:
        super().__init__(message, domain=DOMAIN, **values)


class SayPlural(Plural):
    """A message of the terminal interface whose form depends on a count."""

    __slots__ = ()

    def __init__(self, one: str, many: str, /, n: int, **values: object) -> None:
        super().__init__(one, many, n, domain=DOMAIN, **values)


READ_ONLY = Say("You can only read this database: nothing can be changed.")
"""Why an action that writes can't be done here."""
NO_MATCH = Say("Nothing matches.")
"""What stands in the place of rows that a filter has left out, all of them."""
