"""The sample hooks: for each of the document's nine events, in all five modes; and what their receivers say.

`hooks.db.example` holds them and `hookrow demo` fires them. They point at the local receiver and need no secrets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hookrow.cli.example.english import in_language
from hookrow.testing.server import Answer

if TYPE_CHECKING:
    from hookrow.hook.model import Hook

__all__ = ["BASE", "PAUSED", "SAMPLE_HOOKS", "answer", "sample_hooks"]

BASE = "http://127.0.0.1:8920"
"""Where `hookrow listen` stands unless told otherwise."""

NOTIFY: dict[str, Any] = {"fire_and_forget": False}
RECORD: dict[str, Any] = {"fire_and_forget": False, "response_has_data": True}
GATE: dict[str, Any] = {"fire_and_forget": False, "wait_for_response": True}
TRANSFORM: dict[str, Any] = {"fire_and_forget": False, "wait_for_response": True, "response_has_data": True}
FORGET: dict[str, Any] = {}

ORDER_NOTE = """{
  "chat": "managers",
  "text": "Новый заказ {{ order.number }} на {{ order.sum }} ₽",
  "where": "{{ order.delivery.city }}, {{ order.delivery.address }}",
  "comment": {{ order.comment }},
  "items": {{ order["items"] }}
}"""
STATUS_NOTE = """{
  "order": "{{ order.number }}",
  "text": "Заказ {{ order.number }} выполнен. Спасибо, что вы с нами!"
}"""
CUSTOMER = """{
  "source": "hookrow",
  "customer": {"id": {{ user.id }}, "name": {{ user.name }}, "phone": {{ user.phone }}, "card": {{ user.card.number }}}
}"""

PAUSED = {"loyalty-partners": "Партнёр переносит сервер, обещали до понедельника"}
"""Hooks that stand paused by hand, by key, and the reason."""

SAMPLE_HOOKS: tuple[dict[str, Any], ...] = (
    # before_registration
    {"key": "inn-check", "name": "Проверка ИНН", "event": "before_registration", "url": "/inn", "timeout": 2.0, **GATE},
    {"key": "stop-list", "name": "Стоп-лист клиентов", "event": "before_registration", "url": "/stop-list"}
    | {"on_failure": "stop", "fallback_message": "Регистрация временно недоступна, попробуйте через минуту", **GATE},
    {
        "key": "registration-log",
        "name": "Журнал регистраций",
        "event": "before_registration",
        "url": "/journal",
        **FORGET,
    },
    # after_registration
    {"key": "1c-customer", "name": "Карточка клиента в 1С", "event": "after_registration", "url": "/1c/customers"}
    | {"body": CUSTOMER, **NOTIFY},
    {
        "key": "loyalty-card",
        "name": "Карта лояльности",
        "event": "after_registration",
        "url": "/loyalty/cards",
        **RECORD,
    },
    {
        "key": "welcome-letter",
        "name": "Приветственное письмо",
        "event": "after_registration",
        "url": "/mail/welcome",
        **FORGET,
    },
    {
        "key": "loyalty-partners",
        "name": "Партнёрская сеть",
        "event": "after_registration",
        "url": "/partners",
        **NOTIFY,
    },
    {"key": "partner-2030", "name": "Новый партнёр", "event": "after_registration", "url": "/partners/new"}
    | {"valid_from": "2030-01-01T00:00:00+03:00", **NOTIFY},
    # before_order_add
    {"key": "contract-discount", "name": "Скидки по договору", "event": "before_order_add", "url": "/discount"}
    | {"timeout": 3.0, **TRANSFORM},
    {"key": "stock", "name": "Остатки склада", "event": "before_order_add", "url": "/stock", "timeout": 3.0}
    | {"on_failure": "stop", "fallback_message": "Не удалось проверить остатки, оформите заказ чуть позже", **GATE},
    {"key": "1c-order", "name": "Передача заказа в 1С", "event": "before_order_add", "url": "/1c/orders"}
    | {"order_key": "/order/number", **RECORD},
    {"key": "managers-chat", "name": "Чат менеджеров", "event": "before_order_add", "url": "/chat"}
    | {"body": ORDER_NOTE, "condition": "order.sum > 1000", **FORGET},
    # before_order_update
    {"key": "bonus-recount", "name": "Пересчёт бонусов", "event": "before_order_update", "url": "/bonus", **TRANSFORM},
    {"key": "order-stats", "name": "Статистика заказов", "event": "before_order_update", "url": "/stats", **NOTIFY},
    # before_order_setstatus
    {"key": "receipt", "name": "Чек в ОФД", "event": "before_order_setstatus", "url": "/receipt", **GATE},
    {"key": "status-sms", "name": "СМС о статусе", "event": "before_order_setstatus", "url": "/sms"}
    | {"body": STATUS_NOTE, "condition": 'order.status == "completed"', **FORGET},
    {"key": "old-warehouse", "name": "Старый склад", "event": "before_order_setstatus", "url": "/warehouse"}
    | {"active": False, **NOTIFY},
    # before_delivery_service_calculate
    {"key": "delivery-tariff", "name": "Тариф доставки", "event": "before_delivery_service_calculate", "url": "/tariff"}
    | {"timeout": 3.0, **TRANSFORM},
    {
        "key": "heavy-tariff",
        "name": "Тариф для тяжёлых",
        "event": "before_delivery_service_calculate",
        "url": "/tariff/heavy",
    }
    | {"condition": "order.weight > 20000", **TRANSFORM},
    # before_user_update
    {
        "key": "email-check",
        "name": "Проверка почты",
        "event": "before_user_update",
        "url": "/email",
        "timeout": 0.4,
        **GATE,
    },
    {
        "key": "mailing-list",
        "name": "Подписки на рассылки",
        "event": "before_user_update",
        "url": "/mail/lists",
        **RECORD,
    },
    # before_user_new
    {"key": "antifraud", "name": "Антифрод", "event": "before_user_new", "url": "/antifraud", **GATE},
    {"key": "crm-lead", "name": "Лид в CRM", "event": "before_user_new", "url": "/crm/leads", **RECORD},
    # on_subscription
    {"key": "renewal", "name": "Продление подписки", "event": "on_subscription", "url": "/renewal", **GATE},
    {
        "key": "subscription-stats",
        "name": "Аналитика подписок",
        "event": "on_subscription",
        "url": "/stats/subscriptions",
        **RECORD,
    },
    {"key": "new-year", "name": "Новогодняя акция", "event": "on_subscription", "url": "/promo/new-year"}
    | {"valid_from": "2025-12-15T00:00:00+03:00", "valid_until": "2026-01-12T00:00:00+03:00", **FORGET},
)


def sample_hooks(base: str = BASE) -> list[Hook]:
    """The hooks, pointing at the receiver at `base`."""
    from hookrow import Hook

    return [Hook(**in_language({**values, "url": base + values["url"]})) for values in SAMPLE_HOOKS]


def answer(path: str, body: Any) -> Answer:
    """What the sample receiver says, in the language in use: most allow; one vetoes, changes, is slow, fails."""
    if path == "/discount":
        total = body["data"]["order"]["sum"] * 9 // 10
        discount = in_language({"name": "Договор 14-К", "percent": 10})
        return Answer.of({"data": {"order": {"sum": total, "discount": discount}}}, seconds=0.03)
    if path == "/stock":
        return Answer.of(in_language({"allow": True, "warnings": ["Кружка «Утро»: осталось 3 шт."]}), seconds=0.12)
    if path == "/bonus":
        return Answer.of({"data": {"order": {"bonus": 92}}}, seconds=0.02)
    if path == "/tariff":
        return Answer.of({"result": {"cost": 390, "currency": "RUB", "days": [2, 4]}}, seconds=0.05)
    if path == "/antifraud":
        refusal = {"allow": False, "message": "Номер уже зарегистрирован", "code": "phone_taken", "status": 409}
        errors = [{"path": "/user/phone", "code": "taken", "message": "Этот номер есть у другого клиента"}]
        return Answer.of(in_language({**refusal, "errors": errors}))
    if path == "/renewal":
        return Answer.of(
            in_language({"allow": False, "message": "Карта клиента отклонена банком", "code": "card_declined"})
        )
    if path == "/email":
        return Answer.of({"allow": True}, seconds=2.0)
    if path == "/stats":
        said = str(in_language("Сервис перезапускается"))
        return Answer(503, said.encode(), headers={"content-type": "text/plain; charset=utf-8"})
    if path == "/1c/orders":
        return Answer.of(in_language({"accepted": True, "document": "ЗК-0004821"}), 202, seconds=0.02)
    if path == "/1c/customers":
        return Answer.of({"created": True}, 201)
    if path == "/loyalty/cards":
        return Answer.of({"card": {"number": "2100048213", "level": "base"}}, 201)
    if path in ("/crm/leads", "/mail/lists", "/stats/subscriptions"):
        return Answer.of({"ok": True})
    return Answer.of({"allow": True})
