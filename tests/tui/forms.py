"""The form in a test: opened on a hook or on nothing, filled in, closed."""

from __future__ import annotations

from apps import Shown, until

from hookrow_tui.form.screen import FormScreen
from hookrow_tui.hooks.table import HookTable

__all__ = ["closed", "fill", "new_form", "open_form"]


async def open_form(at: Shown, name: str | None = None) -> FormScreen:
    """The form of this hook, or of the drawn one."""
    table = at.app.screen.query_one(HookTable)
    table.go(
        next(
            place
            for place, row in enumerate(table.rows)
            if row.hook.name == name or (name is None and row.hook.id == 4)
        )
    )
    await at.press("enter")
    await until(
        at.pilot, lambda: isinstance(at.app.screen, FormScreen) and at.app.screen.sample is not None, "the form"
    )
    await at.pilot.pause()
    assert isinstance(at.app.screen, FormScreen)
    return at.app.screen


async def new_form(at: Shown) -> FormScreen:
    """The form of a new hook."""
    await at.press("n")
    await until(at.pilot, lambda: isinstance(at.app.screen, FormScreen) and bool(at.app.screen.titles), "the form")
    await at.pilot.pause()
    assert isinstance(at.app.screen, FormScreen)
    return at.app.screen


async def fill(at: Shown, form: FormScreen, code: str, text: str) -> None:
    """Write into a field as a person does: go there, empty it, type."""
    form.go_to(code)
    await at.pilot.pause()
    await at.press("end", "ctrl+u")
    await at.type(text)
    await at.pilot.pause()


def closed(at: Shown) -> bool:
    """Whether the list is open again."""
    return type(at.app.screen).__name__ == "HooksScreen"
