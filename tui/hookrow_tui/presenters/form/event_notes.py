"""What an event means, for the list that one is chosen from: the document's own words, the API calls, the moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hookrow.lang import Both
from hookrow_tui.presenters.columns import steady
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow import Event

__all__ = ["explain_event"]

BEFORE_CALL = Both("before the method is carried out", "перед выполнением метода")
DOCUMENT: Mapping[str, Both] = {
    "before_registration": Both(
        "before a user is added, after the input was checked",
        "перед добавлением пользователя, после проверок входных параметров",
    ),
    "after_registration": Both("after a user was added successfully", "после успешного добавления пользователя"),
    "before_order_add": Both("before an order is added", "перед добавлением заказа"),
    "before_order_update": Both("before an order is updated", "перед обновлением заказа"),
    "before_order_setstatus": Both(
        "before the method is carried out; for sber_get_status: if the order's full sum was authorised",
        "перед выполнением метода; для sber_get_status — если проведена полная авторизация суммы заказа",
    ),
    "before_delivery_service_calculate": BEFORE_CALL,
    "before_user_update": BEFORE_CALL,
    "before_user_new": BEFORE_CALL,
    "on_subscription": Both("when a subscription ends", "при истечении срока действия подписки"),
    "hook.paused": Both("Hookrow or a person paused a hook", "Hookrow или человек приостановил хук"),
    "hook.resumed": Both("a hook was resumed", "хук возобновлён"),
    "delivery.dead": Both("the last attempt of a delivery failed", "последняя попытка доставки не удалась"),
}
"""When each event happens: the nine of the document in its own words, then the engine's."""
MOMENTS = {
    "before": Say("A blocking hook can veto the operation or change its data."),
    "after": Say("It has already happened: a blocking hook can't stop it."),
    "on": Say("Nothing can be stopped: hooks only learn of it."),
}


def explain_event(event: Event) -> list[str]:
    """One sentence about when, one about what a hook can do then, and the API calls that mean it."""
    known = DOCUMENT.get(event.code)
    calls = ", ".join(steady(str(method).partition(" if ")[0]) for method in event.methods)
    lines = [str(known)] if known is not None else []
    lines.append(str(MOMENTS.get(event.moment, "")))
    return [*lines, str(Say("API: {calls}", calls=calls))] if calls else lines
