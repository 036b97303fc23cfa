"""«Создать секрет подписи»: a fresh secret of Standard Webhooks, shown once; the form keeps it when it is saved."""

from __future__ import annotations

from base64 import b64encode
from secrets import token_bytes
from typing import Any, ClassVar

from rich.text import Text as Styled
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from hookrow.hook.form import FIELD
from hookrow_tui.widgets.dialogs import Choices, box_css
from hookrow_tui.widgets.page import Dialog
from hookrow_tui.words import Say

__all__ = ["SecretShown", "fresh_secret"]


def fresh_secret() -> str:
    """`whsec_` and the base64 of 32 random bytes (Standard Webhooks)."""
    return "whsec_" + b64encode(token_bytes(32)).decode()


class SecretShown(Dialog[bool]):
    """Shows the secret; gives True where it goes into the form.

    Args:
        replaces: whether another one is kept, which would stop signing at once.
    """

    DEFAULT_CSS = box_css("SecretShown", 70) + "SecretShown Static { width: 100%; height: auto; padding: 0 1 1 1; }"
    BINDINGS: ClassVar[list[Any]] = [("y", "copy", ""), ("tab", "mark(1)", ""), ("shift+tab", "mark(-1)", "")]

    def __init__(self, secret: str, *, replaces: bool) -> None:
        super().__init__()
        self.secret = secret
        self.replaces = replaces

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = str(FIELD["signing_secret"].label)
            box.border_subtitle = str(Say("y copies · Esc leaves the field as it was"))
            yield Static(Styled(self.secret, "bold", no_wrap=True))
            lines = [Say("It is shown only now: give it to the receiver. It is stored when you save the form.")]
            if self.replaces:
                lines.append(
                    Say(
                        "The present secret stops signing then. To sign with both for 24 hours: hookrow hooks secret "
                        "rotate."
                    )
                )
            yield Static(Styled("\n".join(map(str, lines))))
            yield Choices([("take", str(Say("Put into the form"))), ("back", str(Say("Keep editing")))])

    def action_mark(self, step: int) -> None:
        self.query_one(Choices).action_move(step)

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self.secret)
        self.app.notify(str(Say("Copied, if the terminal allows it.")), markup=False, timeout=4)

    @on(Choices.Chosen)
    def answer(self, message: Choices.Chosen) -> None:
        self.dismiss(message.code == "take")
