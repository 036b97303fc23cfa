"""The records of the log that are made by the hundred, made quickly."""

from __future__ import annotations

from dataclasses import MISSING, field, fields, make_dataclass
from typing import Any, Final, TypeVar

from hookrow.records import Delivery, Firing

__all__ = ["QuickDelivery", "QuickFiring"]

T = TypeVar("T")


def thawed(frozen: type[T]) -> type[T]:
    """A class with the same slots, whose instances become the frozen one's once they are made: a frozen dataclass sets
    each field by a call, and a record has two dozen."""

    def freeze(self: Any) -> None:
        self.__class__ = frozen

    named: list[tuple[str, Any, Any]] = []
    for each in fields(frozen):  # type: ignore[arg-type]
        how: Any = {"default": each.default, "default_factory": each.default_factory}
        named.append((each.name, each.type, field(**{key: said for key, said in how.items() if said is not MISSING})))
    return make_dataclass(frozen.__name__, named, namespace={"__post_init__": freeze}, eq=False, repr=False, slots=True)


QuickDelivery: Final = thawed(Delivery)
QuickFiring: Final = thawed(Firing)
