"""The settings that every process on a database obeys: their names, defaults and what they accept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection, delete

from hookrow.clock import MOST_DAYS
from hookrow.errors import InvalidSetting, Problem
from hookrow.hook.egress import Egress
from hookrow.hook.together import PREFIX
from hookrow.lang import Both, Text
from hookrow.payload import MIB
from hookrow.store.configuration.zones import OF_THE_MACHINE
from hookrow.store.database.prepared import Upsert
from hookrow.store.database.tables import SETTINGS as TABLE

__all__ = ["OFF", "ON", "SETTINGS", "TOGETHER", "SettingValue", "known", "parse", "refuse", "store", "values"]

KEEP = Upsert(TABLE, "name", ["value"])
ON, OFF = "on", "off"
TOGETHER = Both(
    "whether neighbouring gates of one position are asked at the same time: on or off",
    "спрашивать ли соседние разрешения одной позиции вместе: on или off",
)
UNITS = {"": 1, "k": 1024, "kib": 1024, "m": MIB, "mib": MIB, "g": 1024 * MIB, "gib": 1024 * MIB}


@dataclass(frozen=True, slots=True)
class Known:
    """A setting: its default, what it is for, and the check of a new value."""

    name: str
    default: str
    meaning: Both
    check: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class SettingValue:
    """A setting as it stands. `source`: `default`, `database`, or what made it stricter (an argument, a variable)."""

    name: str
    value: str
    default: str
    source: str
    meaning: Both

    def as_json(self) -> dict[str, str]:
        """The shape that `--json` prints."""
        return {"name": self.name, "value": self.value, "default": self.default, "source": self.source}


def refuse(name: str, text: Text) -> InvalidSetting:
    """The error for a value that a setting does not take."""
    return InvalidSetting([Problem(name, text)])


def whole(name: str, least: int, most: int) -> Callable[[str], str]:
    """A whole number of a range; sizes may carry K, M, G (powers of 1,024)."""

    def check(value: str) -> str:
        text = value.strip().lower().replace(" ", "").replace("_", "")
        digits = text.rstrip("kmgib")
        unit = UNITS.get(text[len(digits) :])
        number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 else -1
        if unit is None or not least <= number * unit <= most:
            raise refuse(name, Text("a whole number from {least} to {most}", least=least, most=most))
        return str(number * unit)

    return check


def check_mode(value: str) -> str:
    return Egress.parse(value.strip()).mode


def check_allow(value: str) -> str:
    Egress.parse("public", value)
    return ", ".join(value.replace(",", " ").split())


def check_zone(value: str) -> str:
    name = value.strip()
    try:
        if name in OF_THE_MACHINE:
            raise ValueError
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise refuse("timezone", Text('"{value}" is not a time zone such as Europe/Moscow', value=value)) from None


def check_language(value: str) -> str:
    chosen = value.strip().lower()
    if chosen not in ("ru", "en"):
        raise refuse("language", Text('"{value}" is neither ru nor en', value=value))
    return chosen


def check_switch(value: str) -> str:
    chosen = value.strip().lower()
    if chosen not in (ON, OFF):
        raise refuse("together", Text('"{value}" is neither on nor off', value=value))
    return chosen


SETTINGS = {
    setting.name: setting
    for setting in (
        Known(
            "egress",
            "private",
            Both(
                "addresses that hooks may call: private = public and private networks; public = public "
                "addresses only; cloud metadata is always blocked",
                "какие адреса доступны хукам: private — внешние и внутренние; public — только внешние; "
                "служебные адреса облаков закрыты всегда",
            ),
            check_mode,
        ),
        Known(
            "egress_allow",
            "",
            Both(
                "private addresses, networks and hosts that are allowed under egress = public",
                "внутренние адреса, сети и узлы, разрешённые при egress = public",
            ),
            check_allow,
        ),
        Known(
            "timezone",
            "UTC",
            Both(
                "time zone in which dates and times are typed and shown",
                "часовой пояс, в котором вводят и показывают дату и время",
            ),
            check_zone,
        ),
        Known(
            "language",
            "en",
            Both(
                "the language in which refusals are told to your API's clients: ru or en",
                "язык, на котором об отказе узнают клиенты вашего API: ru или en",
            ),
            check_language,
        ),
        Known(
            "retention_days",
            "30",
            Both("days to keep finished firings", "сколько дней хранить завершённые срабатывания"),
            whole("retention_days", 1, MOST_DAYS),
        ),
        Known(
            "retention_bytes",
            str(1024 * MIB),
            Both("bytes that finished firings may take", "сколько байт могут занимать завершённые срабатывания"),
            whole("retention_bytes", MIB, 1024 * 1024 * MIB),
        ),
        Known(
            "payload_limit",
            str(MIB),
            Both("the largest payload and body, in bytes", "наибольшие данные события и тело, в байтах"),
            whole("payload_limit", 1024, 64 * MIB),
        ),
        Known(
            "reply_limit",
            str(MIB),
            Both("the longest response of a blocking hook, in bytes", "самый длинный ответ ожидающего хука, в байтах"),
            whole("reply_limit", 1024, 16 * MIB),
        ),
        Known(
            "reply_kept",
            str(64 * 1024),
            Both("bytes of a background hook's response to store", "сколько байт ответа фонового хука хранить"),
            whole("reply_kept", 0, 16 * MIB),
        ),
        Known(
            "loop_depth",
            "5",
            Both(
                "how many hooks a call may have come through (the header hook-depth) before it is refused",
                "через сколько хуков может пройти вызов (заголовок hook-depth), прежде чем ему откажут",
            ),
            whole("loop_depth", 1, 100),
        ),
    )
}


def known(name: str) -> Known:
    """The setting of this name. Raises InvalidSetting, which names all of them."""
    found = SETTINGS.get(name)
    if found is None and name.startswith(PREFIX):
        return Known(name, OFF, TOGETHER, check_switch)
    if found is None:
        names = ", ".join((*SETTINGS, f"{PREFIX}EVENT"))
        raise refuse(name, Text("there is no such setting; there are: {names}", names=names))
    return found


def parse(name: str, value: str) -> str:
    """A new value, checked and spelled as it is kept. Raises InvalidSetting."""
    return known(name).check(value)


def values(stored: Mapping[str, str]) -> list[SettingValue]:
    """All settings as the database has them; of those of single events the ones that were set."""
    own = sorted(name for name in stored if name.startswith(PREFIX))
    return [
        SettingValue(
            each.name,
            stored.get(each.name, each.default),
            each.default,
            "database" if each.name in stored else "default",
            each.meaning,
        )
        for each in (*SETTINGS.values(), *map(known, own))
    ]


def store(connection: Connection, name: str, value: str | None) -> None:
    """Keep a value; None takes it away."""
    if value is None:
        connection.execute(delete(TABLE).where(TABLE.c.name == name))
    else:
        connection.execute(KEEP, {"name": name, "value": value})
