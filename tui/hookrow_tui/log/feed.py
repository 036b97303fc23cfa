"""Fills the list of the log: the newest rows at once, older ids in the background, later what others commit.

Every question runs in a worker; an answer counts only while the filter is still the one that it was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from hookrow.errors import HookrowError
from hookrow.records import LogFilter
from hookrow_tui.log.reader import Fresh, LogPart, Reader, read_part
from hookrow_tui.presenters.glyphs import Glyphs
from hookrow_tui.presenters.log.list import Ids, LogList
from hookrow_tui.presenters.log.rows import LogRow

if TYPE_CHECKING:
    from hookrow import HookEngine
    from hookrow_tui.widgets.page import Page

__all__ = ["Feed"]

FIRST = 200
"""Ids that are read before the first frame."""
CHUNK = 50_000
"""Ids that are read at once in the background."""
T = TypeVar("T")


class Feed:
    """Keeps `rows` up to date.

    Args:
        page: on whose behalf the engine is asked; it is told of faults.
        drawn: called whenever `rows` changed.
    """

    def __init__(self, page: Page[None], rows: LogList, glyphs: Glyphs, drawn: Callable[[], None]) -> None:
        self.page = page
        self.rows = rows
        self.glyphs = glyphs
        self.drawn = drawn
        self.filter = LogFilter()
        self.reader: Reader | None = None
        self.begun = False
        """Whether the newest rows are known."""
        self.complete = False
        """Whether the oldest id is known."""
        self.share: float | None = None
        """How much of the log a text search went through; None without one."""
        self.next: int | None = None
        """The older ids go on below this one."""
        self.marked = False
        """Whether only chosen firings are shown: nothing comes and nothing is read on."""
        self.whole: tuple[Ids, bool, int | None, float | None] | None = None
        """What was known of the log before only chosen firings were shown."""
        self.epoch = 0
        self.busy: set[str] = set()
        self.look_again = False
        self.top = self.tried = 0

    def ask(
        self,
        call: Callable[[HookEngine], T],
        then: Callable[[T], None],
        kind: str = "",
        refused: Callable[[HookrowError], None] | None = None,
        *,
        background: bool = True,
    ) -> bool:
        """Ask in a worker, one question of a kind at a time; False if one is under way. See `HookrowApp.ask`."""
        if kind in self.busy:
            return False
        epoch = self.epoch
        if kind:
            self.busy.add(kind)

        def answered(value: Any) -> None:
            if epoch == self.epoch:
                self.busy.discard(kind)
                then(value)

        def failed(error: HookrowError) -> None:
            if epoch == self.epoch:
                self.busy.discard(kind)
                if refused is None:
                    self.page.notice(str(error))
                else:
                    refused(error)

        self.page.hookrow.ask(self.page, call, answered, failed, background=background)
        return True

    def forget(self) -> None:
        self.epoch += 1
        self.busy.clear()
        self.whole = None
        self.rows.clear()

    def begin(self, wanted: LogFilter, height: int) -> None:
        """Read the log from the newest row on; `height` rows are wanted first."""
        self.forget()
        self.filter, self.begun, self.complete, self.marked = wanted, False, False, False
        self.share = self.next = None
        glyphs = self.glyphs

        def first(engine: HookEngine) -> tuple[Reader, Fresh, LogPart]:
            reader = Reader(glyphs, engine.settings.zone())
            newest, tried = engine.log.ids(LogFilter(), limit=1), engine.log.newest_attempt()
            part = read_part(engine, wanted, None, FIRST)
            blocks = reader.read(engine, part.ids[:height])
            return reader, Fresh(part.ids, blocks, newest[0] if newest else 0, tried), part

        self.ask(first, self.take_first, "first", background=False)

    def take_first(self, read: tuple[Reader, Fresh, LogPart]) -> None:
        self.reader, fresh, part = read
        self.top, self.tried, self.begun = fresh.top, fresh.tried, True
        self.rows.older(fresh.ids)
        self.rows.learn(fresh.blocks)
        self.rows.home()
        self.reached(part)
        epoch = self.epoch

        def read_on() -> None:
            if epoch == self.epoch and not self.complete:
                self.read_older()

        self.page.call_after_refresh(read_on)  # the first rows are not to wait for millions of ids

    def reached(self, part: LogPart) -> None:
        """This part of the log is known."""
        self.next, self.share, self.complete = part.before, part.share, part.before is None
        self.drawn()

    def go_on(self, part: LogPart) -> None:
        """Below this part of the log, until there is no more."""
        self.reached(part)
        if not self.complete:
            self.read_older()

    def read_older(self) -> None:
        """Read the next older ids; a text search goes on slice by slice, so that something is seen soon."""
        wanted, before = self.filter, self.next

        def take(part: LogPart) -> None:
            self.rows.older(part.ids)
            self.go_on(part)

        self.ask(lambda engine: read_part(engine, wanted, before, CHUNK), take, "older")

    def look(self, height: int) -> None:
        """Something was committed, or a while has passed: read what came, and again what is in sight. What could not
        be read before is tried again."""
        reader, wanted, top, tried = self.reader, self.filter, self.top, self.tried
        if self.marked:
            return
        if reader is None or not self.begun:
            if "first" not in self.busy:
                self.begin(wanted, height)
            return
        again = self.rows.wanted(height, again=True)
        show = height if self.rows.following else 0
        asked = self.ask(
            lambda engine: reader.newest(engine, wanted, top, tried, again, show),
            partial(self.take, height, again),
            "look",
        )
        self.look_again = not asked

    def take(self, height: int, again: list[int], fresh: Fresh) -> None:
        self.top, self.tried = max(self.top, fresh.top), max(self.tried, fresh.tried)
        self.learn(fresh.blocks, again)
        self.rows.newest(each for each in fresh.ids if each >= (self.next or 0))  # what is below is read from there on
        self.drawn()
        if not self.complete and "older" not in self.busy:
            self.read_older()
        if self.look_again:  # it was asked while this was being read: the last commit must not be missed
            self.look(height)

    def want(self, ids: list[int]) -> None:
        """Read these firings."""
        reader = self.reader

        def take(blocks: list[tuple[LogRow, ...]]) -> None:
            self.learn(blocks, ids)
            self.drawn()

        if reader is not None:
            self.ask(lambda engine: reader.read(engine, ids), take, "rows", background=False)

    def learn(self, blocks: Iterable[tuple[LogRow, ...]], asked: Iterable[int]) -> None:
        """Lines that were read now; the firings that were asked for and not found were purged meanwhile."""
        self.rows.learn(blocks)
        self.rows.gone(set(asked) - {block[0].firing for block in blocks})

    def only(self, ids: Iterable[int]) -> None:
        """Show only these firings, until `all_again` or `begin`."""
        whole = self.rows.ids, self.complete, self.next, self.share
        self.forget()
        self.whole = whole
        self.marked = self.complete = True
        self.rows.following = False
        self.rows.older(sorted(ids, reverse=True))
        self.rows.home()
        self.drawn()

    def all_again(self, height: int) -> None:
        """Show all that the filter finds again; the cursor stays on its firing."""
        at = self.rows.cursor
        if self.whole is None:
            self.begin(self.filter, height)
            return
        self.epoch += 1
        self.busy.clear()
        self.rows.ids, self.complete, self.next, self.share = self.whole
        self.whole, self.marked = None, False
        self.rows.top = self.rows.cursor = at
        self.rows.settle()
        self.rows.reveal(height)
        self.drawn()
        self.look(height)
