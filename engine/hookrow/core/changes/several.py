"""Several hooks changed at once, and a person's last change taken back: what `engine.hooks` offers for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Connection

from hookrow.core.firing import write_event
from hookrow.errors import HookNotFound, KeyMissing
from hookrow.hook.modes import pause_reason
from hookrow.hook.stored import StoredHook
from hookrow.lang import Text, quoted
from hookrow.payload import storable
from hookrow.reasons.reason import keep
from hookrow.records import OwnChange
from hookrow.store import several, undoing
from hookrow.store.configuration.revisions import Changing
from hookrow.store.database.locks import as_one_change

if TYPE_CHECKING:
    from hookrow.core.runtime import Runtime

__all__ = ["SeveralHooks"]


class SeveralHooks:
    """The part of `engine.hooks` that changes several hooks at once, or takes changes back."""

    runtime: Runtime

    @as_one_change
    def change_several(
        self,
        revisions: Mapping[int, int],
        what: Literal["enable", "disable", "pause", "resume", "remove"],
        *,
        reason: str = "",
    ) -> list[int]:
        """The same change to several hooks, in one transaction: all of them or none. Gives the ids of those changed.

        Args:
            revisions: by the hook's id, the revision that was looked at.
            reason: why they are paused.

        Raises:
            HookNotFound, ChangedMeanwhile: one of them was deleted or changed by somebody.
            KeyMissing: the secrets of one that is to be resumed can't be opened.
        """
        if what == "resume":
            config = self.runtime.config_now()
            for each in filter(None, map(config.hooks.get, revisions)):
                refuse_shut(each)
        author, said, runtime = self.runtime.author(), storable(reason), self.runtime
        told = {"pause": "hook.paused", "resume": "hook.resumed"}.get(what)

        for number in revisions:
            ref_of(runtime, number)

        def job(connection: Connection) -> list[int]:
            changed = several.change_several(connection, revisions, what, keep(said) or "", author)
            for number in changed if told else ():
                more = {"reason": said} if what == "pause" else {}
                write_event(runtime, connection, str(told), {"hook": ref_of(runtime, number), **more, "by": "person"})
            return changed

        changed: list[int] = runtime.database.writer.write(Changing(author, job))
        runtime.cache.forget()
        return changed

    @as_one_change
    def move_several(self, numbers: Sequence[int], by: int) -> None:
        """Move hooks one place later (1) or earlier (-1) in their events, together, in one transaction."""
        author = self.runtime.author()
        self.runtime.database.writer.write(
            Changing(author, lambda connection: several.move_several(connection, numbers, by, author))
        )
        self.runtime.cache.forget()

    def last_change(self) -> OwnChange | None:
        """What this person did last to a hook, or to several in one transaction; None where nothing is recorded."""
        with self.runtime.database.read() as connection:
            return undoing.last_change(connection, self.runtime.author().who)

    @as_one_change
    def undo(self, change: OwnChange, *, keep_secrets: bool = False) -> None:
        """Take a change back, in one transaction, as new revisions of the action `undo`. Secrets do not come back.

        Args:
            change: as `last_change` gave it.
            keep_secrets: a hook's secrets may go along to the URL that it had before.

        Raises:
            ChangedMeanwhile: a hook of it was changed since; nothing is taken back.
            InvalidHook: secrets would go to another origin.
            Refused: there is nothing that comes back.
            HookNotFound, KeyTaken
        """
        author, runtime = self.runtime.author(), self.runtime

        def job(connection: Connection) -> None:
            told = undoing.take_back(connection, change, author, keep_secrets=keep_secrets)
            for number, code in told:
                more = {"reason": ""} if code == "hook.paused" else {}
                write_event(runtime, connection, code, {"hook": ref_of(runtime, number), **more, "by": "person"})

        runtime.database.writer.write(Changing(author, job))
        runtime.cache.forget()


def refuse_shut(hook: StoredHook) -> None:
    """Before a hook is resumed by hand. Raises KeyMissing where its pause ends by itself, once its key is there."""
    if hook.paused_by == "key":
        reason = pause_reason("key", hook.paused_reason)
        raise KeyMissing(Text("{hook} is paused: {reason}", hook=quoted(hook.name), reason=reason))


def ref_of(runtime: Runtime, number: int) -> dict[str, object]:
    """A hook as `--json` names it. Raises HookNotFound."""
    found = runtime.config_now().hooks.get(number)
    if found is None:
        raise HookNotFound(Text("there is no hook {ref}", ref=number))
    return found.ref.as_json()
