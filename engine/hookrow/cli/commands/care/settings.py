"""`hookrow settings`: what every process on this database obeys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from hookrow.cli.catalogue import Command, family, option
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.layout import Cell, Column
from hookrow.cli.show.output import put_json, put_table, say
from hookrow.lang import Text

if TYPE_CHECKING:
    from hookrow import SettingValue

__all__ = ["settings", "source_of"]

settings: Final = family("settings")
SOURCES = {"default": Text("default"), "database": Text("database")}


def source_of(setting: SettingValue) -> str:
    """Where a setting's value comes from, in words; a variable by its name."""
    return str(SOURCES.get(setting.source, setting.source))


@settings.command("list", cls=Command, brief=Text("List every setting, its value, and where it comes from."))
@option("--json", "as_json", is_flag=True, says=Text("Print JSON, one object per line."))
@pass_session
def list_settings(session: Session, as_json: bool) -> None:
    """Every setting."""
    with session.engine() as engine:
        found = engine.settings.list()
    if as_json:
        for each in found:
            put_json(each.as_json())
        return
    put_table(
        [
            Column(str(title), shrink=at == 3)
            for at, title in enumerate((Text("Setting"), Text("Value"), Text("From"), Text("Meaning")))
        ],
        [(each.name, each.value or "—", source_of(each), Cell(str(each.meaning), dim=True)) for each in found],
    )


@settings.command("set", cls=Command, brief=Text("Change a setting for every process on this database."))
@click.argument("name")
@click.argument("value")
@pass_session
def set_value(session: Session, name: str, value: str) -> None:
    """Change a setting."""
    with session.engine() as engine:
        kept = engine.settings.set(name, value)
    say(Text("{name} = {value}", name=kept.name, value=kept.value))
