"""What keeps a hook, or a part of it, from having an effect although somebody has just set it so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from hookrow.cli.show.findings import contradicts
from hookrow.cli.show.wording import named, span
from hookrow.lang import Text

if TYPE_CHECKING:
    from hookrow.hook.model import Hook

__all__ = ["NO_EFFECT", "standing"]

NO_EFFECT = Text("no effect: fire_and_forget is on")


def standing(hook: Hook, now: datetime, *, off: bool = False) -> Iterator[Text]:
    """What is to be said besides "saved": nothing where the hook runs as it is set.

    Args:
        off: that it is switched off is news as well.
    """
    about = named(hook)
    if contradicts(hook):
        yield Text("{hook}: wait_for_response and response_has_data have no effect: fire_and_forget is on.", hook=about)
    if hook.state == "off" and off:
        yield Text("{hook} is not called: it is switched off.", hook=about)
    elif hook.state == "expired" and hook.valid_until is not None:
        yield Text("{hook} is not called: its period ended {time} ago.", hook=about, time=span(now - hook.valid_until))
    elif hook.state == "not_yet_valid" and hook.valid_from is not None:
        begins = span(hook.valid_from - now)
        yield Text("{hook} is not called yet: its period begins in {time}.", hook=about, time=begins)
    elif hook.state == "paused":
        yield Text("{hook} is not called: it is paused ({reason}).", hook=about, reason=hook.paused_reason or "—")
