"""An API call, and what hooks get to see of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hookrow.payload import Json, JsonObject, Payload

__all__ = ["AFTER", "BEFORE", "ApiCall", "Shape"]


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One call of the service's API: what payloads are made of, and conditions judged by.

    `path` is the part below `root_path`, decoded; `query` the query as it came; `headers` names in lower case with
    their values. `body` is the request's JSON as the handler gets it: as the hooks so far have left it; of a form its
    fields as texts (`form` is true: no hook changes them), of an empty body an empty object. Where there is none that
    hooks can see, it is None and `seen` is false. `status` and `response` (the reply's JSON, else None) are
    there for after events. `scope` is ASGI's scope, or WSGI's environ.
    """

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    scope: Mapping[str, Any] = field(repr=False)
    body: Json = field(default=None, repr=False)
    seen: bool = False
    form: bool = False
    status: int | None = None
    response: Json = field(default=None, repr=False)

    def header(self, name: str) -> str | None:
        """The first header of this name, whatever its case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key == wanted), None)


@dataclass(frozen=True, slots=True)
class Shape:
    """How an event's payload is made of an API call, and how what a hook changed is put back into its body.

    Args:
        payload: gives the payload; in ASGI it may be async (to look up what the call only names). It decides what a
            body means that hooks can't see (`call.seen` is false): what it raises fails the request.
        body: gives the new body (JSON data) of the call and the changed payload; without it a change does not reach
            the body, only `fired(request)[code].data`.
    """

    payload: Callable[[ApiCall], Payload | Awaitable[Payload]]
    body: Callable[[ApiCall, JsonObject], Json] | None = None


def sent(call: ApiCall) -> JsonObject:
    """The body where it is a JSON object, else nothing."""
    return call.body if isinstance(call.body, dict) else {}


def made(call: ApiCall) -> JsonObject:
    """What was sent, with what was answered laid over it."""
    return overlaid(sent(call), call.response if isinstance(call.response, dict) else {})


def overlaid(below: JsonObject, above: JsonObject) -> JsonObject:
    """Both objects in one; where both hold an object the same again, else the upper value."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = overlaid(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


BEFORE = Shape(sent, lambda call, data: data)
AFTER = Shape(made)
