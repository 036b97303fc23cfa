"""«Проверить…»: a marked request of a hook as it stands in the form, what came back, and what it would have changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rich.text import Text as Styled
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from hookrow.errors import HookrowError
from hookrow.safetext import covered
from hookrow.words import ERRORS, OUTCOMES, word
from hookrow_tui.presenters.columns import steady_lines
from hookrow_tui.widgets.dialogs import box_css
from hookrow_tui.widgets.page import Dialog
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow import Hook, HookEngine

__all__ = ["CheckScreen", "pretty", "report"]

SHOWN = 64 * 1024
"""Characters of a body that are shown: more would only slow the screen down."""
HAPPENED = Say("the operation has already happened and stays")
"""Why a refusal is only recorded."""


def pretty(body: str | bytes | None) -> list[str]:
    """A body in lines: JSON indented, anything else as it is, cut where it is very long."""
    if not body:
        return []
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    cut = text[:SHOWN]
    if cut == text:
        try:
            cut = json.dumps(json.loads(text), ensure_ascii=False, indent=2)
        except (ValueError, RecursionError):
            cut = text
    lines = steady_lines(cut)
    return [*lines, str(Say("… {n} characters in all", n=len(text)))] if len(text) > SHOWN else lines


def headers(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [covered(f"{name}: {value}") for name, value in pairs]


def why(attempt: Any) -> str:
    """What went wrong with an attempt, in words; '' where nothing did."""
    if not attempt.error:
        return ""
    error = word(ERRORS, attempt.error)
    return covered(f"{error}: {attempt.detail}" if attempt.detail else error)


def report(tested: Any) -> Styled:
    """A test in words: what came of it, what was received, what was sent."""
    request, attempt = tested.request, tested.attempt
    text = Styled()

    def part(title: str, lines: Iterable[str]) -> None:
        text.append(f"{title}\n", "bold")
        for line in lines:
            text.append(f"{line}\n")
        text.append("\n")

    fault = why(attempt)
    said = word(OUTCOMES, tested.outcome)
    lines = [f"{said}: {HAPPENED}" if tested.outcome == "refused" else said]
    lines += [fault] if fault else []
    if tested.data is not None:
        lines += [str(Say("The payload afterwards:")), *pretty(json.dumps(tested.data, ensure_ascii=False))]
    if tested.result is not None:
        lines += [str(Say("Result:")), *pretty(json.dumps(tested.result, ensure_ascii=False))]
    lines += [f"! {covered(warning)}" for warning in tested.warnings]
    if attempt.status is None:
        part(str(Say("No response · {ms} ms", ms=attempt.ms)), lines)
    else:
        part(str(Say("Response · {status} · {ms} ms", status=attempt.status, ms=attempt.ms)), lines)
        part(str(Say("Received")), [*headers(attempt.response_headers), "", *pretty(attempt.response_body)])
    where = covered(f"{request.method} {request.url}")
    part(str(Say("Request")), [where, *headers(request.headers), "", *pretty(request.body)])
    return text


class CheckScreen(Dialog[None]):
    """Sends the request at once, in a worker, and shows what came of it. Nothing is stored.

    Args:
        hook: the stored hook, None for one that was never saved.
        values: fields that differ from it, as the form would write them; None to test it as it is stored.
        keep_secrets: the kept secrets may go to another origin.
    """

    DEFAULT_CSS = (
        box_css("CheckScreen", 78).replace("> Vertical", "> VerticalScroll")
        + "CheckScreen Static { height: auto; } CheckScreen > VerticalScroll { max-height: 92%; scrollbar-size: 1 1; }"
    )

    def __init__(
        self, hook: Hook | None, values: Mapping[str, Any] | None = None, *, keep_secrets: bool = False
    ) -> None:
        super().__init__()
        self.hook = hook
        self.values = values
        self.keep_secrets = keep_secrets

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = str(Say("Test"))
            box.border_subtitle = str(Say("Esc closes"))
            yield Static(str(Say("Sending a test request…")), markup=False)

    def on_mount(self) -> None:
        self.hookrow.ask(self, self.send, self.show, self.refused, background=True)  # it takes as long as the receiver

    def send(self, engine: HookEngine) -> Any:
        if self.values is None:
            assert self.hook is not None
            assert self.hook.id is not None
            return engine.test(self.hook.id)
        from hookrow import Hook

        if self.hook is None:
            return engine.test(Hook.stored(self.values))
        return engine.test(self.hook.model_copy(update=dict(self.values)), keep_secrets=self.keep_secrets)

    def show(self, tested: Any) -> None:
        self.query_one(Static).update(report(tested))

    def refused(self, error: HookrowError) -> None:
        self.query_one(Static).update(Styled(covered(str(error))))
