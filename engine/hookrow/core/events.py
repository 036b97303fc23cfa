"""`engine.events`: the catalogue of one database, the document's events and every service's own."""

from __future__ import annotations

import builtins
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from hookrow.events import Event, Events

if TYPE_CHECKING:
    from hookrow.core.runtime import Runtime

__all__ = ["Catalogue"]


class Catalogue:
    """`engine.events`: what can happen on this database, the document's events and every service's own."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def current(self) -> Events:
        """All of it, as it stands now."""
        return self.runtime.catalogue(self.runtime.config())

    def list(self) -> builtins.list[Event]:
        """All events, in order."""
        return list(self.current())

    def __iter__(self) -> Iterator[Event]:
        return iter(self.current())

    def __contains__(self, code: object) -> bool:
        return code in self.current()

    def get(self, code: str) -> Event:
        """The event of this code. Raises EventNotFound, which names similar ones."""
        return self.current().get(code)

    def match(self, method: str, path: str, *, holds: Collection[str] = ()) -> tuple[Event, ...]:
        """The events that an API call means; `holds` names the conditions that the host knows to hold."""
        return self.current().match(method, path, holds=holds)
