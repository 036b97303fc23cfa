"""`hookrow doctor`: what is wrong or would surprise, with the way out; and which settings are in force, from where."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from hookrow.cli import exits
from hookrow.cli.catalogue import command, option
from hookrow.cli.commands.care.settings import source_of
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.findings import find, wal_bytes
from hookrow.cli.show.layout import Cell, Column
from hookrow.cli.show.output import paint, put, put_json, put_table
from hookrow.lang import Text
from hookrow.payload import MIB

if TYPE_CHECKING:
    from hookrow import HookEngine

__all__ = ["doctor"]

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@command("doctor", more=Text("Exit code 1 if there are findings."))
@option("--json", "as_json", is_flag=True, says=Text("Print JSON: one object."))
@pass_session
def doctor(session: Session, as_json: bool) -> int:
    """What is wrong or would surprise."""
    with session.engine() as engine:
        findings = list(find(engine))
        settings = engine.settings.list()
        database = str(engine.path or engine.url)
        room, versions, read_only = room_of(engine), versions_of(engine), engine.read_only
    if as_json:
        put_json(
            {
                "database": database,
                "read_only": read_only,
                "findings": [each.as_json() for each in findings],
                "settings": [each.as_json() for each in settings],
                "room": room,
                "versions": versions,
            }
        )
        return exits.NO if findings else exits.DONE
    put(Text("Database: {database}", database=database))
    if read_only:
        put(Text("You can only read it."))
    put_table(
        [Column(), Column(), Column()],
        [(each.name, each.value or "—", Cell(source_of(each), dim=True)) for each in settings],
    )
    if room:
        said = Text(
            "{file} MiB in the file, {wal} MiB in its WAL, {free} MiB free on the disk",
            file=room["file_bytes"] // MIB,
            wal=room["wal_bytes"] // MIB,
            free=room["free_bytes"] // MIB,
        )
        put(str(said))
    put(", ".join(f"{name} {each}" for name, each in versions.items()))
    if any(os.environ.get(name) for name in PROXIES):
        put(Text("Proxies set in the environment are not used."))
    put()
    for each in findings:
        put(f"{paint('!', 'red')} {paint(str(each.text))}")
    if not findings:
        put(paint(str(Text("No problems found.")), "green"))
    return exits.NO if findings else exits.DONE


def room_of(engine: HookEngine) -> dict[str, int]:
    """Bytes of the database's files and of the free disk (SQLite)."""
    path = engine.path
    if path is None:
        return {}
    return {
        "file_bytes": path.stat().st_size,
        "wal_bytes": wal_bytes(path),
        "free_bytes": shutil.disk_usage(path.parent).free,
    }


def versions_of(engine: HookEngine) -> dict[str, Any]:
    """What runs here."""
    return {"hookrow": version("hookrow"), "python": platform.python_version(), **engine.health.versions()}
