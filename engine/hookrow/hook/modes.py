"""The five modes: what the three flags of a hook mean together (docs/concepts.md), and the sentence that says it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal

from hookrow.lang import Text, current
from hookrow.reasons.reason import Reason, read

__all__ = ["MODES", "ROW_LIMIT", "WAITING", "Mode", "Seconds", "key_pause", "mode", "mode_sentence", "pause_reason"]

Mode = Literal["forget", "notify", "record", "gate", "transform"]
MODES: tuple[Mode, ...] = ("forget", "notify", "record", "gate", "transform")
WAITING = frozenset({"gate", "transform"})
"""The modes in which the operation waits for the answer."""
ROW_LIMIT: Final = 30.0
"""Seconds that the blocking hooks of a row may take together, where `fire(deadline=)` says nothing else."""


class Seconds:
    """A number of seconds as people write it: 5, and 0.5 or 0,5 by the language in use when it is shown."""

    __slots__ = ("value",)

    def __init__(self, value: float) -> None:
        self.value: Final = value

    def __str__(self) -> str:
        text = f"{self.value:.3f}".rstrip("0").rstrip(".")
        return text.replace(".", ",") if current() == "ru" else text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Seconds) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)


def pause_reason(by: str | None, kept: str | None) -> Reason | str:
    """Why a hook is paused: what a person wrote, or what made the engine do it and how it ends.

    Args:
        kept: the column `paused_reason`; before schema 0002 it held an error and a status, as `bad_status 503`.
    """
    found = read(kept)
    if isinstance(found, Reason):
        return found
    if by == "breaker":
        return Reason("paused_breaker", error=found or "—")
    return Reason("paused_gone") if by == "gone" else found or "—"


def key_pause(keys: Collection[str]) -> Reason:
    """Why a hook is paused whose secrets these keys encrypt, which are missing; none: a secret itself was changed."""
    if not keys:
        return Reason("paused_key_changed")
    return Reason("paused_key", keys=", ".join(sorted(keys)), key=min(keys))


def mode(fire_and_forget: bool, wait_for_response: bool, response_has_data: bool) -> Mode:
    """The mode of three flags. «Блок без ответа» wins over the other two, as the document says."""
    if fire_and_forget:
        return "forget"
    if wait_for_response:
        return "transform" if response_has_data else "gate"
    return "record" if response_has_data else "notify"


def mode_sentence(
    mode: str, timeout: float, on_failure: str = "continue", moment: str = "before", *, shadow: bool = False
) -> Text:
    """What the mode does to the operation, and what happens on failure, in one sentence for the form.

    Args:
        timeout: seconds.
        on_failure: `continue` or `stop`; it has no effect unless `moment` is `before`.
        moment: the event's `before`, `after` or `on`.
        shadow: it is asked in shadow, where that has an effect.
    """
    if mode == "forget":
        return Text("in the background; response ignored; retried only if it can't be sent")
    if mode == "notify":
        return Text("in the background; status and duration are stored; up to 10 attempts")
    if mode == "record":
        return Text("in the background; the response is stored; up to 10 attempts")
    limit = Seconds(timeout)
    if shadow and moment == "before":
        return Text("in shadow: asked in the background, up to {limit} s; decides nothing", limit=limit)
    if moment != "before":
        return Text("waits up to {limit} s and stores the response; can't stop what has happened", limit=limit)
    if mode == "gate":
        if on_failure == "stop":
            return Text("waits up to {limit} s; a failure stops the operation", limit=limit)
        return Text("waits up to {limit} s; after a failure the operation goes on", limit=limit)
    if on_failure == "stop":
        return Text("waits up to {limit} s, may change the data; a failure stops the operation", limit=limit)
    return Text("waits up to {limit} s, may change the data; after a failure it goes on", limit=limit)
