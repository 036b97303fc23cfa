"""What pages, dialogues and fields may ask of the application that shows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from textual.widget import Widget

    from hookrow import HookEngine, HookrowError
    from hookrow.lang import Text
    from hookrow_tui.terminal.look import Look
    from hookrow_tui.terminal.typeahead import TypeAhead

__all__ = ["Host"]


class Host(Protocol):
    """The application, without its class: a page that named that would be named by it in turn."""

    look: Look
    url: str
    engine: HookEngine | None
    trouble: str
    faults: Sequence[Text]
    ahead: TypeAhead

    @property
    def read_only(self) -> bool: ...

    def writable(self) -> bool: ...

    def ask(
        self,
        owner: Widget,
        call: Callable[[HookEngine], Any],
        then: Callable[[Any], None],
        failed: Callable[[HookrowError], None] | None = None,
        *,
        background: bool = False,
    ) -> None: ...

    def unexpected(self) -> None: ...

    def nothing_chosen(self) -> None: ...

    def say_unusable(self, reason: str) -> None: ...

    def usable(self) -> None: ...

    def try_again(self) -> None: ...

    def notice(self, text: str) -> None: ...
