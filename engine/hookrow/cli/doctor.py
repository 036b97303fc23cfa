"""`hookrow doctor`: what is wrong or would surprise, with the way out; and which settings are in force, from where."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hookrow.cli import exits
from hookrow.cli.commands import command, option
from hookrow.cli.layout import Cell, Column
from hookrow.cli.output import paint, put, put_json, put_table
from hookrow.cli.session import Session, pass_session
from hookrow.errors import KeyProblem
from hookrow.lang import Plural, Text
from hookrow.modes import WAITING

if TYPE_CHECKING:
    from hookrow import HookEngine
    from hookrow.models import Hook

__all__ = ["UNDRAINED", "contradicts", "doctor"]

UNDRAINED = Text("Nobody sends the queue: run hookrow worker.")
MANY = 1000
MIB = 1024 * 1024
LARGE_WAL = 64 * MIB
"""Bytes: the WAL is emptied at about 40 MiB unless somebody reads all the time."""
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@dataclass(frozen=True)
class Finding:
    """Something that a person should look at: a stable code, a sentence, and the hook if it is about one."""

    code: str
    text: Text
    hook: Hook | None = None

    def as_json(self) -> dict[str, Any]:
        about = self.hook
        named = None if about is None else {"id": about.id, "key": about.key, "name": about.name}
        return {"code": self.code, "message": str(self.text), "hook": named}


@command("doctor", more=Text("Exit code 1 if there is anything to look at."))
@option("--json", "as_json", is_flag=True, says=Text("Machine-readable: one object."))
@pass_session
def doctor(session: Session, as_json: bool) -> int:
    """What is wrong or would surprise."""
    with session.engine() as engine:
        findings = [*queue(engine), *hooks(engine), *keys(engine), *files(session.path), *room(engine)]
        settings = engine.settings.list()
        database = str(engine.path or engine.url)
    if as_json:
        put_json(
            {
                "database": database,
                "findings": [each.as_json() for each in findings],
                "settings": [each.as_json() for each in settings],
            }
        )
    else:
        put(str(Text("Database: {database}", database=database)))
        put_table(
            [Column(), Column(), Column()],
            [(each.name, each.value or "—", Cell(each.source, dim=True)) for each in settings],
        )
        if any(os.environ.get(name) for name in PROXIES):
            put(str(Text("Proxies named in the environment are not used.")))
        put()
        for each in findings:
            put(f"{paint('!', 'red')} {paint(str(each.text))}")
        if not findings:
            put(paint(str(Text("Nothing to complain of.")), "green"))
    return exits.NO if findings else exits.DONE


def queue(engine: HookEngine) -> Iterator[Finding]:
    """A queue that nobody drains, deliveries that were given up."""
    summary = engine.log.summary()
    if summary.undrained:
        yield Finding("undrained", UNDRAINED)
    if summary.dead > MANY:
        yield Finding("dead", Text("More than {n} deliveries were given up: hookrow log --outcome dead", n=MANY))
    elif summary.dead:
        yield Finding(
            "dead",
            Plural(
                "{n} delivery was given up: hookrow log --outcome dead",
                "{n} deliveries were given up: hookrow log --outcome dead",
                summary.dead,
            ),
        )


def hooks(engine: HookEngine) -> Iterator[Finding]:
    """Paused hooks, those that refuse operations meanwhile first; flags without effect."""
    found = engine.hooks.list()
    stopping = {event.code for event in engine.events if event.moment == "before"}

    def refuses(hook: Hook) -> bool:
        return hook.mode in WAITING and hook.on_failure == "stop" and hook.event in stopping

    paused = [hook for hook in found if hook.state == "paused"]
    for hook in sorted(paused, key=refuses, reverse=True):
        values = {"hook": f"{hook.id} «{hook.name}»", "reason": hook.paused_reason or "—", "event": hook.event}
        if refuses(hook):
            stops = Text("{hook} is paused ({reason}) and set to stop: every {event} is refused.", **values)
            yield Finding("paused_stop", stops, hook)
        else:
            yield Finding("paused", Text("{hook} is paused: {reason}", **values), hook)
    for hook in found:
        if contradicts(hook):
            flags = Text(
                "{hook}: fire and forget is on, the other two flags have no effect.", hook=f"{hook.id} «{hook.name}»"
            )
            yield Finding("contradiction", flags, hook)


def contradicts(hook: Hook) -> bool:
    """Whether flags are on that «Блок без ответа» keeps from having an effect (DESIGN 4)."""
    return hook.fire_and_forget and (hook.wait_for_response or hook.response_has_data)


def keys(engine: HookEngine) -> Iterator[Finding]:
    """Secrets that don't open here."""
    from hookrow.store.sealed import sealed_values

    with engine.runtime.database.read() as connection:
        for _, place, token in sealed_values(connection):
            try:
                engine.runtime.vault.open(token, place)
            except KeyProblem as problem:
                yield Finding("key", Text("A secret does not open: {reason}", reason=problem))
                return


def files(path: Path | None) -> Iterator[Finding]:
    """Files that others than their owner may read or write."""
    if path is None:
        return
    from hookrow.vault import key_file_beside

    for file in (path, path.with_name(path.name + "-wal"), key_file_beside(path)):
        if file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o077:
            yield Finding("file_mode", Text("Others may read {path}: chmod 600 {path}", path=file))


def room(engine: HookEngine) -> Iterator[Finding]:
    """Rows that retention may not touch beyond its limit; a WAL that a long reader keeps from being emptied."""
    kept, limit = engine.log.kept_bytes(), int(engine.settings.get("retention_bytes"))
    if kept > limit:
        many = Text(
            "Pending and dead deliveries take {kept} MiB, more than retention_bytes ({limit} MiB). "
            "They are never deleted by themselves: hookrow redeliver, hookrow drop.",
            kept=kept // MIB,
            limit=limit // MIB,
        )
        yield Finding("kept", many)
    wal = None if engine.path is None else engine.path.with_name(engine.path.name + "-wal")
    if wal is not None and wal.exists() and wal.stat().st_size > LARGE_WAL:
        long = Text(
            "{path} has grown to {size} MiB: some program has been reading the database for long; it shrinks when that "
            "program ends.",
            path=wal,
            size=wal.stat().st_size // MIB,
        )
        yield Finding("wal", long)
