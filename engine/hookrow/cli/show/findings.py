"""What `hookrow doctor` finds: each finding has a stable code, a sentence with the way out, and perhaps a hook."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hookrow.cli.read.given import here_of
from hookrow.cli.show.wording import SOON, named, span
from hookrow.clock import from_ms
from hookrow.errors import KeyProblem
from hookrow.hook.checks import HEADER_NAME
from hookrow.hook.modes import ROW_LIMIT, Seconds
from hookrow.hook.together import Timing, longest, timing_of
from hookrow.lang import Plural, Text, quoted
from hookrow.payload import MIB
from hookrow.words import ERRORS, word

if TYPE_CHECKING:
    from datetime import datetime

    from hookrow import HookEngine
    from hookrow.hook.model import Hook

__all__ = ["UNDRAINED", "Finding", "contradicts", "find"]

UNDRAINED = Text("The queue is not being processed: no worker is running. Start one: hookrow worker")
MANY = 1000
LARGE_WAL = 64 * MIB
"""Bytes: the WAL is emptied at about 40 MiB unless somebody reads all the time."""
LEAST_FREE = 256 * MIB
"""Bytes of the disk: with less a busy log is full before anybody looks."""


@dataclass(frozen=True)
class Finding:
    """Something that a person should look at: a stable code, a sentence, and the hook if it is about one."""

    code: str
    text: Text
    hook: Hook | None = None

    def as_json(self) -> dict[str, Any]:
        hook = self.hook
        about = None if hook is None else {"id": hook.id, "key": hook.key, "name": hook.name}
        return {"code": self.code, "message": str(self.text), "hook": about}


def find(engine: HookEngine) -> Iterator[Finding]:
    """Everything that is wrong or would surprise."""
    yield from queue(engine)
    yield from failing(engine)
    yield from hooks(engine)
    yield from circles(engine)
    yield from rows(engine)
    if not engine.read_only:  # who may only read has no key, and no say in the files
        yield from keys(engine)
        yield from files(engine)
    yield from egress(engine)
    yield from room(engine)


def queue(engine: HookEngine) -> Iterator[Finding]:
    """A queue that nobody drains, leases that nobody takes over, deliveries that were given up."""
    summary, stuck = engine.log.summary(), engine.health.stuck()
    if stuck:
        yield Finding(
            "stuck",
            Plural(
                "{n} delivery is held by a process that has ended: run hookrow worker, which takes it over.",
                "{n} deliveries are held by processes that have ended: run hookrow worker, which takes them over.",
                stuck,
            ),
        )
    if summary.undrained:
        yield Finding("undrained", UNDRAINED)
    if timeless := engine.health.timeless():
        yield Finding(
            "timeless",
            Plural(
                "{n} delivery waits for an attempt that has no time: its row was changed by hand. Send it: hookrow "
                "redeliver --outcome retrying",
                "{n} deliveries wait for attempts that have no time: their rows were changed by hand. Send them: "
                "hookrow redeliver --outcome retrying",
                timeless,
            ),
        )
    if summary.dead > MANY:
        yield Finding("dead", Text("More than {n} deliveries are dead: hookrow log --outcome dead", n=MANY))
    elif summary.dead:
        yield Finding(
            "dead",
            Plural(
                "{n} delivery is dead: hookrow log --outcome dead",
                "{n} deliveries are dead: hookrow log --outcome dead",
                summary.dead,
            ),
        )


def can_refuse(engine: HookEngine, hook: Hook) -> bool:
    """Whether a failure of this hook stops an operation."""
    return hook.waits and hook.on_failure == "stop" and engine.events.get(hook.event).moment == "before"


def failing(engine: HookEngine) -> Iterator[Finding]:
    """Hooks that are called and fail every time, those that stop operations meanwhile first."""
    figures, zone = engine.log.hook_figures(), here_of(engine).zone
    found = {number: engine.hooks.get(number) for number in engine.log.summary().failing}
    for number, hook in sorted(found.items(), key=lambda each: not can_refuse(engine, each[1])):
        seen = figures.get(number)
        if seen is None or seen.failing_since_ms is None:
            continue
        values: dict[str, Any] = {
            "hook": named(hook),
            "since": f"{from_ms(seen.failing_since_ms).astimezone(zone):%d.%m.%Y %H:%M}",
            "n": seen.failing,
            "error": word(ERRORS, seen.last_error) if seen.last_status is None else seen.last_status,
        }
        if can_refuse(engine, hook):
            stops = Plural(
                "{hook} has failed every time since {since}, last: {error}. Its on_failure is stop: "
                "{n} operation was stopped.",
                "{hook} has failed every time since {since}, last: {error}. Its on_failure is stop: "
                "{n} operations were stopped.",
                **values,
            )
            yield Finding("failing_stop", stops, hook)
        else:
            fails = Plural(
                "{hook} has failed every time since {since}: {n} call in a row, last: {error}",
                "{hook} has failed every time since {since}: {n} calls in a row, last: {error}",
                **values,
            )
            yield Finding("failing", fails, hook)


def hooks(engine: HookEngine) -> Iterator[Finding]:
    """Paused hooks, those that refuse operations meanwhile first; then what would surprise of each hook, by subject."""
    found, now = engine.hooks.list(), here_of(engine).now
    paused = [hook for hook in found if hook.state == "paused"]
    for hook in sorted(paused, key=lambda hook: not can_refuse(engine, hook)):
        values = {"hook": named(hook), "reason": hook.paused_reason or "—", "event": hook.event}
        if can_refuse(engine, hook):
            stops = Text("{hook} is paused ({reason}) and its on_failure is stop: every {event} is stopped.", **values)
            yield Finding("paused_stop", stops, hook)
        else:
            yield Finding("paused", Text("{hook} is paused: {reason}", **values), hook)
    yield from templates(engine, found)
    yield from flags_and_headers(found)
    yield from shadows(engine, found)
    yield from periods(found, now)


def templates(engine: HookEngine, found: Sequence[Hook]) -> Iterator[Finding]:
    """Templates that can't be compiled; hooks that are off while deliveries wait for them."""
    broken, held = engine.health.uncompiled(), engine.health.held()
    for hook in found:
        if hook.id in broken:
            why = broken[hook.id]
            text = Text(
                "{hook} fails every time, its template can't be compiled: {reason}", hook=named(hook), reason=why
            )
            yield Finding("template", text, hook)
        if hook.id in held:
            waiting = Plural(
                "{hook} is off and {n} delivery waits for it: enabling the hook sends it.",
                "{hook} is off and {n} deliveries wait for it: enabling the hook sends them.",
                held[hook.id],
                hook=named(hook),
            )
            yield Finding("held", waiting, hook)


def flags_and_headers(found: Sequence[Hook]) -> Iterator[Finding]:
    """Flags without effect; names of headers that a shell may act on."""
    for hook in filter(contradicts, found):
        flags = Text("{hook}: fire_and_forget is on, the other two flags have no effect.", hook=named(hook))
        yield Finding("contradiction", flags, hook)
    for hook in found:
        if hook.custom_header and not re.fullmatch(HEADER_NAME, hook.custom_header):
            odd = Text(
                "{hook}: the header name {name} has characters that a shell may act on; give it another name.",
                hook=named(hook),
                name=quoted(hook.custom_header),
            )
            yield Finding("header_name", odd, hook)


def shadows(engine: HookEngine, found: Sequence[Hook]) -> Iterator[Finding]:
    """Hooks in shadow that would have refused or failed, candidates that differ or failed: to be mended or promoted."""
    for hook in found:
        its = engine.log.candidate(hook.id) if hook.candidate is not None and hook.id is not None else None
        if its is not None and its.differ + its.failures:
            differs = Text(
                "{hook} has a candidate. Last 7 days: they differ in {differ} of {compared}, the candidate failed "
                "{failures}. See them: hookrow log --hook {key} --outcome differs, then: hookrow hooks promote {key}",
                hook=named(hook),
                differ=its.differ,
                compared=its.compared,
                failures=its.failures,
                key=hook.key,
            )
            yield Finding("candidate", differs, hook)
        seen = engine.log.shadow(hook.id) if hook.shadow and hook.id is not None else None
        if seen is None or not seen.refusals + seen.failures:
            continue
        text = Text(
            "{hook} is in shadow. Last 7 days: asked {asked}, would refuse {refusals}, failed {failures}. See them: "
            "hookrow log --hook {key} --would veto (or fail), then: hookrow hooks promote {key}",
            hook=named(hook),
            asked=seen.asked,
            refusals=seen.refusals,
            failures=seen.failures,
            key=hook.key,
        )
        yield Finding("shadow", text, hook)


def periods(found: Sequence[Hook], now: datetime) -> Iterator[Finding]:
    """Hooks that are on although their period has ended, or soon will."""
    for hook in found:
        if hook.valid_until is None:
            continue
        if hook.state == "expired":
            over = Text(
                "{hook} is on, but its period ended {time} ago.", hook=named(hook), time=span(now - hook.valid_until)
            )
            yield Finding("expired", over, hook)
        elif hook.active and hook.valid_until - now <= SOON:
            soon = Text("The period of {hook} ends in {time}.", hook=named(hook), time=span(hook.valid_until - now))
            yield Finding("ends_soon", soon, hook)


def circles(engine: HookEngine) -> Iterator[Finding]:
    """Hooks whose receivers seem to call what fires them again."""
    deep = engine.log.deep_hooks()
    for hook in engine.hooks.list():
        if hook.id in deep:
            text = Text(
                "{hook} was fired by calls that came through three hooks or more in the last seven days: does its "
                "receiver call what fires it?",
                hook=named(hook),
            )
            yield Finding("loop", text, hook)


def rows(engine: HookEngine) -> Iterator[Finding]:
    """Events whose blocking hooks may together take longer than an operation waits for them."""
    turns: defaultdict[str, list[Timing]] = defaultdict(list)
    for hook in sorted(engine.hooks.list(), key=lambda each: (each.position or 0, each.id or 0)):
        turns[hook.event].append(timing_of(hook, idle=not hook.active or hook.state == "expired"))
    together = engine.settings.together()
    for event, chain in turns.items():
        seconds = longest(chain, event in together)
        if seconds > ROW_LIMIT:
            text = Text(
                "The blocking hooks of {event} may take {worst} s together, but an operation waits {limit} s: the "
                "last ones may not be called.",
                event=event,
                worst=Seconds(seconds),
                limit=Seconds(ROW_LIMIT),
            )
            yield Finding("row_too_long", text)


def egress(engine: HookEngine) -> Iterator[Finding]:
    """Hooks whose URL names an address that is never called, or that the settings refuse. Names are not looked up."""
    refused = engine.health.unreachable()
    for hook in engine.hooks.list():
        if hook.id in refused:
            text = Text("{hook} can't be reached: {reason}", hook=named(hook), reason=refused[hook.id])
            yield Finding("egress", text, hook)


def contradicts(hook: Hook) -> bool:
    """Whether flags are on that «Блок без ответа» keeps from having an effect (docs/concepts.md)."""
    return hook.fire_and_forget and (hook.wait_for_response or hook.response_has_data)


def keys(engine: HookEngine) -> Iterator[Finding]:
    """Secrets that don't open here."""
    try:
        engine.keys.check()
    except KeyProblem as problem:
        yield Finding("key", Text("A secret can't be decrypted: {reason}", reason=problem))


def stat_of(file: Path) -> os.stat_result | None:
    """None where there is no such file: beside a database they come and go with whoever has it open."""
    try:
        return file.stat()
    except FileNotFoundError:
        return None


def wal_bytes(path: Path) -> int:
    """The size of a database's write-ahead log."""
    found = stat_of(path.with_name(path.name + "-wal"))
    return 0 if found is None else found.st_size


def files(engine: HookEngine) -> Iterator[Finding]:
    """A place that is not safe; files that others than their owner may read or write."""
    path = engine.path
    if path is None:
        return
    if (unsafe := engine.health.place()) is not None:
        yield Finding("file_system", unsafe)
    from hookrow import KeyRing

    for file in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm")), KeyRing.file_beside(path)):
        found = stat_of(file)
        if found is not None and stat.S_IMODE(found.st_mode) & 0o077:
            yield Finding("file_mode", Text("Other users can read {path}: chmod 600 {path}", path=file))


def room(engine: HookEngine) -> Iterator[Finding]:
    """Rows that retention may not touch beyond its limit; a WAL that a long reader keeps from being emptied."""
    kept, limit = engine.log.kept_bytes(), int(engine.settings.get("retention_bytes"))
    if kept > limit:
        many = Text(
            "Pending and dead deliveries take {kept} MiB, more than retention_bytes ({limit} MiB). They are "
            "never deleted automatically: use hookrow redeliver or hookrow drop.",
            kept=kept // MIB,
            limit=limit // MIB,
        )
        yield Finding("kept", many)
    if engine.path is not None and (size := wal_bytes(engine.path)) > LARGE_WAL:
        long = Text(
            "{path} has grown to {size} MiB: a program has been reading the database for a long time; the file "
            "shrinks when that program ends.",
            path=f"{engine.path}-wal",
            size=size // MIB,
        )
        yield Finding("wal", long)
    if engine.path is not None and (free := shutil.disk_usage(engine.path.parent).free) < LEAST_FREE:
        yield Finding(
            "disk", Text("Only {free} MiB are free on the disk that holds {path}", free=free // MIB, path=engine.path)
        )
