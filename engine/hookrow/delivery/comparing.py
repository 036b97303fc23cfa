"""A candidate compared with its hook: whether it would have decided the same. Pure (docs/trusting.md).

What the hook did is kept with the candidate's delivery, since the candidate answers later, perhaps to another process.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from hookrow.delivery.concealing import is_private
from hookrow.delivery.states import FAILED
from hookrow.events import redact
from hookrow.payload import canonical_hash, dumps

__all__ = ["Against", "Compared", "Effect", "compare", "left", "unusual"]

Compared = Literal["same", "decision", "refusal", "data"]
"""In what they differ: whether the operation goes on, the refusal's status or code, the payload afterwards."""
UNAVAILABLE = 503
"""The status of a refusal by failure."""


class RefusalLike(Protocol):
    """A refusal: its status and code are what its caller acts on."""

    @property
    def status(self) -> int: ...
    @property
    def code(self) -> str: ...


class AnswerLike(Protocol):
    """What a candidate answered, as `delivery.reply` reads it."""

    @property
    def kind(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Effect:
    """What a hook does to an operation: refuses it, or lets it go on with this payload.

    `data` is the hash of what may be kept of the payload; None: as it was.
    """

    refusal: tuple[int, str] | None = None
    data: str | None = None


@dataclass(frozen=True, slots=True)
class Against:
    """What a candidate is compared with, and how its own answer is to be taken."""

    seq: int
    """The hook's own place in the row: the candidate saw the payload as it stood there."""
    on_failure: str
    """The candidate's."""
    effect: Effect
    """The hook's own."""
    private: Sequence[str] = ()
    fixed: bool = False
    """Nothing may change this firing's payload."""

    @classmethod
    def read(cls, kept: str) -> Against:
        """What the column `delivery.against` holds: the place, the word, and, where it is not empty, `unusual`.

        Raises:
            ValueError, TypeError, LookupError: no Hookrow wrote it.
        """
        seq, on_failure, *more = kept.split(" ", 2)
        held = json.loads(more[0]) if more else {}
        refused = held.get("refused")
        effect = Effect(None if refused is None else (int(refused[0]), str(refused[1])), held.get("data"))
        return cls(int(seq), on_failure, effect, tuple(held.get("private", ())), bool(held.get("fixed")))

    def failing(self, error: str | None) -> Effect:
        """What the candidate's failure does."""
        return Effect((UNAVAILABLE, error or "bad_reply")) if self.on_failure == "stop" else Effect()

    def answering(self, answer: AnswerLike, error: str | None) -> Effect:
        """What the candidate's answer would have done."""
        veto: RefusalLike | None = getattr(answer, "veto", None)
        if veto is not None:
            return Effect((veto.status, veto.code))
        if answer.kind in FAILED:
            return self.failing(error)
        data = None if self.fixed else getattr(answer, "data", None)
        return Effect(data=None if data is None else left(data, getattr(answer, "changes", ()), self.private))


def unusual(effect: Effect, private: Sequence[str], fixed: bool) -> str:
    """What `Against` holds besides place and word, as it is kept."""
    held: dict[str, Any] = {}
    if effect.refusal is not None:
        held["refused"] = effect.refusal
    if effect.data is not None:
        held["data"] = effect.data
    if private:
        held["private"] = list(private)
    if fixed:
        held["fixed"] = True
    return f" {dumps(held)}" if held else ""


def left(data: Mapping[str, Any], changes: Sequence[tuple[str, Any, Any]], private: Sequence[str]) -> str | None:
    """The payload that a hook left, as `Effect.data` has it: what is private counts for nothing."""
    if all(is_private(pointer, private) for pointer, _, _ in changes):
        return None
    return canonical_hash(redact(dict(data), private)[0])


def compare(one: Effect, other: Effect) -> Compared:
    """In what two effects differ: the first that is true."""
    if (one.refusal is None) != (other.refusal is None):
        return "decision"
    if one.refusal != other.refusal:
        return "refusal"
    return "same" if one.data == other.data else "data"
