"""The five modes: what the three flags of a hook mean together (DESIGN 4), and the sentence that says it."""

from __future__ import annotations

from typing import Literal

from hookrow.lang import Text, current

__all__ = ["MODES", "WAITING", "Mode", "Seconds", "mode", "mode_sentence", "pause_reason"]

Mode = Literal["forget", "notify", "record", "gate", "transform"]
MODES: tuple[Mode, ...] = ("forget", "notify", "record", "gate", "transform")
WAITING = frozenset({"gate", "transform"})
"""The modes in which the operation waits for the answer."""


class Seconds:
    """A number of seconds as people write it: 5, and 0.5 or 0,5 by the language in use when it is shown."""

    __slots__ = ("value",)

    def __init__(self, value: float) -> None:
        self.value = value

    def __str__(self) -> str:
        text = f"{self.value:.3f}".rstrip("0").rstrip(".")
        return text.replace(".", ",") if current() == "ru" else text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Seconds) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)


def pause_reason(by: str | None, reason: str | None) -> str:
    """Why a hook is paused, in words: what a person wrote, or what made the engine do it and how it ends."""
    if by == "breaker":
        return str(Text("ten failures in a row, the last {error}; it is tried again by itself", error=reason or "—"))
    if by == "gone":
        return str(Text("the receiver wants no more (410); somebody must resume it"))
    if by == "key" and reason:
        first = reason.partition(",")[0]
        way = "its secrets can't be opened: key {key} is not here; put it back, or: hookrow keys abandon {first}"
        return str(Text(way, key=reason, first=first))
    if by == "key":
        return str(Text("a secret of it does not open: it was changed; enter it anew"))
    return reason or "—"


def mode(fire_and_forget: bool, wait_for_response: bool, response_has_data: bool) -> Mode:
    """The mode of three flags. «Блок без ответа» wins over the other two, as the document says."""
    if fire_and_forget:
        return "forget"
    if wait_for_response:
        return "transform" if response_has_data else "gate"
    return "record" if response_has_data else "notify"


def mode_sentence(mode: str, timeout: float, on_failure: str = "continue", moment: str = "before") -> Text:
    """What the mode does to the operation, and what happens on failure, in one sentence for the form.

    Args:
        timeout: seconds.
        on_failure: `continue` or `stop`; it has no effect unless `moment` is `before`.
        moment: the event's `before`, `after` or `on`.
    """
    if mode == "forget":
        return Text("sent in the background; nobody waits and no response is kept; a failed delivery is repeated")
    if mode == "notify":
        return Text("sent in the background; status and timing are kept; a failed delivery is repeated")
    if mode == "record":
        return Text("sent in the background; the response is kept; a failed delivery is repeated")
    limit = Seconds(timeout)
    if moment != "before":
        return Text("waits up to {limit} s and keeps the reply; it can't stop what has already happened", limit=limit)
    if mode == "gate":
        if on_failure == "stop":
            return Text("waits up to {limit} s; no answer stops the operation", limit=limit)
        return Text("waits up to {limit} s; without an answer the operation goes on", limit=limit)
    if on_failure == "stop":
        return Text("waits up to {limit} s and may change the data; no answer stops the operation", limit=limit)
    return Text("waits up to {limit} s and may change the data; without an answer the operation goes on", limit=limit)
