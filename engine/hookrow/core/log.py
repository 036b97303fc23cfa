"""`engine.log` and `engine.settings`: what happened, the banner's figures, and what every process obeys."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from hookrow.clock import WEEK_MS
from hookrow.core.insight import har
from hookrow.core.insight.overview import Overview, overview
from hookrow.core.insight.statistics import (
    CandidateFigures,
    HookStatistics,
    ShadowFigures,
    candidate_figures,
    shadow_figures,
    statistics,
)
from hookrow.core.threads.bridge import Awaited, awaited
from hookrow.errors import DeliveryNotFound, FiringNotFound, HookNotFound
from hookrow.ids import delivery_place, firing_uid
from hookrow.lang import Text
from hookrow.payload import JsonObject
from hookrow.records import Attempt, Deed, Delivery, Firing, LogFilter
from hookrow.store import outbox
from hookrow.store.configuration.revisions import Changing
from hookrow.store.log import deeds, figures, following, glance
from hookrow.store.log import finding as log_ids
from hookrow.store.log import reading as logstore
from hookrow.store.log.figures import HookFigures
from hookrow.store.log.finding import Found
from hookrow.store.log.following import AttemptSeen
from hookrow.store.log.glance import Summary
from hookrow.store.log.purge import Purged, kept_bytes, purge

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hookrow.core.runtime import Runtime
    from hookrow.hook.stored import StoredHook

__all__ = ["AsyncLog", "Log"]


class Log:
    """The record of one database, newest first."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def page(
        self,
        wanted: LogFilter = LogFilter(),  # noqa: B008 (frozen)
        *,
        before: int | None = None,
        after: int | None = None,
        limit: int = 50,
    ) -> list[Firing]:
        """A page of firings with their deliveries. `before` and `after` are a firing's `row_id` (keyset pages)."""
        config = self.runtime.config()
        with self.runtime.database.read() as connection:
            return logstore.page(connection, config, wanted, before=before, after=after, limit=limit)

    def ids(
        self,
        wanted: LogFilter = LogFilter(),  # noqa: B008 (frozen)
        *,
        before: int | None = None,
        after: int | None = None,
        limit: int = 10_000,
    ) -> array[int]:
        """Row ids of firings, newest first: what a view over millions of rows holds."""
        with self.runtime.database.read() as connection:
            return array("q", log_ids.ids(connection, wanted, before=before, after=after, limit=limit))

    def search(self, wanted: LogFilter, *, before: int | None = None, limit: int = 1000) -> Found:
        """The next slice of a text search, newest first: a piece of the log that takes tens of milliseconds, whether
        it holds the text or not. `before` of what it gives is where to go on, None at the log's end."""
        with self.runtime.database.read() as connection:
            return log_ids.search(connection, wanted, before=before, limit=limit)

    def by_rows(self, row_ids: Sequence[int]) -> list[Firing]:
        """The firings of these row ids; those that were purged are left out."""
        config = self.runtime.config()
        with self.runtime.database.read() as connection:
            return logstore.by_ids(connection, config, row_ids)

    def get(self, ref: str) -> Firing:
        """The firing of an `evt_…`, or of a delivery's `msg_…`. Raises FiringNotFound."""
        uid = firing_uid(ref)
        config = self.runtime.config()
        with self.runtime.database.read() as connection:
            found = None if uid is None else logstore.firing_by_uid(connection, config, uid)
        if found is None:
            raise FiringNotFound(Text("No firing or delivery with the ID {ref}", ref=ref))
        return found

    def delivery(self, ref: str) -> Delivery:
        """The delivery of a `msg_…`. Raises DeliveryNotFound."""
        place = delivery_place(ref)
        if place is not None:
            config = self.runtime.config()
            with self.runtime.database.read() as connection:
                firing = logstore.firing_by_uid(connection, config, place[0])
            for delivery in firing.deliveries if firing is not None else ():
                if delivery.seq == place[1]:
                    return delivery
        raise DeliveryNotFound(Text("No firing or delivery with the ID {ref}", ref=ref))

    def deep_hooks(self) -> set[int]:
        """The ids of hooks that seem to go round in a circle: a firing of theirs in the last seven days came through
        three hooks or more."""
        since_ms = self.runtime.database.clock.now_ms() - WEEK_MS
        with self.runtime.database.read() as connection:
            return logstore.deep_hooks(connection, since_ms)

    def attempts(self, ref: str) -> list[Attempt]:
        """Every attempt of a delivery, the first one first. Raises DeliveryNotFound."""
        row = self.delivery(ref).row_id
        with self.runtime.database.read() as connection:
            return logstore.attempts(connection, row)

    def newest_attempt(self) -> int:
        """The row id of the newest attempt, from which `attempts_since` follows; 0 where there is none."""
        with self.runtime.database.read() as connection:
            return following.newest_attempt(connection)

    def attempts_since(
        self,
        wanted: LogFilter = LogFilter(),  # noqa: B008 (frozen)
        *,
        after: int,
        limit: int = 1000,
    ) -> list[AttemptSeen]:
        """Which attempts were recorded after that row id, the oldest first, and whether the filter means them. Those
        that made no request, or one to another address, are left out."""
        with self.runtime.database.read() as connection:
            return following.attempts_since(connection, wanted, after=after, limit=limit)

    def changed(self, wanted: LogFilter, *, after: int, before: int) -> list[int]:
        """Row ids of firings below `before` of which an attempt was recorded after the row id `after`, and that match.

        For who follows a filter by outcome, code or `would`: what was fired long ago may begin to match. Newest first.
        """
        with self.runtime.database.read() as connection:
            return following.changed(connection, wanted, after=after, before=before)

    def har(self, refs: Iterable[str]) -> JsonObject:
        """The requests of firings (`evt_…`) and deliveries (`msg_…`) as HAR, which a browser's developer tools open.

        Secrets are masked and private values null, as in the log. Raises FiringNotFound.
        """
        found: list[JsonObject] = []
        for ref in refs:
            firing = self.get(ref)
            with self.runtime.database.read() as connection:
                for each in firing.deliveries:
                    if ref in (firing.id, each.id):
                        found += har.entries(firing, each, logstore.attempts(connection, each.row_id))
        return har.document(found)

    def drop(self, refs: Sequence[str]) -> int:
        """Give up dead deliveries for good, by hand; gives how many. Raises DeliveryNotFound."""
        rows = {self.delivery(ref).row_id: ref for ref in refs}
        now_ms, lease_now = self.runtime.database.clock.now_ms(), self.runtime.database.clock.lease_ms()
        author = self.runtime.author()

        def job(connection: Connection) -> int:
            dropped = outbox.drop(connection, rows, now_ms, lease_now)
            deeds.note(connection, author, "drop", [rows[row] for row in dropped])
            return len(dropped)

        return self.runtime.database.writer.write(Changing(author, job))

    def deeds(self, who: str | None = None, *, limit: int = 50) -> list[Deed]:
        """Who did what by hand, newest first: drops, redeliveries, replays, settings, keys, changes of hooks.

        Args:
            who: of this one alone, as `olga@192.0.2.7`.
        """
        with self.runtime.database.read() as connection:
            return deeds.read(connection, limit, who)

    def prune(
        self,
        *,
        days: float | None = None,
        most_bytes: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Purged:
        """Delete finished firings beyond the settings `retention_days` and `retention_bytes`, or these.

        Pending and dead deliveries stay, whatever their age. Raises StorageError.
        """
        kept, room = self.runtime.retention(self.runtime.config())
        return purge(
            self.runtime.database,
            days=kept if days is None else days,
            most_bytes=room if most_bytes is None else most_bytes,
            now_ms=self.runtime.database.clock.now_ms(),
            lease_now=self.runtime.database.clock.lease_ms(),
            progress=progress,
        )

    def kept_bytes(self) -> int:
        """About how many bytes the firings take that are never purged: pending and dead ones."""
        return kept_bytes(self.runtime.database)

    def data_version(self) -> int:
        """A number that moves when anybody has committed: the question of every follower. Microseconds on SQLite."""
        return self.runtime.database.data_version()

    def summary(self) -> Summary:
        """The figures of the banner."""
        hooks = [hook for hook in self.runtime.config_now().hooks.values() if not hook.deleted]
        with self.runtime.database.asking() as ask:
            return glance.summary(ask, hooks, self.runtime.database.clock.now_ms())

    def hook_figures(self) -> dict[int, HookFigures]:
        """What each hook that was called did in the last 24 hours, by its id; a fifth of what `statistics` costs."""
        hooks = [hook.id for hook in self.runtime.config().hooks.values() if not hook.deleted]
        with self.runtime.database.asking() as ask:
            return figures.last_day(ask, hooks, self.runtime.database.clock.now_ms())

    def statistics(self) -> dict[int, HookStatistics]:
        """Calls, errors and times of each hook, last day and last week, by its id; see `core.statistics`."""
        return statistics(self.runtime)

    def shadow(self, hook: int) -> ShadowFigures | None:
        """What a hook was asked in shadow in the last 7 days, and the newest firings that it would have refused.

        None where it was asked nothing.

        Args:
            hook: its id.

        Raises:
            HookNotFound: there is no such hook.
        """
        return shadow_figures(self.runtime, hook_of(self.runtime, hook))

    def candidate(self, hook: int) -> CandidateFigures | None:
        """How a hook's candidate compares with it (docs/trusting.md), and the newest firings in which they differ.

        None where it has none, or nothing was compared yet.

        Args:
            hook: its id.

        Raises:
            HookNotFound: there is no such hook.
        """
        return candidate_figures(self.runtime, hook_of(self.runtime, hook))

    def overview(self) -> Overview:
        """All hooks together over the last hour, day and week, in steps; see `core.insight.overview`."""
        return overview(self.runtime)


def hook_of(runtime: Runtime, number: int) -> StoredHook:
    """The hook of this id, deleted or not. Raises HookNotFound."""
    found = runtime.config().hooks.get(number)
    if found is None:
        raise HookNotFound(Text("there is no hook {ref}", ref=number))
    return found


class AsyncLog(Awaited[Log]):
    """`Log`, awaited."""

    page: Final = awaited(Log.page)
    ids: Final = awaited(Log.ids)
    search: Final = awaited(Log.search)
    by_rows: Final = awaited(Log.by_rows)
    get: Final = awaited(Log.get)
    delivery: Final = awaited(Log.delivery)
    attempts: Final = awaited(Log.attempts)
    newest_attempt: Final = awaited(Log.newest_attempt)
    attempts_since: Final = awaited(Log.attempts_since)
    changed: Final = awaited(Log.changed)
    har: Final = awaited(Log.har)
    drop: Final = awaited(Log.drop)
    deeds: Final = awaited(Log.deeds)
    prune: Final = awaited(Log.prune)
    kept_bytes: Final = awaited(Log.kept_bytes)
    summary: Final = awaited(Log.summary)
    hook_figures: Final = awaited(Log.hook_figures)
    statistics: Final = awaited(Log.statistics)
    shadow: Final = awaited(Log.shadow)
    candidate: Final = awaited(Log.candidate)
    overview: Final = awaited(Log.overview)

    def data_version(self) -> int:
        return self.inner.data_version()
