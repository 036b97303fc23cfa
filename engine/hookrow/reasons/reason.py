"""A reason: what is recorded as `detail`, warning, refusal by failure or pause, by code and values.

In the log's text columns it is `{"t": CODE, "v": {…}}`. Any other text there is a person's, a receiver's or one from
before schema 0002, and is shown as it is.
"""

from __future__ import annotations

import json
from functools import cache
from string import Formatter
from typing import Any, Final

from hookrow.lang import Text
from hookrow.payload import dumps, storable
from hookrow.reasons.catalogue import REASONS

__all__ = ["Reason", "from_kept", "keep", "kept_value", "read", "reason_json", "warned"]

OPENING = '{"t":'


class Reason(Text):
    """A text with a code: `Reason("receiver_answered", status=503)`. Values may be reasons themselves."""

    __slots__ = ("code",)

    def __init__(self, code: str, /, **values: object) -> None:
        super().__init__(REASONS[code].message)
        self.values = values
        self.code: Final = code

    def __repr__(self) -> str:
        return f"Reason({self.code!r})"

    def as_json(self) -> dict[str, Any]:
        """The shape that `--json` prints."""
        shown = {
            name: each.as_json() if isinstance(each, Reason) else plain(each) for name, each in self.values.items()
        }
        return {"code": self.code, "values": shown}


def plain(value: object) -> str | int | float | None:
    """A value as JSON takes it: what is no number, flag or null is a text."""
    return value if value is None or isinstance(value, int | float) else storable(str(value))


def kept_value(reason: Text | str) -> Any:
    """The JSON value that is kept of a reason: its code and values, or the text itself."""
    if not isinstance(reason, Reason):
        return storable(str(reason))
    values = {
        name: kept_value(each) if isinstance(each, Reason) else plain(each) for name, each in reason.values.items()
    }
    return {"t": reason.code, "v": values}


def keep(reason: Text | str | None) -> str | None:
    """The value of a text column. A foreign text that looks like a reason is kept as the text that it is."""
    if reason is None:
        return None
    found = kept_value(reason)
    if isinstance(found, str) and isinstance(read(found), Reason):
        found = kept_value(Reason("as_said", text=found))
    return found if isinstance(found, str) else dumps(found)


@cache
def fields(code: str) -> frozenset[str]:
    """The values that the reason's words ask for."""
    return frozenset(name for _, name, _, _ in Formatter().parse(REASONS[code].message) if name)


def from_kept(value: Any) -> Reason | None:
    """The reason that was kept as this JSON value; None where it is none that this Hookrow knows."""
    match value:
        case {"t": str(code), "v": dict(given)} if len(value) == 2 and code in REASONS and fields(code) <= given.keys():
            values = {name: from_kept(each) if isinstance(each, dict) else each for name, each in given.items()}
            if any(values[name] is None or isinstance(values[name], list) for name in given if given[name] is not None):
                return None
            return Reason(code, **values)
    return None


def read(column: str | None) -> Reason | str | None:
    """What a text column holds: a reason, or a text to be shown as it is."""
    if column is None or not column.startswith(OPENING):
        return column
    try:
        return from_kept(json.loads(column)) or column
    except (ValueError, RecursionError):
        return column


def reason_json(reason: Reason | str | None) -> dict[str, Any] | None:
    """The key `reason` of `--json`: null where there is none, or a text that nobody said by code."""
    return reason.as_json() if isinstance(reason, Reason) else None


def warned(hook: str, warning: Text | str) -> Text | str:
    """A warning with its hook's name: by code where it is ours, a text where it is the receiver's own."""
    return Reason("warned", hook=hook, warning=warning) if isinstance(warning, Text) else f"{hook}: {warning}"
