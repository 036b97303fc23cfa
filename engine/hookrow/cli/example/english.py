"""The sample data for people who read English: the same hooks and customers under English names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hookrow.lang import current

if TYPE_CHECKING:
    from hookrow.events import Event

__all__ = ["in_language", "sample_of"]

ENGLISH = {
    "Проверка ИНН": "Tax number check",
    "Стоп-лист клиентов": "Stop list",
    "Журнал регистраций": "Registration log",
    "Карточка клиента в 1С": "Customer card in ERP",
    "Карта лояльности": "Loyalty card",
    "Приветственное письмо": "Welcome letter",
    "Партнёрская сеть": "Partner network",
    "Новый партнёр": "New partner",
    "Скидки по договору": "Contract discounts",
    "Остатки склада": "Stock",
    "Передача заказа в 1С": "Order to ERP",
    "Чат менеджеров": "Managers' chat",
    "Пересчёт бонусов": "Bonus points",
    "Статистика заказов": "Order statistics",
    "Чек в ОФД": "Receipt",
    "СМС о статусе": "Status SMS",
    "Старый склад": "Old warehouse",
    "Тариф доставки": "Delivery tariff",
    "Тариф для тяжёлых": "Heavy goods tariff",
    "Проверка почты": "Mail address check",
    "Подписки на рассылки": "Mailing lists",
    "Антифрод": "Antifraud",
    "Лид в CRM": "Lead in CRM",
    "Продление подписки": "Subscription renewal",
    "Аналитика подписок": "Subscription analytics",
    "Новогодняя акция": "New Year campaign",
    "Старая CRM": "Old CRM",
    "Регистрация временно недоступна, попробуйте через минуту": "Registration is unavailable, try again in a minute",
    "Не удалось проверить остатки, оформите заказ чуть позже": "Stock could not be checked, try again a little later",
    "Партнёр переносит сервер, обещали до понедельника": "The partner moves the server, until Monday",
    "Договор 14-К": "Contract 14-K",
    "Номер уже зарегистрирован": "The phone number is registered already",
    "Этот номер есть у другого клиента": "Another customer has this number",
    "Карта клиента отклонена банком": "The bank declined the customer's card",
    "ЗК-0004821": "SO-0004821",
    "Кружка «Утро»: осталось 3 шт.": "Morning mug: only 3 left",
    "Сервис перезапускается": "The service is restarting",
    "Кофе в зёрнах 250 г": "Coffee beans 250 g",
    "Кружка «Утро»": "Morning mug",
    "Чай с чабрецом 100 г": "Thyme tea 100 g",
    "Обновляем список": "Updating the list",
    "Сервис выключают": "The service is being shut down",
    "Справочник «Клиенты» не найден": "Directory Customers not found",
    "Список рассылки удалён": "The mailing list was deleted",
    "Клиент в стоп-листе": "The customer is on the stop list",
    "Кружки «Утро» нет на складе": "Morning mug is out of stock",
    "Смена не открыта": "The shift is not open",
    "Ирина Соколова": "Irina Brown",
    "Пётр Ильин": "Peter Hill",
    "Алексей Орлов": "Alex Adler",
    "Мария Гусева": "Mary Goose",
    "Дмитрий Лебедев": "Dan Swan",
    "Ольга Крылова": "Olga Wing",
    "Казань": "Leeds",
    "Москва": "London",
    "Тверь": "York",
    "Самара": "Bristol",
    "Пермь": "Oxford",
    "Томск": "Bath",
    "ул. Баумана, 12": "12 Bond Street",
    "ул. Баумана": "Bond Street",
    "ул. Сретенка, 4": "4 High Street",
    "наб. Степана Разина, 9": "9 River Walk",
    "ул. Куйбышева, 88": "88 Park Road",
    "ул. Ленина, 50": "50 Church Lane",
    "пр. Фрунзе, 17": "17 Queen's Avenue",
    "Кофе каждый месяц": "Coffee every month",
    "При истечении срока действия подписки": "When the subscription expires",
    "Курьер": "Courier",
    'Позвонить за час: домофон "12К"': 'Call an hour before: door "12K"',
}
PIECES = {
    "Новый заказ {{ order.number }} на {{ order.sum }} ₽": "New order {{ order.number }}: {{ order.sum }} ₽",
    "Заказ {{ order.number }} выполнен. Спасибо, что вы с нами!": "Order {{ order.number }} is complete. Thank you!",
}
"""Parts of the sample bodies."""


def in_language(value: Any) -> Any:
    """The same value with English texts, if English is the language in use."""
    if current() != "en":
        return value
    if isinstance(value, dict):
        return {key: in_language(each) for key, each in value.items()}
    if isinstance(value, list):
        return [in_language(each) for each in value]
    if not isinstance(value, str):
        return value
    for russian, english in PIECES.items():
        value = value.replace(russian, english)
    return ENGLISH.get(value, value)


def sample_of(event: Event) -> Any:
    """What is fired without a payload: a service's own sample is as the service wrote it."""
    return event.sample if event.origin == "service" else in_language(event.sample)
