"""`engine.settings`: what every process on this database obeys."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from hookrow.core.threads.bridge import Awaited, awaited
from hookrow.store.configuration import settings as settingstore
from hookrow.store.configuration.revisions import Changing
from hookrow.store.configuration.settings import SettingValue
from hookrow.store.database.locks import RECORD, AtLeast, as_one_change
from hookrow.store.log import deeds

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hookrow.core.runtime import Runtime

__all__ = ["AsyncSettings", "Settings"]


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
        settingstore.known(name)
        return self.runtime.setting(self.runtime.config_now(), name)

    def zone(self) -> ZoneInfo:
        """The time zone in which people type and read dates here (the setting `timezone`)."""
        return self.runtime.zone()

    @as_one_change
    def set(self, name: str, value: str) -> SettingValue:
        """Change a setting for every process on this database. Raises InvalidSetting."""
        checked = settingstore.parse(name, value)
        author = self.runtime.author()

        def job(connection: Connection) -> None:
            settingstore.store(connection, name, checked)
            deeds.note(connection, author, "setting", [f"{name} = {checked}"])

        self.runtime.database.writer.write(Changing(author, job))
        self.runtime.cache.forget()
        with AtLeast(RECORD):
            return next(each for each in self.list() if each.name == name)


class AsyncSettings(Awaited[Settings]):
    """`Settings`, awaited."""

    list: Final = awaited(Settings.list)
    get: Final = awaited(Settings.get)
    zone: Final = awaited(Settings.zone)
    set: Final = awaited(Settings.set)
