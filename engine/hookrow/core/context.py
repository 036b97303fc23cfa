"""A firing's context made: its ID, event, time and limits, the same for every hook of the row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hookrow.core.arrival import PLAIN, Arrival
from hookrow.core.drafts import LONGEST_KEY, FiringContext
from hookrow.errors import InvalidInput, Problem
from hookrow.hook.together import PREFIX
from hookrow.ids import new_uid
from hookrow.lang import Text
from hookrow.payload import storable
from hookrow.store.configuration.cache import Config

if TYPE_CHECKING:
    from hookrow.core.runtime import Runtime

__all__ = ["checked_key", "context_for"]


def context_for(
    runtime: Runtime, config: Config, event: str, deadline: float, arrival: Arrival = PLAIN, **more: Any
) -> FiringContext:
    """The firing as a whole.

    Raises:
        EventNotFound: the catalogue does not hold this event.
    """
    now_ms = runtime.clock.now_ms()
    found = runtime.event(config, event)
    payload_limit, zone, language = runtime.said_of(config)
    together = config.settings.get(PREFIX + event) == "on" and found.moment == "before"
    return FiringContext(
        uid=new_uid(now_ms),
        event=found,
        at_ms=now_ms,
        deadline=deadline,
        payload_limit=payload_limit,
        zone=zone,
        language=language,
        arrival=arrival.limited(runtime.number(config, "loop_depth")) if arrival.depth else arrival,
        together=together and more.get("url") is None,  # a replay to another URL sends everything, one by one
        **more,
    )


def checked_key(key: str) -> str:
    """An idempotency key that every database can keep and find. Raises InvalidInput."""
    if len(key) > LONGEST_KEY or storable(key) != key:
        text = Text("A text of at most {limit} characters, without NUL and lone surrogates.", limit=LONGEST_KEY)
        raise InvalidInput([Problem("idempotency_key", text)])
    return key
