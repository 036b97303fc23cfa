"""Candidates (docs/trusting.md): what `engine.hooks` offers to try changed fields beside a hook's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hookrow.core.changes.handing import COLUMNS, hook_of
from hookrow.errors import ChangedMeanwhile, InvalidHook, Problem, Refused
from hookrow.hook import fields
from hookrow.hook.candidate import TRIED, HookCandidate
from hookrow.hook.fields import KNOWN, SECRETS, WAITING
from hookrow.lang import Text, quoted

if TYPE_CHECKING:
    from hookrow.core.runtime import Runtime
    from hookrow.hook.model import Hook
    from hookrow.hook.stored import StoredHook
    from hookrow.store.configuration.cache import Config

__all__ = ["CandidateHooks"]

TRIES = 5
"""How often a change meets another one in the same moment before it gives up."""
Columns = dict[str, Any]


class CandidateHooks:
    """The part of `engine.hooks` that tries a change in shadow, and then makes it or drops it."""

    runtime: Runtime

    if TYPE_CHECKING:

        def find(self, ref: int | str, config: Config | None = None) -> StoredHook: ...
        def fresh(self, number: int) -> Hook: ...
        def write(self, number: int, values: Mapping[str, Any], **how: Any) -> bool: ...
        def check_templates(
            self, config: Config, event: str, values: Mapping[str, Any], only: Mapping[str, Any] | None = None
        ) -> list[Text]: ...
        def checked(
            self, found: StoredHook, changes: Mapping[str, Any], *, stored: bool, keep_secrets: bool
        ) -> tuple[dict[str, Any], tuple[str, ...], list[Text]]: ...

    def try_candidate(
        self,
        ref: int | str,
        /,
        changes: Mapping[str, object] | None = None,
        *,
        revision: int | None = None,
        keep_secrets: bool = False,
        **more: object,
    ) -> Hook:
        """Keep changed fields as the hook's candidate: it is asked in shadow beside the hook, which alone decides.

        The hook must be blocking, of a `before_…` event, and not in shadow. What is not named is as the hook has it.
        A candidate that was there before is replaced. `hook.candidate` has it, `log.candidate` how it compares.

        Args:
            revision: the revision that was looked at; another one in the database is a conflict.
            keep_secrets: as of `update`.

        Raises:
            InvalidHook: a field at fault, or one that can't be tried; nothing differs; the hook can have no candidate.
            HookNotFound, Ambiguous, ChangedMeanwhile, InvalidTemplate
        """
        changes = {**(changes or {}), **more}
        fields.hide_given(changes)
        more.clear()
        if untried := [name for name in changes if name in KNOWN and name not in TRIED]:
            raise InvalidHook([Problem(name, NOT_TRIED) for name in untried])
        notes: list[Text] = []

        def columns(found: StoredHook) -> tuple[Columns, tuple[str, ...]]:
            nonlocal notes
            self.check_can_try(found)
            values, resealed, notes = self.checked(found, changes, stored=False, keep_secrets=keep_secrets)
            its = {
                name: value
                for name, value in values.items()
                if name in TRIED and (name in resealed or value != getattr(found, name))
            }
            if not its:
                raise InvalidHook([Problem("candidate", Text("Nothing differs from the hook as it is."))])
            author = self.runtime.author()
            return {"candidate": HookCandidate(its, found.revision + 1, author.at_ms, author.who).kept}, ()

        hook = self.changed(ref, columns, "try", revision)
        hook._notes = notes
        return hook

    def promote(self, ref: int | str, *, revision: int | None = None) -> Hook:
        """Let what was tried decide: a candidate's fields become the hook's, a hook in shadow leaves it.

        Args:
            revision: the revision that was looked at; another one in the database is a conflict.

        Raises:
            Refused: the hook has no candidate and is not in shadow.
            InvalidHook, InvalidTemplate: the candidate does not fit the hook as it has become.
            HookNotFound, Ambiguous, ChangedMeanwhile
        """

        def columns(found: StoredHook) -> tuple[Columns, tuple[str, ...]]:
            if found.shadow:
                return {"shadow": False}, ()
            if found.tried is None:
                raise Refused(Text("{hook} has no candidate and is not in shadow", hook=quoted(found.name)))
            self.check_fits(found, found.tried)
            values = {**found.tried.fields, "candidate": None}
            if "signing_secret" in values:  # the one before it, of a rotation, signs no more
                values |= {"signing_secret_old": None, "signing_old_until_ms": None}
            return values, tuple(found.tried.encrypted)

        return self.changed(ref, columns, "promote", revision)

    def drop_candidate(self, ref: int | str, *, revision: int | None = None) -> Hook:
        """Ask the hook's candidate no more, and forget it. A hook without one stays as it is.

        Args:
            revision: the revision that was looked at; another one in the database is a conflict.

        Raises:
            HookNotFound, Ambiguous, ChangedMeanwhile
        """
        return self.changed(ref, lambda found: ({"candidate": None}, ()), "drop_candidate", revision)

    def changed(
        self,
        ref: int | str,
        columns: Callable[[StoredHook], tuple[Columns, tuple[str, ...]]],
        action: str,
        revision: int | None,
    ) -> Hook:
        """The hook after a change of these columns, and of these secrets, that were judged on the hook as it stands.

        Raises:
            ChangedMeanwhile: without a `revision`, that others changed it each time.
        """
        found = self.find(ref)
        for left in reversed(range(TRIES)):
            values, resealed = columns(found)
            upon = found.revision if revision is None else revision
            try:
                self.write(found.id, values, action=action, revision=upon, resealed=resealed)
                break
            except ChangedMeanwhile as conflict:
                if revision is not None or not left:
                    raise ChangedMeanwhile(conflict.text, current=self.fresh(found.id)) from None
                self.runtime.cache.forget()
                found = self.find(found.id)
        return self.fresh(found.id)

    def check_can_try(self, found: StoredHook) -> None:
        """See that a hook can have a candidate. Raises InvalidHook."""
        moment = self.runtime.event(self.runtime.config_now(), found.event).moment
        if found.mode not in WAITING or moment != "before":
            raise InvalidHook([Problem("candidate", NO_CANDIDATE)])
        if found.shadow:
            raise InvalidHook([Problem("candidate", IN_SHADOW)])

    def check_fits(self, found: StoredHook, tried: HookCandidate) -> None:
        """See that a candidate's fields fit the hook as it stands. Raises InvalidHook, InvalidTemplate."""
        now = hook_of(found, self.runtime.clock.now_ms())
        current = {code: getattr(now, code) for code in (*COLUMNS, *SECRETS)}
        cleaned = fields.clean_change(current, tried.hidden.fields)
        if cleaned.problems:
            raise InvalidHook(cleaned.problems)
        self.check_templates(self.runtime.config_now(), found.event, {**current, **tried.fields}, only=tried.fields)


NOT_TRIED = Text("It can't be tried: change it in the hook itself.")
NO_CANDIDATE = Text("Only blocking hooks of before_… events can have a candidate: others decide nothing.")
IN_SHADOW = Text("The hook is in shadow and decides nothing: change it directly.")
