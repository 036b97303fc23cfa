"""What can't be saved as it stands in the form: a sentence by field, the next one after a field, how many there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from hookrow.hook.dates import Here
from hookrow.hook.form import FIELD
from hookrow_tui.presenters.form.state import FormState, field_remark
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow import Hook

__all__ = ["faults", "next_fault"]


def faults(state: FormState, here: Here, hooks: Iterable[Hook], known: Mapping[str, str]) -> dict[str, str]:
    """A sentence for each field that can't be saved, in the form's order.

    Args:
        hooks: all stored hooks: none may bear the same key.
        known: what a save or a trial found already.
    """
    found: dict[str, str] = {}
    for code in FIELD:
        wrong = known.get(code, "")
        if not wrong and code in state.changed:
            wrong, _ = field_remark(FIELD[code], state.texts[code], here)
        if not wrong and code == "key":
            wrong = key_owner(state, hooks)
        if wrong:
            found[code] = wrong
    return found


def key_owner(state: FormState, hooks: Iterable[Hook]) -> str:
    """Who has this key already; '' where it is free."""
    key, own = str(state.texts["key"]).strip(), None if state.hook is None else state.hook.id
    other = next((hook for hook in hooks if key and hook.key == key and hook.id != own), None)
    return "" if other is None else str(Say('"{name}" already has this key.', name=other.name))


def next_fault(found: Iterable[str], code: str | None) -> str | None:
    """The field at fault that comes after this one, round the form; None where nothing is wrong."""
    order = [each for each in FIELD if each in set(found)]
    if not order:
        return None
    place = list(FIELD).index(code) if code in FIELD else -1
    return next((each for each in order if list(FIELD).index(each) > place), order[0])
