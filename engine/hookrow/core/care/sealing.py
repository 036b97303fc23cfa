"""Which hooks' secrets this process can open. The others are paused by `key`, and nothing new is sealed meanwhile.

A key that is missing is no reason to make another: what it sealed would be lost without a word. It is put back, or
given up by name (`hookrow keys abandon`); either ends the pause by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from hookrow.clock import Clock
from hookrow.errors import KeyMissing, KeyProblem
from hookrow.hook.modes import key_pause
from hookrow.hook.stored import SEALED, StoredHook
from hookrow.lang import quoted
from hookrow.reasons.reason import Reason, keep
from hookrow.secrets.secret import Secret
from hookrow.secrets.vault import Place, Vault
from hookrow.store import hooks as hookstore
from hookrow.store.configuration.cache import Config
from hookrow.store.database.database import Database

__all__ = ["Sealing", "open_all"]

AGAIN = 1.0
"""Seconds between two looks for a key that is missing: a person may put it back at any moment."""
NAMED = 5
"""So many hooks are named in a refusal."""


def open_all(database: Database, vault: Vault) -> int:
    """Decrypt every secret of a database with these keys; gives how many there are.

    Raises:
        KeyMissing, KeyWrong, KeyUnsafe: one can't be decrypted.
        StorageError: they can't be read.
    """
    with database.read() as connection:
        sealed = list(hookstore.sealed_values(connection))
    for each in sealed:
        vault.open(each.token, each.place)
    return len(sealed)


@dataclass(frozen=True, slots=True)
class Marked:
    """A configuration as it was read, and as this process has it: with hooks that it can't open paused by `key`."""

    read: Config
    made: Config
    shut: frozenset[int]
    looked: float


def key_of(token: str) -> str:
    """The id of the key that sealed a value; empty for what is none."""
    parts = token.split(".")
    return parts[1] if len(parts) == 3 else ""


def tokens(hook: StoredHook) -> list[str]:
    """A hook's own sealed values."""
    return [token for name in SEALED if (token := getattr(hook, name)) is not None]


def all_tokens(hook: StoredHook) -> list[str]:
    """The same with those of its candidate."""
    return [*tokens(hook), *([] if hook.tried is None else hook.tried.encrypted.values())]


class Sealing:
    """What the keys of this process mean for the hooks of its database. Safe between threads."""

    def __init__(self, vault: Vault, clock: Clock, *, marks: bool) -> None:
        """`marks`: hooks that can't be opened are marked; who may only read the database needs no key."""
        self.vault = vault
        self.clock = clock
        self.marks = marks
        self.known: Marked | None = None
        self.broken: frozenset[str] = frozenset()
        """Sealed values that did not open although their key is here: they were changed, or belong to another hook."""

    @property
    def shut(self) -> frozenset[int]:
        """The hooks that this process can't open."""
        return frozenset() if self.known is None else self.known.shut

    def failed(self, hook: StoredHook) -> None:
        """A secret of this hook did not open."""
        self.broken |= {token for token in tokens(hook) if key_of(token) in self.ids()}
        self.known = None

    def ids(self, *, again: bool = False) -> frozenset[str]:
        """The ids of the keys that are here."""
        try:
            return frozenset((self.vault.reload() if again else self.vault.ring).keys)
        except KeyProblem:  # a key file that can't be used opens nothing more than what was loaded before
            return frozenset(self.vault.loaded.keys if self.vault.loaded else ())

    def missing(
        self, config: Config, sealed_in: Callable[[StoredHook], list[str]] = all_tokens
    ) -> dict[str, list[StoredHook]]:
        """The keys that are not here, each with the hooks that have a secret sealed by it, deleted ones too."""
        hooks = config.hooks.values()
        found = self.lacking(hooks, sealed_in, again=False)
        return self.lacking(hooks, sealed_in, again=True) if found else found  # somebody may have put it back

    def lacking(
        self, hooks: Iterable[StoredHook], sealed_in: Callable[[StoredHook], list[str]], *, again: bool
    ) -> dict[str, list[StoredHook]]:
        here: frozenset[str] | None = None
        found: defaultdict[str, list[StoredHook]] = defaultdict(list)
        for hook in hooks:
            sealed = sealed_in(hook)
            if sealed and here is None:
                here = self.ids(again=again)
            for key in {key_of(token) for token in sealed} - (here or frozenset()):
                found[key].append(hook)
        return dict(found)

    def marked(self, config: Config) -> Config:
        """The configuration as this process has it."""
        known, now = self.known, self.clock.monotonic()
        if known is not None and known.read is config and (not known.shut or now - known.looked < AGAIN):
            return known.made
        made, shut = self.mark(config) if self.marks else (config, frozenset[int]())
        if known is not None and known.read is config and known.shut == shut:
            made = known.made
        self.known = Marked(config, made, shut, now)
        return made

    def mark(self, config: Config) -> tuple[Config, frozenset[int]]:
        lacking: defaultdict[int, set[str]] = defaultdict(set)
        for key, hooks in self.missing(config, tokens).items():  # a candidate's alone keep no hook from its work
            for hook in hooks:
                lacking[hook.id].add(key)
        changed: dict[int, StoredHook] = {}
        shut = set(lacking)
        for hook in config.hooks.values():
            broken = not self.broken.isdisjoint(tokens(hook))
            if broken:
                shut.add(hook.id)
            if hook.id in shut and hook.paused_by in (None, "breaker", "key"):
                changed[hook.id] = replace(hook, paused_by="key", paused_reason=keep(key_pause(lacking[hook.id])))
            elif hook.paused_by == "key" and hook.id not in shut:
                changed[hook.id] = replace(hook, paused_by=None, paused_reason=None, paused_ms=None)
        if not changed:
            return config, frozenset(shut)
        rows = {code: tuple(changed.get(hook.id, hook) for hook in row) for code, row in config.rows.items()}
        return replace(config, hooks={**config.hooks, **changed}, rows=rows), frozenset(shut)

    def seal(self, config: Config, secret: Secret | str, place: Place, current: str | None = None) -> str:
        """The value sealed for this place.

        Args:
            config: the configuration as it was read just now.
            current: the sealed value in whose place it comes. One that can't be opened may be replaced, with a usable
                key, though others can't be opened either.

        Raises:
            KeyMissing: there are secrets that this process can't open, and this is not one of them.
            KeyUnsafe, KeyWrong: the keys can't be used.
        """
        missing = self.lacking(config.hooks.values(), all_tokens, again=True)  # the keys are read anew to seal
        if missing and not (current is not None and key_of(current) in missing and self.ids()):
            raise locked(missing)
        return self.vault.seal(secret, place)

    def require(self, config: Config) -> None:
        """Before keys are made or changed: what is sealed must open. Raises KeyMissing."""
        missing = self.missing(config)
        if missing:
            raise locked(missing)


def locked(missing: dict[str, list[StoredHook]]) -> KeyMissing:
    """The refusal to seal anything, with both ways out."""
    hooks = list({hook.id: quoted(hook.name) for each in missing.values() for hook in each}.values())
    named = ", ".join(hooks[:NAMED]) + (", …" if len(hooks) > NAMED else "")
    return KeyMissing(Reason("keys_missing", keys=", ".join(missing), hooks=named, key=next(iter(missing))))
