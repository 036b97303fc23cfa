"""`engine.settings`: what every process on this database obeys."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from hookrow.core.threads.bridge import Awaited, awaited
from hookrow.hook.together import PREFIX, events_together
from hookrow.lang import Text
from hookrow.store.configuration import settings as settingstore
from hookrow.store.configuration.revisions import Changing
from hookrow.store.configuration.settings import SettingValue
from hookrow.store.database.locks import RECORD, AtLeast, as_one_change
from hookrow.store.log import deeds

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hookrow.core.runtime import Runtime
    from hookrow.store.configuration.revisions import Author

__all__ = ["AsyncSettings", "Settings", "change_setting", "require_before"]


class Settings:
    """The rows of the table `setting`, and what makes them stricter here."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def list(self) -> builtins.list[SettingValue]:
        """Every setting with its value here and where that comes from."""
        config = self.runtime.config_now()
        found = settingstore.values(config.settings)
        if self.runtime.egress is None:
            return found
        policy = self.runtime.policy(config)
        return [
            SettingValue(each.name, policy.mode, each.default, "HOOKROW_EGRESS", each.meaning)
            if each.name == "egress" and each.value != policy.mode
            else each
            for each in found
        ]

    def get(self, name: str) -> str:
        """A setting's value as the database has it. Raises InvalidSetting."""
        known = settingstore.known(name)
        return self.runtime.config_now().settings.get(name, known.default)

    def zone(self) -> ZoneInfo:
        """The time zone in which people type and read dates here (the setting `timezone`)."""
        return self.runtime.zone()

    def together(self) -> frozenset[str]:
        """The events whose neighbouring gates are asked at the same time (docs/firing.md#gates-asked-together)."""
        return events_together(self.runtime.config_now().settings)

    @as_one_change
    def set(self, name: str, value: str) -> SettingValue:
        """Change a setting for every process on this database.

        Raises:
            InvalidSetting: there is no such setting, or it does not take this value.
            EventNotFound: `together:EVENT` names an event that the catalogue does not hold.
        """
        checked = self.checked(name, value)
        author = self.runtime.author()

        def job(connection: Connection) -> None:
            change_setting(connection, author, name, checked)

        self.runtime.database.writer.write(Changing(author, job))
        self.runtime.cache.forget()
        with AtLeast(RECORD):
            return next(each for each in self.list() if each.name == name)

    def checked(self, name: str, value: str) -> str:
        """A new value as it is kept. Raises as `set`."""
        checked = settingstore.parse(name, value)
        if name.startswith(PREFIX):
            require_before(self.runtime, name.removeprefix(PREFIX))
        return checked


def change_setting(connection: Connection, author: Author, name: str, value: str) -> None:
    """Write a checked value, and who did."""
    settingstore.store(connection, name, value)
    deeds.note(connection, author, "setting", [f"{name} = {value}"])


def require_before(runtime: Runtime, event: str) -> None:
    """Gates decide something of `before` events only. Raises EventNotFound, InvalidSetting."""
    if runtime.event(runtime.config(), event).moment != "before":
        text = Text("{event} is not a before event: its hooks can't stop anything", event=event)
        raise settingstore.refuse(f"{PREFIX}{event}", text)


class AsyncSettings(Awaited[Settings]):
    """`Settings`, awaited."""

    list: Final = awaited(Settings.list)
    get: Final = awaited(Settings.get)
    zone: Final = awaited(Settings.zone)
    together: Final = awaited(Settings.together)
    set: Final = awaited(Settings.set)
