"""The project's engine, one a process, by the setting `HOOKROW`; and firings that share Django's transactions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, transaction

from hookrow.contrib.settings import checked, engine_for
from hookrow.errors import InvalidInput
from hookrow.lang import Text
from hookrow.system.locks import lock_for

if TYPE_CHECKING:
    from hookrow.core.blocking import HookEngine
    from hookrow.payload import Payload
    from hookrow.records import Firing

__all__ = ["close", "configured", "engine", "fire", "place", "using"]

DJANGOS_OWN = ("assume_role", "isolation_level", "pool", "server_side_binding")
"""In a database's `OPTIONS`: what Django itself takes; the rest goes to the server's driver, as ours takes it."""


class Located(NamedTuple):
    """Where the engine's tables are: the URL or file, and Django's name of that database where they share one."""

    url: str
    alias: str | None


class Made:
    """This process's engine, and where it is. A fork takes it along: it begins anew there by itself."""

    def __init__(self) -> None:
        self.lock: RLock = lock_for(self)
        self.place: Located | None = None
        self.engine: HookEngine | None = None

    def close(self) -> None:
        """Close it, where there is one."""
        if self.engine is not None:
            self.engine.close()
        self.engine = self.place = None


made: Final = Made()
lent: Final[list[HookEngine]] = []
"""Engines that tests put in its place."""


def configured() -> Mapping[str, Any]:
    """The setting `HOOKROW`.

    Raises:
        ImproperlyConfigured: in words, without values.
    """
    try:
        found = checked(getattr(settings, "HOOKROW", {}), ["DATABASE"])
    except InvalidInput as error:
        raise ImproperlyConfigured(str(error)) from None
    if "URL" in found and "DATABASE" in found:
        raise ImproperlyConfigured(str(Text("HOOKROW: give URL or DATABASE, not both")))
    return found


def place() -> Located:
    """Where the engine's tables are, now: Django's tests put other databases in the place of the project's.

    Raises:
        ImproperlyConfigured
    """
    found = configured()
    if "URL" in found:
        return Located(str(found["URL"]), None)
    alias = found.get("DATABASE", "default")
    if alias not in connections.settings:
        raise ImproperlyConfigured(str(Text("HOOKROW: DATABASES has no {alias}", alias=alias)))
    return Located(url_of(alias), alias)


def url_of(alias: str) -> str:
    """The URL of one of Django's databases. Raises ImproperlyConfigured: Hookrow can't work on it."""
    known = connections[alias].settings_dict
    vendor, name = connections[alias].vendor, str(known["NAME"] or "")
    if vendor == "sqlite":
        if name in ("", ":memory:") or "mode=memory" in name:
            raise ImproperlyConfigured(
                str(
                    Text(
                        "the database {alias} is in memory, where Hookrow can't reach it; give it a file, for tests: "
                        "{example}",
                        alias=alias,
                        example='"TEST": {"NAME": BASE_DIR / "test.sqlite3"}',
                    )
                )
            )
        return name
    if vendor != "postgresql":
        raise ImproperlyConfigured(
            str(Text("Hookrow works on SQLite or PostgreSQL, not on {kind}: give HOOKROW a URL", kind=vendor))
        )
    from sqlalchemy import URL

    options = {key: str(value) for key, value in known["OPTIONS"].items() if isinstance(value, str | int)}
    host: str | None = known["HOST"] or None
    if host is not None and host.startswith("/"):  # a socket's folder, which has no place in a URL's own
        options["host"] = host
        host = None
    query = {key: value for key, value in options.items() if key not in DJANGOS_OWN}
    if known.get("DISABLE_SERVER_SIDE_CURSORS"):  # as Django wants it behind a pooler in transaction mode
        query["hookrow_pooler"] = "transaction"
    address = URL.create(
        "postgresql",
        username=known["USER"] or None,
        password=known["PASSWORD"] or None,
        host=host,
        port=int(known["PORT"]) if known["PORT"] else None,
        database=name or None,
        query=query,
    )
    return address.render_as_string(hide_password=False)


def engine() -> HookEngine:
    """This process's engine, made at the first call; its worker starts with the first firing.

    Raises:
        ImproperlyConfigured: the setting `HOOKROW` is wrong; else as `HookEngine`.
    """
    return lent[-1] if lent else own()


def own() -> HookEngine:
    """The engine by the settings as they are now. Raises as `engine`."""
    wanted = place()
    with made.lock:
        if made.engine is None or made.place != wanted:
            made.close()
            try:
                made.engine = engine_for(configured(), wanted.url)
            except InvalidInput as error:
                raise ImproperlyConfigured(str(error)) from None
            made.place = wanted
        return made.engine


def close() -> None:
    """Close this process's engine; the next call makes another. A process that ends does so by itself.

    For tests that let the project's engine work on Django's test database, which can't be dropped before.
    """
    with made.lock:
        made.close()


@contextmanager
def using(engine: HookEngine) -> Iterator[HookEngine]:
    """For tests: inside the block this engine stands in the place of the project's, in every thread.

    It fires at once: Django's transactions are not its own.
    """
    lent.append(engine)
    try:
        yield engine
    finally:
        lent.remove(engine)


def fire(event: str, payload: Payload) -> Firing:
    """Fire an event by the project's engine, as a part of Django's transaction where one is open.

    Inside `transaction.atomic()` of the database that the engine shares, an `after` or `on` event is written through
    Django's connection: its deliveries leave with the commit, and a rollback takes them back. A `before` event asks its
    blocking hooks at once, and its background deliveries leave with the commit. Anywhere else it is `HookEngine.fire`.

    Raises:
        As `engine` and `HookEngine.fire`.
    """
    found = engine()
    alias = None if lent or made.place is None else made.place.alias
    if alias is None or not connections[alias].in_atomic_block:
        return found.fire(event, payload)
    connection = connections[alias]
    if found.events.get(event).moment == "before":
        firing = found.fire(event, payload, defer=True)
        firing.enqueue(connection)
    else:
        firing = found.fire(event, payload, connection=connection)
    transaction.on_commit(found.sending.nudge, using=alias)
    return firing
