"""A refused operation as the client sees it: problem details (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus

from hookrow.core.arrival import LOOP, UNSEEN
from hookrow.errors import IdempotencyConflict, Vetoed
from hookrow.lang import Text
from hookrow.payload import JsonObject
from hookrow.reasons.reason import Reason
from hookrow.records import Firing

__all__ = ["PROBLEM", "broken_off", "conflict", "problem", "refusal", "too_deep"]

PROBLEM = "application/problem+json"
CONFLICT = "idempotency_conflict"
"""Another payload came under the same idempotency key."""


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


def refusal(error: Vetoed | IdempotencyConflict) -> JsonObject:
    """The problem of what a service's own `fire()` and `raise_for_veto()` raised; its status is in it."""
    return problem(error.firing) if isinstance(error, Vetoed) else conflict(None)


def too_deep(event: str, reason: Text | str) -> JsonObject:
    """The problem of a call that came through too many hooks and would lead to more."""
    return unfired(event, HTTPStatus.LOOP_DETECTED, LOOP, reason)


def conflict(event: str | None) -> JsonObject:
    """The problem of a call whose idempotency key was used for another one. The key itself is not told."""
    reason = Text("the idempotency key was used with another payload")
    return unfired(event, HTTPStatus.UNPROCESSABLE_ENTITY, CONFLICT, reason)


def broken_off(event: str) -> JsonObject:
    """The problem of a call whose client left before the end of its body."""
    return unfired(event, HTTPStatus.BAD_REQUEST, UNSEEN, Reason("body_broken_off"))


def unfired(event: str | None, status: HTTPStatus, code: str, reason: object) -> JsonObject:
    """A problem of which there is no firing."""
    return {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": str(reason),
        "code": code,
        "errors": [],
        "event": event,
        "firing": None,
    }
