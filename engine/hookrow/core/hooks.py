"""`engine.hooks`: the hooks as people and programs see them. Checks first, then one job for the writer."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from hookrow.clock import DAY_MS
from hookrow.core.changes.candidates import CandidateHooks
from hookrow.core.changes.handing import COLUMNS, hook_of, is_kept
from hookrow.core.changes.several import SeveralHooks, refuse_shut
from hookrow.core.changes.tried import TriedHooks
from hookrow.errors import Ambiguous, ChangedMeanwhile, HookNotFound, InvalidHook, KeyTaken, Problem
from hookrow.hook import fields
from hookrow.hook.fields import SECRETS
from hookrow.hook.stored import StoredHook
from hookrow.lang import Text
from hookrow.payload import storable
from hookrow.reasons.reason import keep
from hookrow.records import Revision, as_of
from hookrow.secrets.secret import Secret, new_signing_secret
from hookrow.secrets.vault import Place
from hookrow.store import hooks as hookstore
from hookrow.store.configuration.cache import Config
from hookrow.store.configuration.revisions import Changing
from hookrow.store.database.locks import CHANGE, RECORD, AtLeast, Until, as_one_change
from hookrow.store.moving import Goal, move

if TYPE_CHECKING:
    from hookrow.core.runtime import Runtime
    from hookrow.hook.model import Hook

from hookrow.core.firing import write_event

__all__ = ["Hooks"]

ROTATION_MS = DAY_MS
"""How long both signatures are sent after a rotation (docs/receivers.md)."""
TRIES = 5
"""How often a change meets another one in the same moment before it gives up."""


class Hooks(CandidateHooks, SeveralHooks, TriedHooks):
    """The hooks of one database. Every change is recorded with who made it, and seen by the next `fire()` anywhere."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    # -- reading ------------------------------------------------------------------------------------------------------

    def find(self, ref: int | str, config: Config | None = None) -> StoredHook:
        """The stored hook that an id, a key or an exact name means. Raises HookNotFound, Ambiguous."""
        config = config or self.runtime.config_now()
        alive = [hook for hook in config.hooks.values() if not hook.deleted]
        keyed = [hook for hook in alive if hook.key == ref]
        if isinstance(ref, int) or (ref.isascii() and ref.isdigit() and len(ref) < 20):
            numbered = config.hooks.get(int(ref))
            if numbered is not None and not numbered.deleted and numbered not in keyed:
                keyed.append(numbered)  # where another hook's key is the same digits, none of the two is guessed
        named = keyed or [hook for hook in alive if hook.name == ref]
        if len(named) == 1:
            return named[0]
        if not named:
            raise HookNotFound(Text('there is no hook "{ref}"', ref=ref))
        candidates = [f"{hook.id} ({hook.key}, {hook.event})" for hook in named]
        raise Ambiguous(
            Text('several hooks are named "{ref}": {list}; use an ID or a key', ref=ref, list=", ".join(candidates)),
            candidates,
        )

    def get(self, ref: int | str) -> Hook:
        """The hook of this id, key or exact name.

        Raises:
            HookNotFound, Ambiguous
        """
        return hook_of(self.find(ref), self.runtime.clock.now_ms())

    def list(self, event: str | None = None, *, deleted: bool = False) -> builtins.list[Hook]:
        """All hooks, by event in the catalogue's order and in the order in which they run.

        Raises:
            EventNotFound: no such event.
        """
        config = self.runtime.config_now()
        if event is not None:
            self.runtime.event(config, event)
        places = {code: place for place, code in enumerate(config.events)}
        now_ms = self.runtime.clock.now_ms()
        chosen = [
            hook
            for hook in config.hooks.values()
            if (event is None or hook.event == event) and (deleted or not hook.deleted)
        ]
        chosen.sort(key=lambda hook: (places.get(hook.event, len(places)), hook.event, hook.position, hook.id))
        return [hook_of(hook, now_ms) for hook in chosen]

    def history(self, ref: int | str) -> builtins.list[Revision]:
        """Every change of the hook, also of a deleted one, newest first, without secrets.

        Raises:
            HookNotFound, Ambiguous
        """
        config = self.runtime.config_now()
        try:
            number = self.find(ref, config).id
        except HookNotFound:
            number = self.removed(ref, config)
        with self.runtime.database.read() as connection:
            return hookstore.history(connection, number)

    # -- writing ------------------------------------------------------------------------------------------------------

    @as_one_change
    def add(self, hook: Hook) -> Hook:
        """Keep a new hook; gives it with its id, key and order.

        Raises:
            EventNotFound: the catalogue does not hold its event.
            KeyTaken: another hook has its key.
            InvalidTemplate: its body or condition can't be compiled or fails on the event's payload.
            InvalidHook: a secret that was read back from another hook: its value is not known here; or a field that was
                set after the hook was made, and can't be so.
        """
        config = self.runtime.config_now()
        given = {code: getattr(hook, code) for code in (*COLUMNS, *SECRETS)}
        fields.hide_given(given)
        cleaned = fields.clean(given, new=True, stored=True)  # attributes may have been set since it was checked
        if cleaned.problems:
            raise InvalidHook(cleaned.problems)
        given = cleaned.values
        notes = self.check_templates(config, given["event"], given)
        uid = hookstore.new_uid()
        values = {code: given[code] for code in COLUMNS} | {"uid": uid}
        for name in SECRETS:
            secret = given[name]
            if secret is not None and secret.is_set:
                values[name] = self.seal(uid, name, secret)
        author = self.runtime.author()
        number = self.runtime.database.writer.write(
            Changing(author, lambda connection: hookstore.create(connection, values, author))
        )
        kept = self.fresh(number)
        kept._notes = [*dict.fromkeys([*hook.notes, *cleaned.notes]), *notes]
        return kept

    def ensure(self, hook: Hook) -> Hook:
        """Add the hook unless one of its key exists: then that one is given, as the admins made it.

        Raises:
            InvalidHook: the hook has no key.
            EventNotFound, InvalidTemplate: as `add`.
        """
        if not hook.key:
            raise InvalidHook([Problem("key", Text("ensure() needs the hook's key"))])
        if found := self.of_key(hook.key):
            return found
        try:
            return self.add(hook)
        except KeyTaken:  # another process of the service was faster
            self.runtime.cache.forget()
            if found := self.of_key(hook.key):
                return found
            raise

    def of_key(self, key: str) -> Hook | None:
        """The hook of this key, as the database has it now."""
        found = [each for each in self.runtime.config_now().hooks.values() if each.key == key and not each.deleted]
        return hook_of(found[0], self.runtime.clock.now_ms()) if found else None

    def update(
        self,
        ref: int | str,
        /,
        changes: Mapping[str, object] | None = None,
        *,
        revision: int | None = None,
        stored: bool = False,
        keep_secrets: bool = False,
        drop_candidate: bool = False,
        **more: object,
    ) -> Hook:
        """Change some fields; the others, and secrets that are not named, stay as they are.

        Args:
            revision: the revision that was edited; another one in the database is a conflict.
            stored: flags that contradict each other are kept, as a form may hold them (docs/concepts.md).
            keep_secrets: a URL of another origin (scheme, host, port) is sent the hook's secrets as well. Without it
                such a change is refused unless it replaces or removes each of them.
            drop_candidate: the hook's candidate goes with this change (docs/trusting.md). Without it a change is
                refused that the candidate does not go with.

        Raises:
            HookNotFound, Ambiguous, ChangedMeanwhile, KeyTaken, InvalidHook, EventNotFound, InvalidTemplate
            CandidateInTheWay: the hook has a candidate that does not go with the change.
        """
        changes = {**(changes or {}), **more}
        fields.hide_given(changes)
        more.clear()
        how: dict[str, Any] = {"stored": stored, "keep_secrets": keep_secrets, "drop_candidate": drop_candidate}
        with Until(CHANGE):  # no decorator: its frame would hold what was given
            return self.edit(self.find(ref), changes, revision=revision, **how)

    def edit(
        self,
        found: StoredHook,
        changes: Mapping[str, Any],
        *,
        revision: int | None = None,
        stored: bool = False,
        keep_secrets: bool = False,
        drop_candidate: bool = False,
        action: str = "edit",
    ) -> Hook:
        """`update` of a hook that was looked up.

        Raises:
            InvalidHook, KeyTaken, CandidateInTheWay
            ChangedMeanwhile: without a `revision`, that others changed it each time this one was about to be written.
        """
        tries = TRIES
        while True:
            values, resealed, notes = self.checked(found, changes, stored=stored, keep_secrets=keep_secrets)
            upon = found.revision if revision is None else revision
            if drop_candidate:
                values["candidate"] = None
            try:
                self.write(found.id, values, action=action, revision=upon, resealed=resealed)
                break
            except ChangedMeanwhile as conflict:
                tries -= 1
                if revision is not None or not tries:
                    raise ChangedMeanwhile(conflict.text, current=self.fresh(found.id)) from None
                # What the fields allow together was judged on a hook that is no more: judge again.
                self.runtime.cache.forget()
                found = self.runtime.config_now().hooks[found.id]
        kept = self.fresh(found.id)
        kept._notes = notes
        return kept

    def checked(
        self, found: StoredHook, changes: Mapping[str, Any], *, stored: bool, keep_secrets: bool
    ) -> tuple[dict[str, Any], tuple[str, ...], builtins.list[Text]]:
        """A change of this hook as columns, the secrets that it replaces, and what was changed on the way in.

        Raises:
            InvalidHook, EventNotFound, InvalidTemplate
        """
        now = hook_of(found, self.runtime.clock.now_ms())
        current = {code: getattr(now, code) for code in (*COLUMNS, *SECRETS)}
        wanted = {name: value for name, value in changes.items() if not (name in SECRETS and is_kept(value))}
        cleaned = fields.clean_change(current, wanted, stored=stored)
        if not keep_secrets and (taken := fields.carried(current, cleaned.values)):
            cleaned.refuse("keep_secrets", fields.not_carried(taken))
        if cleaned.problems:
            raise InvalidHook(cleaned.problems)
        merged = {**current, **cleaned.values}
        notes = self.check_templates(self.runtime.config_now(), merged["event"], merged, only=cleaned.values)
        columns, resealed = self.sealed(found.uid, cleaned.values, found)
        return columns, resealed, [*cleaned.notes, *notes]

    def sealed(
        self, uid: str, values: Mapping[str, Any], found: StoredHook | None = None
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The values as columns, and which secrets were replaced. `found`: the hook as it was, where there is one."""
        columns, resealed = dict(values), []
        for name in SECRETS:
            if name in columns and columns[name] is not None:
                columns[name] = self.seal(uid, name, columns[name], None if found is None else getattr(found, name))
                resealed.append(name)
        if "signing_secret" in columns:  # the one before it, of a rotation, signs no more
            columns |= {"signing_secret_old": None, "signing_old_until_ms": None}
        return columns, tuple(resealed)

    def seal(self, uid: str, name: str, secret: Secret | str, current: str | None = None) -> str:
        """A hook's secret sealed. Raises InvalidHook: it is one that was read back, without its value."""
        if is_kept(secret):
            raise InvalidHook([Problem(name, Text("the secret of another hook is not readable: type it again"))])
        return self.runtime.seal(secret, Place("hook", uid, name), current)

    def write(self, number: int, values: Mapping[str, Any], **how: Any) -> bool:
        author = self.runtime.author()
        return self.runtime.database.writer.write(
            Changing(author, lambda connection: hookstore.change(connection, number, values, author, **how))
        )

    @as_one_change
    def move(
        self,
        ref: int | str,
        *,
        before: int | str | None = None,
        after: int | str | None = None,
        by: int | None = None,
    ) -> builtins.list[Hook]:
        """Give a hook another place among its event's hooks; gives them all in their new order.

        It takes a free number between its new neighbours; where there is none, the event is numbered anew by tens. All
        of it is one transaction. Hooks that share a number keep sharing one, and it goes past them together.

        Args:
            before, after: the hook beside which it is to run.
            by: so many places later, negative: earlier, counted on the order as it is stored by then.

        Raises:
            HookNotFound, Ambiguous
            InvalidHook: none or several of the three were given; the other hook is of another event, or is this one.
        """
        if [before, after, by].count(None) != 2:
            raise InvalidHook([Problem("position", Text("move() takes exactly one of before, after and by"))])
        number = self.find(ref).id
        goal = Goal(
            before=None if before is None else self.find(before).id,
            after=None if after is None else self.find(after).id,
            by=by,
        )
        author = self.runtime.author()
        self.runtime.database.writer.write(Changing(author, lambda connection: move(connection, number, goal, author)))
        return self.list(self.fresh(number).event)

    @as_one_change
    def remove(self, ref: int | str, *, revision: int | None = None) -> Hook:
        """Delete a hook: it is marked, its waiting deliveries are cancelled in the same transaction.

        Raises:
            HookNotFound, Ambiguous, ChangedMeanwhile
        """
        number = self.find(ref).id
        self.write(number, {"deleted_ms": self.runtime.clock.now_ms()}, action="remove", revision=revision)
        return self.fresh(number)

    def removed(self, ref: int | str, config: Config) -> int:
        """The deleted hook of this id or key; of several that bore the key, the last. Raises HookNotFound."""
        gone = [hook.id for hook in config.hooks.values() if hook.deleted and ref in (hook.id, str(hook.id), hook.key)]
        if not gone:
            raise HookNotFound(Text('there is no hook "{ref}"', ref=ref))
        return max(gone)

    @as_one_change
    def restore(self, ref: int | str) -> Hook:
        """Undo `remove`: the hook and the deliveries that were cancelled with it.

        Args:
            ref: the id or key of a deleted hook; of several that had the key, the one that was made last.

        Raises:
            HookNotFound, KeyTaken
        """
        number = self.removed(ref, self.runtime.config_now())
        self.write(number, {"deleted_ms": None}, action="restore")
        return self.fresh(number)

    @as_one_change
    def pause(self, ref: int | str, reason: str = "") -> Hook:
        """Hold a hook by hand: its deliveries are parked, blocking hooks fail as `paused`. Raises HookNotFound."""
        found = self.find(ref)
        if found.paused_by in (None, "breaker", "key"):  # the breaker's pause ends by itself, this one does not
            reason = storable(reason)
            values = {"paused_by": "person", "paused_reason": keep(reason), "paused_ms": self.runtime.clock.now_ms()}
            self.with_event(found, values, "pause", "hook.paused", {"reason": reason, "by": "person"})
        return self.fresh(found.id)

    @as_one_change
    def resume(self, ref: int | str) -> Hook:
        """End a pause, whoever made it: parked deliveries go out.

        Raises:
            HookNotFound, Ambiguous
            KeyMissing: its secrets can't be opened; the pause ends by itself when they can.
        """
        found = self.find(ref)
        refuse_shut(found)
        if found.paused_by is not None:
            values = {"paused_by": None, "paused_reason": None, "paused_ms": None}
            self.with_event(found, values, "resume", "hook.resumed", {"by": "person"})
        return self.fresh(found.id)

    def with_event(
        self, found: StoredHook, values: Mapping[str, Any], action: str, code: str, payload: Mapping[str, Any]
    ) -> None:
        """Change a hook and raise the engine's own event in one transaction."""
        author = self.runtime.author()

        def job(connection: Connection) -> None:
            if hookstore.change(connection, found.id, values, author, action=action):
                write_event(self.runtime, connection, code, {"hook": found.ref.as_json(), **payload})

        self.runtime.database.writer.write(Changing(author, job))

    @as_one_change
    def new_secret(self, ref: int | str, *, rotate: bool = False) -> str:
        """Make a signing secret and give it, for the only time.

        Args:
            rotate: for 24 hours requests carry the old secret's signature too.

        Raises:
            HookNotFound, Ambiguous, KeyProblem
            ChangedMeanwhile: others kept changing it.
        """
        found, tries = self.find(ref), TRIES
        secret = new_signing_secret().value
        while True:
            values: dict[str, Any] = {
                "signing_secret": self.seal(found.uid, "signing_secret", secret, found.signing_secret),
                "signing_secret_old": None,
                "signing_old_until_ms": None,
            }
            if rotate and found.signing_secret is not None:
                old = self.runtime.vault.open(found.signing_secret, Place("hook", found.uid, "signing_secret"))
                values["signing_secret_old"] = self.seal(found.uid, "signing_secret_old", old, found.signing_secret_old)
                values["signing_old_until_ms"] = self.runtime.clock.now_ms() + ROTATION_MS
            try:
                # Upon this revision: of two who rotate at once the later one keeps the earlier one's secret as the old.
                self.write(found.id, values, action="secret", revision=found.revision, resealed=("signing_secret",))
                break
            except ChangedMeanwhile:
                tries -= 1
                if not tries:
                    raise
                self.runtime.cache.forget()
                found = self.find(found.id)
        self.fresh(found.id)
        return secret

    @as_one_change
    def rollback(
        self,
        ref: int | str,
        revision: int,
        *,
        current: int | None = None,
        keep_secrets: bool = False,
        drop_candidate: bool = False,
    ) -> Hook:
        """Give the fields the values that they had in a revision: a new one, of the action `rollback`.

        The present secrets stay as they are, the custom header and its name with them.

        Args:
            current: the revision that was looked at; another one in the database is a conflict.
            keep_secrets, drop_candidate: as of `update`: the URL of that revision may be somebody else's.

        Raises:
            HookNotFound: no such hook, or no such revision of it.
            ChangedMeanwhile: somebody changed it since.
            InvalidHook, EventNotFound, InvalidTemplate, KeyTaken: what was right then is not any more.
        """
        found = self.find(ref)
        then = as_of(self.history(found.id), revision)
        if then is None or then.after is None:
            raise HookNotFound(Text('hook "{name}" has no revision {revision}', name=found.name, revision=revision))
        values = {code: then.after[code] for code in COLUMNS if code in then.after and code != "custom_header"}
        for name in ("valid_from", "valid_until"):
            text = values.get(name)
            values[name] = None if text is None else datetime.fromisoformat(str(text))
        how: dict[str, Any] = {"keep_secrets": keep_secrets, "drop_candidate": drop_candidate, "action": "rollback"}
        return self.edit(found, values, revision=current, stored=True, **how)

    def fresh(self, number: int) -> Hook:
        """The hook after a change of ours. Raises HookNotFound: a colleague has deleted it since."""
        with AtLeast(RECORD):
            config = self.runtime.config_now()
        found = config.hooks.get(number)
        if found is None:
            raise HookNotFound(Text("there is no hook {ref}", ref=number))
        return hook_of(found, self.runtime.clock.now_ms())
