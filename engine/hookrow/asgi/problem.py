"""A refused operation as the client sees it: problem details (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus

from hookrow.asgi.bodies import Send
from hookrow.core.arrival import LOOP
from hookrow.lang import Text
from hookrow.payload import JsonObject, dumps
from hookrow.records import Firing

__all__ = ["answer", "problem", "too_deep"]


def problem(firing: Firing) -> JsonObject:
    """The problem of a refused firing, as JSON data: for a service that fires by itself.

    `detail` is the veto's message, `code` and `errors` its own; `event` and `firing` lead to the log.

    Raises:
        ValueError: the firing was not refused.
    """
    veto = firing.veto
    if veto is None:
        raise ValueError(f"{firing.id} was not refused")
    try:
        title = HTTPStatus(veto.status).phrase
    except ValueError:
        title = "Refused"
    return {
        "type": "about:blank",
        "title": title,
        "status": veto.status,
        "detail": veto.message,
        "code": veto.code,
        "errors": list(veto.errors),
        "event": firing.event,
        "firing": firing.id,
    }


def too_deep(event: str, reason: Text | str) -> JsonObject:
    """The problem of a call that came through too many hooks and would lead to more; there is no firing of it."""
    return {
        "type": "about:blank",
        "title": HTTPStatus.LOOP_DETECTED.phrase,
        "status": HTTPStatus.LOOP_DETECTED.value,
        "detail": str(reason),
        "code": LOOP,
        "errors": [],
        "event": event,
        "firing": None,
    }


async def answer(send: Send, found: JsonObject) -> None:
    """Answer with a problem."""
    body = dumps(found).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": found["status"], "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
