"""What the drawn screens show: hooks and firings, under Russian names and under English ones."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hookrow.hook.stored import HookRef
from hookrow.records import Delivery, Firing, Veto

__all__ = ["BODY", "DAY", "NOON_MS", "ROWS", "firings_of_the_screens", "told"]

DAY = datetime(2026, 11, 25, 12, 3, 7, 918000, tzinfo=UTC)
NOON_MS = int(DAY.timestamp() * 1000)

ROWS: tuple[tuple[Any, ...], ...] = (
    # name, event, position, timeout, flags (active, forget, wait, data), state, calls, errors
    ("Проверка ИНН", "before_registration", 10, 3.0, (True, False, True, True), "on", 412, 0),
    ("Чёрный список", "before_registration", 20, 2.0, (True, False, True, False), "on", 409, 17),
    ("Карточка клиента в 1С", "after_registration", 10, 30.0, (True, False, False, False), "on", 381, 2),
    ("Скидки по договору", "before_order_add", 10, 5.0, (True, False, True, True), "on", 2914, 31),
    ("Остатки склада", "before_order_add", 20, 5.0, (True, False, True, True), "on", 2871, 6),
    ("Передача заказа в 1С", "before_order_add", 30, 30.0, (True, True, False, False), "on", 2865, 0),
    ("Расчёт доставки СДЭК", "before_delivery_service_calculate", 10, 10.0, (False, False, True, True), "off", 0, 0),
    ("Оплата: чек в ОФД", "before_order_setstatus", 10, 15.0, (True, False, True, False), "on", 96, 0),
    ("Чёрная пятница", "before_order_update", 10, 5.0, (True, False, True, True), "not_yet_valid", 0, 0),
    ("Письмо о продлении", "on_subscription", 10, 20.0, (True, True, False, False), "on", 23, 1),
)
BODY = '{\n  "order": "{{ order.id }}",\n  "sum": {{ order.sum }},\n  "items": {{ order.items }}\n}'


ENGLISH = {
    "Проверка ИНН": "Tax number check",
    "Чёрный список": "Stop list",
    "Карточка клиента в 1С": "Customer card in ERP",
    "Скидки по договору": "Contract discounts",
    "Скидки": "Discounts",
    "Остатки склада": "Stock",
    "Передача заказа в 1С": "Order to ERP",
    "Расчёт доставки СДЭК": "Courier tariff",
    "Оплата: чек в ОФД": "Payment: receipt",
    "Чёрная пятница": "Black Friday",
    "Письмо о продлении": "Renewal letter",
    "ИНН в стоп-листе": "On the stop list",
    "ЧАЙ-1": "TEA-1",
    "ремонт": "repairs",
    "https://price.example.ru/discount": "https://price.example.com/discount",
}


def told(text: str, lang: str) -> str:
    """A text of the screens in the language of its readers."""
    return ENGLISH.get(text, text) if lang == "en" else text


def delivery(firing: str, seq: int, row: Any, state: str, at: int, **more: Any) -> Delivery:
    ref = HookRef(row.id, row.key, row.name)
    return Delivery(
        f"msg_{firing[4:]}{seq:02}", firing, ref, seq, row.position, row.mode, state, at, row_id=seq, **more
    )


def firings_of_the_screens(hooks: Mapping[int, Any], lang: str) -> list[Firing]:
    """The firings of screens/log-*.txt, newest first."""
    made: list[Firing] = []

    def firing(
        row_id: int, event: str, at: int, outcome: str, ms: int, deliveries: list[tuple[Any, ...]], **more: Any
    ) -> None:
        ident = f"evt_{row_id:016}"
        shares = [
            delivery(ident, seq, hooks[number], state, at + offset, **values)
            for seq, (number, state, offset, values) in enumerate(deliveries, 1)
        ]
        payload = {"order": {"number": "A-10492", "sum": 12850}}
        made.append(
            Firing(
                ident,
                event,
                event.partition("_")[0],
                at,
                outcome,
                payload=payload,
                data=payload,
                deliveries=shares,
                ms=ms,
                row_id=row_id,
                **more,
            )
        )

    changes = (("/order/sum", 12850, 11950),)
    firing(
        5,
        "before_order_add",
        NOON_MS,
        "allowed",
        841,
        [
            (4, "changed", -688, {"status": 200, "ms": 312, "attempts": 1, "changes": changes}),
            (5, "ok", -374, {"status": 200, "ms": 518, "attempts": 1}),
            (6, "queued", 146, {}),
        ],
    )
    firing(
        4,
        "after_registration",
        NOON_MS - 5804,
        "allowed",
        30001,
        [(3, "retrying", 1, {"error": "timeout", "ms": 30000, "attempts": 3})],
    )
    veto = Veto("hook", HookRef(2, "hook-2", hooks[2].name), told("ИНН в стоп-листе", lang), status=409)
    firing(
        3,
        "before_registration",
        NOON_MS - 9516,
        "vetoed",
        96,
        [
            (1, "ok", 0, {"status": 200, "ms": 61, "attempts": 1}),
            (2, "vetoed", 62, {"status": 409, "ms": 34, "attempts": 1}),
        ],
        veto=veto,
    )
    firing(2, "before_order_setstatus", NOON_MS - 26898, "allowed", 120, [(8, "ok", 0, {"status": 200, "ms": 120})])
    firing(
        1,
        "before_order_add",
        NOON_MS - 27047,
        "allowed",
        733,
        [
            (4, "changed", -750, {"status": 200, "ms": 290, "attempts": 1, "changes": changes}),
            (5, "ok", -459, {"status": 200, "ms": 441, "attempts": 1}),
            (6, "sent", -17, {"status": 202, "ms": 903, "attempts": 1}),
        ],
    )
    return made
