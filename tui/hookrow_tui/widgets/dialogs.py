"""Questions over a page: a title, sentences, and the answers to choose from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text as Styled
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.reactive import reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, Static

from hookrow.safetext import covered
from hookrow_tui.actions import Group
from hookrow_tui.widgets.page import Dialog
from hookrow_tui.words import Say

__all__ = ["Answer", "Choices", "Prompt", "Question", "ask", "ask_about_secrets", "ask_file", "box_css"]

Answer = tuple[str, object, Callable[[], object] | None]
"""Of a question: its code, its label, and what it leads to."""


def box_css(name: str, width: int = 66) -> str:
    """The rules of a framed box inside a dialog of this class name."""
    return f"""
    {name} > Vertical {{
        width: {width}; max-width: 100%; height: auto; max-height: 100%; padding: 0 1;
        border: round $primary; border-title-color: $foreground; border-title-align: left;
        border-subtitle-color: $foreground; border-subtitle-align: right; background: $surface;
    }}
    """


class Choices(Widget, can_focus=True):
    """Words in a line, one of which is chosen: the buttons of a form or a question.

    Left and right move, Enter, Space or a click choose. A sign before the marked word needs no colour.
    """

    DEFAULT_CSS = """
    Choices { height: 1; width: 1fr; }
    Choices > .choices--marked { background: $cursor; color: $cursor-text; text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"choices--marked"}
    BINDINGS: ClassVar[list[Any]] = [
        ("left,up", "move(-1)", ""),
        ("right,down", "move(1)", ""),
        ("enter,space", "choose", ""),
    ]
    marked = reactive(0)

    @dataclass
    class Chosen(Message):
        """One of the words was chosen."""

        code: str

    def __init__(self, items: Sequence[tuple[str, str]], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.items = list(items)

    def spans(self) -> list[tuple[int, int]]:
        """Where each word stands: first column and the one after its last."""
        spans, at = [], 2
        for _, label in self.items:
            spans.append((at, at + len(label)))
            at += max(len(label) + 6, 20)
        return spans

    def render(self) -> Styled:
        line = Styled(no_wrap=True, overflow="crop")
        focus = getattr(self.app, "look").glyphs.focus  # noqa: B009 - the app is ours
        for number, ((start, end), (_, label)) in enumerate(zip(self.spans(), self.items, strict=True)):
            here = self.has_focus and number == self.marked
            line.pad_right(max(0, start - 1 - line.cell_len))
            line.append(focus if here else " ")
            line.append(label, self.get_component_rich_style("choices--marked", partial=True) if here else "bold")
            line.pad_right(max(0, end - line.cell_len))
        return line

    def action_move(self, step: int) -> None:
        self.marked = (self.marked + step) % len(self.items)

    def action_choose(self) -> None:
        self.post_message(self.Chosen(self.items[self.marked][0]))

    def on_click(self, event: events.Click) -> None:
        for number, (start, end) in enumerate(self.spans()):
            if start - 1 <= event.x <= end:
                self.marked = number
                self.action_choose()


class Question(Dialog[str]):
    """Asks; gives the code of the answer, or None after Escape. The first answer is marked at the beginning.

    Tab marks the next one, as the arrows do: there is nothing else to go to.

    Args:
        sentences: shown one under the other, wrapped.
        answers: code and label.
    """

    GUARDED = True
    GROUPS: ClassVar[tuple[Group, ...]] = ("question",)
    DEFAULT_CSS = box_css("Question") + "Question Static { width: 100%; height: auto; padding: 0 1 1 1; }"
    BINDINGS: ClassVar[list[Any]] = [("tab", "mark(1)", ""), ("shift+tab", "mark(-1)", "")]

    def __init__(self, title: str, sentences: Sequence[str], answers: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self.heading = title
        self.sentences = sentences
        self.answers = answers

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = covered(self.heading).replace("[", "\\[")
            yield Static(Styled("\n".join(covered(each) for each in self.sentences)))
            yield Choices(self.answers)

    def action_mark(self, step: int) -> None:
        self.query_one(Choices).action_move(step)

    @on(Choices.Chosen)
    def answer(self, message: Choices.Chosen) -> None:
        self.dismiss(message.code)


def ask(
    screen: Screen[Any],
    title: object,
    sentences: Iterable[object],
    answers: Sequence[Answer],
    otherwise: Callable[[], object] | None = None,
) -> Question:
    """Put a question over a screen, then do what belongs to its answer. Gives the question.

    Args:
        answers: code, label and what it leads to; nothing: the question is only closed.
        otherwise: done after Escape, and after an answer that leads to nothing.
    """
    acts = {code: act for code, _, act in answers}

    def answered(code: str | None) -> Any:
        act = acts.get(code or "") or otherwise
        return None if act is None else act()

    question = Question(str(title), [str(each) for each in sentences], [(code, str(each)) for code, each, _ in answers])
    screen.app.push_screen(question, answered)
    return question


def ask_about_secrets(screen: Screen[Any], text: object, go_on: Callable[[], object]) -> None:
    """A hook is to be as it was when it had another origin: are its secrets to go there?"""
    answers: list[Answer] = [("back", Say("Cancel"), None), ("keep", Say("Keep them"), go_on)]
    ask(screen, Say("Secrets and the new URL"), [text], answers)


class Prompt(Dialog[str]):
    """Asks for a line of text; gives it without blanks around it, or None after Escape.

    Args:
        sentence: what is asked for.
        keys: what Enter and Escape do.
        text: what stands in the field at the beginning.
    """

    GROUPS: ClassVar[tuple[Group, ...]] = ("prompt",)
    DEFAULT_CSS = box_css("Prompt") + "Prompt Static { width: 100%; height: auto; }"

    def __init__(self, title: str, sentence: str, keys: str, text: str = "") -> None:
        super().__init__()
        self.heading = title
        self.sentence = sentence
        self.keys = keys
        self.text = text

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = covered(self.heading).replace("[", "\\[")
            box.border_subtitle = self.keys
            yield Static(Styled(covered(self.sentence)))
            yield Input(self.text, compact=True, select_on_focus=False)

    def on_mount(self) -> None:
        field = self.query_one(Input)
        field.cursor_blink = False
        field.focus()

    @on(Input.Submitted)
    def answer(self, message: Input.Submitted) -> None:
        self.dismiss(message.value.strip())


def ask_file(screen: Screen[Any], title: object, name: str, write: Callable[[Path], None]) -> None:
    """Ask for the name of a new file in this folder, and write it."""
    asked = Say("A new file, readable by you alone, in {folder}:", folder=Path.cwd())
    prompt = Prompt(str(title), str(asked), str(Say("Enter writes, Esc closes")), name)
    screen.app.push_screen(prompt, lambda typed: write(Path(typed).expanduser()) if typed else None)
