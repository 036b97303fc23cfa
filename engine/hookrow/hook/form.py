"""The form of the document, declared once: each field's code, labels, hint, how typed text is read and shown.

Labels in Russian are the document's, letter for letter, in its order and groups; what goes beyond it comes last, in a
group of its own. `hookrow.hook.fields` adds the rules that span several fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Literal

from hookrow.errors import InvalidHook, Problem
from hookrow.hook.checks import CHECKS, EMPTY_SECRET, Unfit, header_parts, is_empty, readable, trim
from hookrow.hook.dates import NOT_A_MOMENT, Here, Moment, parse, parse_absolute
from hookrow.hook.dates import show as show_moment
from hookrow.hook.modes import Seconds
from hookrow.lang import Both, Text

__all__ = [
    "FIELD",
    "FIELDS",
    "FLAGS_TITLE",
    "GROUPS",
    "PAGE_TITLE",
    "PERIOD_TITLE",
    "SAVE_AND_CLOSE",
    "Field",
    "Group",
    "Kind",
]

Group = Literal["main", "period", "flags", "body", "extra", "beyond"]
# fmt: off
Kind = Literal[
    "text", "url", "event", "int", "seconds", "moment", "flag", "template",
    "login", "secret", "header", "choice", "pointer", "expression",
]
# fmt: on

PAGE_TITLE = Both("Webhooks setup", "Настройка веб-хуков")
SAVE_AND_CLOSE = Both("Save and close", "Записать и закрыть")
PERIOD_TITLE = Both("Validity period", "Период действия")
FLAGS_TITLE = Both("Flags", "Признаки")
GROUPS: dict[Group, Both] = {
    "main": Both("Main settings", "Основные параметры"),
    "period": PERIOD_TITLE,
    "flags": FLAGS_TITLE,
    "body": Both("Body", "Тело"),
    "extra": Both("Additional settings", "Дополнительные параметры"),
    "beyond": Both("Advanced settings", "Сверх документа"),
}
"""What a refusal by failure says where the hook has no message of its own; it is for the shop's customers."""


@dataclass(frozen=True)
class Field:
    """One field of a hook.

    `default` is what an empty field means; `required` fields have none. `choices` are code and label of the values that
    a `choice` takes. A `secret` field is sealed and write-only.
    """

    code: str
    label: Both
    hint: Both
    group: Group
    kind: Kind
    default: Any = ""
    secret: bool = False
    required: bool = False
    choices: tuple[tuple[str, Both], ...] = ()

    @property
    def option(self) -> str:
        """The field's option on the command line."""
        return "--" + self.code.replace("_", "-")

    def parse(self, text: object, here: Here | None = None) -> Any:
        """The value of what a person typed; empty text is the default.

        Args:
            here: the moment and zone that a typed date is read in; without it moments need RFC 3339 with an offset.

        Raises:
            InvalidHook: one sentence that names what is allowed.
        """
        try:
            return self.read(text, here)[0]
        except Unfit as fault:
            raise InvalidHook([Problem(self.code, fault.text)]) from None

    def read(self, value: object, here: Here | None = None) -> tuple[Any, Text | None]:
        """The value and a remark on how it was understood.

        Raises:
            Unfit: the value is not accepted.
        """
        if self.kind == "secret" and is_empty(value):
            raise Unfit(EMPTY_SECRET)
        if value is None or (isinstance(value, str) and not trim(value)):
            if self.required:
                raise Unfit(Text("A value is required."))
            return self.default, None
        if self.kind == "moment":
            understood = read_moment(value, here, end=self.code == "valid_until")
            return understood.value, understood.note
        if self.secret and hasattr(value, "is_set"):
            if (inside := readable(value)) is not None:
                CHECKS[self.code](inside)
            return value, None
        return CHECKS[self.code](value), None

    def show(self, value: Any, zone: tzinfo) -> str:
        """The text that stands in the form for a value and reads back as the same one. A secret is never shown."""
        if value is None:
            return ""
        if self.kind == "moment":
            return show_moment(value, zone)
        if self.kind == "seconds":
            return str(Seconds(value))
        if self.kind == "flag":
            return str(Both("yes", "да") if value else Both("no", "нет"))
        if self.secret and self.kind != "header":
            return ""
        return header_parts(str(value))[0] if self.kind == "header" else str(value)


FIELDS: tuple[Field, ...] = (
    Field(
        "name",
        Both("Name", "Наименование"),
        Both("What you call this hook; 1 to 120 characters.", "Как вы называете этот веб-хук; от 1 до 120 знаков."),
        "main",
        "text",
        required=True,
    ),
    Field(
        "url",
        Both("URL", "Адрес"),
        Both(
            "Where the requests go: http:// or https://. A login and password in it move to the fields below.",
            "Адрес, по которому отправляются запросы: http:// или https://. Логин и пароль из него переносятся в поля "
            "внизу.",
        ),
        "main",
        "url",
        required=True,
    ),
    Field(
        "event",
        Both("Event", "Событие"),
        Both(
            "When the hook fires. On before_… events the order or user doesn't exist yet, or is not changed yet.",
            "Когда срабатывает веб-хук. На событиях before_… заказа или пользователя ещё нет, либо он ещё не изменён.",
        ),
        "main",
        "event",
        required=True,
    ),
    Field(
        "position",
        Both("Order", "Порядок применения"),
        Both(
            "0 to 9999: the smaller number runs earlier; of equal ones, the older hook. Empty = the last.",
            "От 0 до 9999: меньшее число выполняется раньше, при равных — более старый хук. Пусто — последним.",
        ),
        "main",
        "int",
        None,
    ),
    Field(
        "timeout",
        Both("Timeout", "Таймаут ожидания"),
        Both(
            "Seconds for the whole exchange, 0.1 to 30; empty = 5. With a blocking hook the operation waits that long.",
            "Секунды на весь обмен, от 0,1 до 30; пусто — 5. У ожидающего хука столько ждёт сама операция.",
        ),
        "main",
        "seconds",
        5.0,
    ),
    Field(
        "valid_from",
        Both("Valid from", "С"),
        Both(
            "The hook works from this time on: 01.11.2026 00:00, 01.11, today, +7d. Empty = at once.",
            "Хук действует с этого времени: 01.11.2026 00:00, 01.11, сегодня, +7д. Пусто — сразу.",
        ),
        "period",
        "moment",
        None,
    ),
    Field(
        "valid_until",
        Both("Valid until", "по"),
        Both(
            "The hook works until this time; a date alone includes that day; +7d, +1mo, end of month. Empty = no end.",
            "Хук действует до этого времени; одна дата — до конца дня; +7д, +1мес, конец месяца. Пусто — без срока.",
        ),
        "period",
        "moment",
        None,
    ),
    Field(
        "active",
        Both("Active", "Активно"),
        Both(
            "Off: the hook is not called, and its queued deliveries wait until it is on again.",
            "Выключено: хук не вызывается, его доставки ждут в очереди, пока хук не включат.",
        ),
        "flags",
        "flag",
        True,
    ),
    Field(
        "fire_and_forget",
        Both("Fire and forget", "Блок без ответа"),
        Both(
            "Nobody waits for a response and none is stored; HTTP errors are not retried. Overrides the "
            "other two flags.",
            "Ответа не ждут и не хранят; код ответа 4xx или 5xx не повторяется. Два других признака не действуют.",
        ),
        "flags",
        "flag",
        True,
    ),
    Field(
        "wait_for_response",
        Both("Wait for response", "Ожидание ответа"),
        Both(
            "The operation waits for the response; on before_… events the response can veto it.",
            "Операция ждёт ответа; на событиях before_… ответ может её отклонить.",
        ),
        "flags",
        "flag",
        False,
    ),
    Field(
        "response_has_data",
        Both("Response has data", "Ответ содержит данные"),
        Both(
            "The response is stored; together with waiting it can change the data of the operation.",
            "Ответ хранится; вместе с ожиданием он может изменить данные операции.",
        ),
        "flags",
        "flag",
        False,
    ),
    Field(
        "body",
        Both("Body", "Тело"),
        Both(
            "A template of the request: {{ order.id }}. Empty = the standard envelope with all data.",
            "Шаблон запроса: {{ order.id }}. Пусто — стандартный конверт со всеми данными.",
        ),
        "body",
        "template",
    ),
    Field(
        "auth_login",
        Both("Basic auth login", "URL адрес базовой аутентификации и логин"),
        Both("Login of basic authentication, without a colon.", "Логин базовой аутентификации, без двоеточия."),
        "extra",
        "login",
    ),
    Field(
        "auth_password",
        Both("Basic auth password", "URL адрес базовой аутентификации и пароль"),
        Both(
            "Stored encrypted and never shown again. Empty login and password = no authentication.",
            "Хранится зашифрованным и больше не показывается. Пустые логин и пароль — без аутентификации.",
        ),
        "extra",
        "secret",
        None,
        secret=True,
    ),
    Field(
        "custom_header",
        Both("Custom header", "Пользовательский заголовок URL"),
        Both(
            "One header, Name: value. The value is stored encrypted and never shown again.",
            "Один заголовок, Имя: значение. Значение хранится зашифрованным и больше не показывается.",
        ),
        "extra",
        "header",
        secret=True,
    ),
    Field(
        "key",
        Both("Key", "Ключ"),
        Both(
            "Its name for programs and files: lower-case Latin letters, digits, hyphens. Empty = made from the ID.",
            "Имя хука для программ и файлов: строчные латинские буквы, цифры, дефисы. Пусто — из номера.",
        ),
        "beyond",
        "text",
    ),
    Field(
        "condition",
        Both("Condition", "Условие"),
        Both(
            "An expression, true or false: order.sum > 1000. If false, the hook is skipped. Empty = always.",
            "Выражение, истина или ложь: order.sum > 1000. Если ложь, хук пропускается. Пусто — всегда.",
        ),
        "beyond",
        "expression",
    ),
    Field(
        "on_failure",
        Both("On failure", "При ошибке"),
        Both(
            "If a blocking hook fails, the operation goes on (continue) or is stopped (stop).",
            "Если ожидающий хук недоступен или ответил неверно, операция продолжается (continue) или "
            "отклоняется (stop).",
        ),
        "beyond",
        "choice",
        "continue",
        choices=(
            ("continue", Both("allow the operation", "продолжить операцию")),
            ("stop", Both("stop the operation", "отклонить операцию")),
        ),
    ),
    Field(
        "fallback_message",
        Both("Failure message", "Сообщение при ошибке"),
        Both(
            "Shown to the customer if a failure of this hook stops the operation; up to 300 characters."
            " Empty: that the service is temporarily unavailable.",
            "Что прочтёт клиент, если операция отклонена из-за ошибки этого хука; до 300 знаков."
            " Пусто: что сервис временно недоступен.",
        ),
        "beyond",
        "text",
        "",
    ),
    Field(
        "signing_secret",
        Both("Signing secret", "Секрет подписи"),
        Both(
            "Signs every request by Standard Webhooks: whsec_…; shown once, when it is made.",
            "Подписывает каждый запрос по Standard Webhooks: whsec_…; показывается один раз, при создании.",
        ),
        "beyond",
        "secret",
        None,
        secret=True,
    ),
    Field(
        "order_key",
        Both("Ordering key", "Порядок по ключу"),
        Both(
            "A JSON Pointer such as /order/id: deliveries with the same value are sent strictly one after another.",
            "JSON Pointer, например /order/id: доставки с одинаковым значением отправляются строго по очереди.",
        ),
        "beyond",
        "pointer",
    ),
    Field(
        "shadow",
        Both("Shadow", "Наблюдение"),
        Both(
            "A blocking hook of a before_… event is asked in the background: its response decides nothing, but counts.",
            "Ожидающий хук события before_… спрашивается в фоне: ответ ничего не решает, но учитывается.",
        ),
        "beyond",
        "flag",
        False,
    ),
)
FIELD: dict[str, Field] = {each.code: each for each in FIELDS}


def read_moment(value: object, here: Here | None, *, end: bool) -> Moment:
    """A typed, written or given moment of the period."""
    if isinstance(value, str):
        return parse(value, now=here.now, zone=here.zone, end=end) if here else parse_absolute(value)
    if not isinstance(value, datetime):
        raise Unfit(NOT_A_MOMENT)
    return Moment.at(value)
