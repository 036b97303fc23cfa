"""The application: the first frame before the engine is there, questions to it in workers, and an orderly end."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePath
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, cast
from weakref import WeakSet

from rich.console import RenderableType
from rich.text import Text as Styled
from textual import on, work
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual._context import active_message_pump
from textual.app import App
from textual.binding import Binding
from textual.events import Compose, Event, Idle, InputEvent, Key, Mount, Paste, Resize
from textual.filter import LineFilter
from textual.reactive import Initialize, Reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, TextArea

from hookrow.errors import HookrowError
from hookrow.system.fileurl import without_password
from hookrow_tui.actions import bindings, cap_of
from hookrow_tui.engine import Answered, Follower, Glanced, Moved, Opened, Troubled
from hookrow_tui.presenters.failures import sentence
from hookrow_tui.terminal.crashes import keep_traceback, mishap
from hookrow_tui.terminal.look import OURS, PLAIN, Look
from hookrow_tui.terminal.mended import endure, has_shell, screen_of
from hookrow_tui.terminal.repaint import Change, TerminalPicture
from hookrow_tui.terminal.terminal import Harmless, latin_key, on_end_signals
from hookrow_tui.terminal.typeahead import TypeAhead
from hookrow_tui.widgets.keybar import KeyBar
from hookrow_tui.widgets.page import SMALLEST, HookrowScreen, Page
from hookrow_tui.words import READ_ONLY, Say

if TYPE_CHECKING:
    from textual.message import Message
    from textual.message_pump import MessagePump
    from textual.notifications import SeverityLevel
    from textual.theme import Theme

    from hookrow import HookEngine
    from hookrow.glance import Glance
    from hookrow.lang import Text

__all__ = ["HookrowApp"]

ENDURED = 3, 2.0
"""So many errors of our own in so many seconds are survived."""
SAID = 5.0
"""Seconds that the key bar says what happened."""


class HookrowApp(App[int]):
    """The terminal interface on one database.

    Args:
        url: the database, as the command line takes it.
        start: opens the engine; called in a worker when the list stands, or can't be read without it.
        glance: reads the list without the engine; called in a worker after the first frame.
        look: how this terminal is drawn on.
        faults: what is wrong in the person's own files, see `hookrow_tui.own`.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = ["app.tcss", "hooks/hooks.tcss"]
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[Any]] = [
        *bindings("everywhere"),
        Binding("ctrl+c", "ask_to_leave", show=False, priority=True),  # Textual's text fields would take it
    ]
    # From the beginning: changed later, every rule would be parsed once more.
    theme: Reactive[str] = Reactive(Initialize(lambda app: cast("HookrowApp", app).look.theme))

    def __init__(
        self,
        url: str,
        *,
        start: Callable[[str], HookEngine],
        look: Look,
        glance: Callable[[str], Glance | None] = lambda url: None,
        faults: Sequence[Text] = (),
    ) -> None:
        self.look: Look = look
        super().__init__(ansi_color=look.theme.startswith("ansi"))
        self.url = url
        self.start = start
        self.glance = glance
        self.faults = faults
        self.engine: HookEngine | None = None
        self.trouble = ""
        self.shown = TerminalPicture()
        self.harmless = Harmless()
        self.follower: Follower | None = None
        self.ahead = TypeAhead(self, lambda: self.too_small)
        self.mishaps: list[float] = []
        """When errors of ours were survived."""
        self.fatal: Exception | None = None
        self.broken: WeakSet[Screen[Any]] = WeakSet()
        """Screens that could not be built."""
        endure(lambda pump, message, error: pump.app is self and self.survives(pump, message, error))
        self.warned_of_bytes = False
        self.animation_level = "none"
        self.set_class(look.mono, "-mono", update=False)
        self.set_class(look.theme.startswith("ansi"), "-plain", update=False)

    def get_default_screen(self) -> Screen[Any]:
        from hookrow_tui.hooks.screen import HooksScreen

        return HooksScreen()

    def on_mount(self) -> None:
        on_end_signals(self.end_by_signal)
        self.ahead.start()
        self.app_suspend_signal.subscribe(self, self.forget_terminal)
        self.app_resume_signal.subscribe(self, self.forget_terminal)
        self.call_after_refresh(self.peek)

    @work(thread=True)
    def peek(self) -> None:
        self.post_message(Glanced(self.glance(self.url)))

    @on(Glanced)
    def show_glance(self, message: Glanced) -> None:
        if message.glance is not None:
            for screen in self.screen_stack:
                if isinstance(screen, Page):
                    screen.glanced(message.glance)
        self.call_after_refresh(self.open)  # painted first: importing the engine would slow that down

    @work(thread=True)
    def open(self) -> None:
        try:
            self.post_message(Opened(self.start(self.url)))
        except HookrowError as error:
            self.post_message(Troubled(str(error)))
        except Exception as error:  # noqa: BLE001 - an error of ours is said, and one may try again
            self.post_message(Troubled(str(mishap(error))))

    @on(Opened)
    def take_engine(self, message: Opened) -> None:
        self.engine = message.engine
        self.trouble = ""
        self.follower = Follower(message.engine, self)
        self.follower.start()
        for screen in self.screen_stack if self.read_only else ():
            screen.query(KeyBar).refresh()
        self.tell_pages()

    # Questions to the engine

    def ask(
        self,
        owner: Widget,
        call: Callable[[HookEngine], Any],
        then: Callable[[Any], None],
        failed: Callable[[HookrowError], None] | None = None,
        *,
        background: bool = False,
    ) -> None:
        """Call the engine in a worker and hand what it gives to `then`, on the loop, while `owner` is on the screen.

        Without `failed` an error becomes a notice on the page. Before the engine is open nothing is asked.

        Args:
            background: no key asked for it, so no input waits for the answer.
        """
        if self.engine is not None:
            question = Answered(owner, then, failed or self.say_error)
            if not background:
                self.ahead.ask(question)
            self.answer(self.engine, question, call)

    @work(thread=True, group="ask")
    def answer(self, engine: HookEngine, message: Answered, call: Callable[[HookEngine], Any]) -> None:
        try:
            message.value = call(engine)
        except HookrowError as error:
            message.error = error
        except Exception as error:  # noqa: BLE001 - an error of ours is said, and the screen stays
            message.error = mishap(error)
        self.post_message(message)

    @on(Answered)
    def hand_over(self, message: Answered) -> None:
        owner = message.owner
        # A screen that was left is off the stack at once, but attached until its last child is gone; and while the app
        # shuts down its screens stay on the stack with no children left.
        left = isinstance(owner, Screen) and owner not in self.screen_stack
        here = self.is_running and owner.is_attached and not left
        if here and message.error is not None:
            message.failed(message.error)
        elif here:
            message.then(message.value)
        self.ahead.answered(message)

    def say_error(self, error: HookrowError) -> None:
        """An error that nobody handled better: one sentence on the page that is open."""
        self.notice(sentence(error))

    def notice(self, text: str) -> None:
        """Say why what a key asked for is not done, on whatever screen is open: keys that followed it meant another."""
        if isinstance(self.screen, HookrowScreen):
            self.screen.notice(text)
            self.unexpected()

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """Say what happened in the key bar of the screen that is open; nothing floats over the text."""
        for bar in self.screen.query(KeyBar):
            bar.say(f"{title} {message}".strip(), timeout or SAID)

    def unexpected(self) -> None:
        """Something went another way than the keys that were typed ahead could know: see `terminal.typeahead`."""
        self.ahead.guard(self.screen)

    def nothing_chosen(self) -> None:
        """A key needs a row, and there is none."""
        self.notify(str(Say("There is no row for this key.")), markup=False)
        self.unexpected()

    @property
    def too_small(self) -> bool:
        """Whether the window is too small for the screens to be seen."""
        return self.size.width < SMALLEST[0] or self.size.height < SMALLEST[1]

    @property
    def read_only(self) -> bool:
        """Whether this user may only read the database."""
        return self.engine is not None and self.engine.read_only

    def writable(self) -> bool:
        """Whether changes can be made; says why not."""
        if self.read_only:
            self.notice(str(READ_ONLY))
        return self.engine is not None and not self.read_only

    @on(Moved)
    def tell_pages(self) -> None:
        for screen in self.screen_stack if self.is_running else ():
            if isinstance(screen, HookrowScreen):
                screen.moved()

    @on(Troubled)
    def show_trouble(self, message: Troubled) -> None:
        self.trouble = message.text
        if self.engine is None:
            self.say_unusable(message.text)
            return
        for screen in self.screen_stack:
            if isinstance(screen, HookrowScreen):
                screen.notice(message.text)

    def say_unusable(self, reason: str) -> None:
        """A list whose keys do nothing would look as if all were well: another page takes its place."""
        from hookrow_tui.hooks.unusable import UnusablePage

        if not self.screen_stack:
            return  # the app ends
        if isinstance(self.screen, UnusablePage):
            self.screen.notice(reason)
            return
        while len(self.screen_stack) > 1:  # help may be open
            self.pop_screen()
        self.push_screen(page := UnusablePage(without_password(self.url), reason))
        self.ahead.guard(page)

    def usable(self) -> None:
        """The list was read after all."""
        from hookrow_tui.hooks.unusable import UnusablePage

        if isinstance(self.screen, UnusablePage):
            self.pop_screen()

    def try_again(self) -> None:
        """Open the database, or read it, once more."""
        if self.engine is None:
            self.open()
        else:
            self.tell_pages()

    # Keys

    async def on_event(self, event: Event) -> None:
        if isinstance(event, InputEvent | Paste) and not event.is_forwarded and not self.ahead.admits(event):
            return
        if isinstance(event, Key) and not event.is_forwarded:
            if event.character == "\ufffd":
                self.warn_of_bytes()
                return
            if isinstance(self.screen, Page):
                self.screen.pressed()
            if not self.typing(event):
                event = latin_key(event)
        await super().on_event(event)

    def typing(self, event: Key) -> bool:
        """Whether the key is text for the focused field."""
        focused = self.focused
        return event.is_printable and focused is not None and focused.check_consume_key(event.key, event.character)

    def warn_of_bytes(self) -> None:
        """Bytes in another encoding are dropped rather than typed as «�»; said once."""
        if not self.warned_of_bytes and isinstance(self.screen, HookrowScreen):
            self.warned_of_bytes = True
            self.screen.notice(
                str(Say("The terminal sends bytes that are not UTF-8: set its encoding (in PuTTY: UTF-8)."))
            )

    def action_help(self) -> None:
        from hookrow_tui.help import HelpScreen

        if isinstance(self.screen, HookrowScreen) and not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.screen.GROUPS, getattr(self.focused, "code", "")))

    def action_commands(self) -> None:
        from hookrow_tui.help import command_screen

        if isinstance(self.screen, Page):
            self.push_screen(command_screen(self.screen.GROUPS), self.run_command)

    async def run_command(self, name: str | None) -> None:
        if name is not None:
            await self.screen.run_action(name)

    async def action_leave(self) -> None:
        """Quit; a form with changes asks first."""
        leave = next((screen for screen in reversed(self.screen_stack) if hasattr(screen, "leave")), None)
        if leave is not None:
            leave.leave(self.exit)
        else:
            self.exit(0)

    def action_ask_to_leave(self) -> None:
        """Ctrl+C: copies what is marked in a text field, as anywhere; else asks whether to quit."""
        from hookrow_tui.widgets.dialogs import Question, ask

        focused = self.focused
        if isinstance(focused, Input | TextArea) and focused.selected_text:
            focused.action_copy()
        elif not isinstance(self.screen, Question):
            answers = [("no", Say("Stay"), None), ("yes", Say("Quit"), self.action_leave)]
            at_once = Say("{key} quits at once.", key=cap_of("app.leave"))
            ask(self.screen, Say("Quit Hookrow?"), [at_once], answers)

    def action_suspend_process(self) -> None:
        if has_shell():
            super().action_suspend_process()
        else:
            self.notify(str(Say("There is no shell to come back from: Ctrl+Z does nothing here.")), markup=False)

    def action_repaint(self) -> None:
        self.forget_terminal()

    # What reaches the terminal

    def get_theme(self, theme_name: str) -> Theme | None:
        if (ours := OURS.get(theme_name)) is not None:
            return self.look.coloured(ours)
        theme = super().get_theme(theme_name)
        if theme is not None and theme_name == "ansi-dark":
            return replace(theme, primary="ansi_bright_blue")  # blue on black can't be read
        return theme

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return PLAIN

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), self.harmless]

    def forget_terminal(self, _: object = None) -> None:
        """Another program wrote on the terminal: paint all of it next time."""
        self.shown.forget()
        self.refresh()

    def on_resize(self, event: Resize) -> None:  # besides Textual's own, which does nothing where the size is as before
        if event.size == self.shown.size:  # the window was another one in between, and has lost what did not fit
            self.forget_terminal()

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        self.ahead.painted(screen)
        if isinstance(renderable, LayoutUpdate | ChopsUpdate) and not self.is_headless and not self._batch_count:
            if self.shown.size != self.size:
                renderable = screen._compositor.render_full_update()
            text = self.shown.difference(renderable, self.console)
            if not text:
                self.post_display_hook()
                return
            renderable = Change(text)
        super()._display(screen, renderable)

    # The end

    def end_by_signal(self, number: int) -> None:
        """SIGHUP or SIGTERM: keep what was typed, then go."""
        self.keep_drafts()
        self.exit(128 + number)

    def keep_drafts(self) -> None:
        """Write every form's changes to its draft, now."""
        for screen in self.screen_stack:
            keep = getattr(screen, "keep_draft", None)
            if keep is not None:
                keep()

    def survives(self, pump: MessagePump, message: Message, error: Exception) -> bool:
        """An error of ours in a handler: said, and the screen is as before. A screen that can't be opened is left; an
        error that comes again and again, or at the start, ends the program."""
        screen = screen_of(pump)
        if screen in self.broken:
            return True  # it is being left
        opening = isinstance(message, Compose | Mount)
        now = monotonic()
        self.mishaps = [at for at in self.mishaps if now - at < ENDURED[1]] + [now]
        if self.is_headless or len(self.mishaps) > ENDURED[0] or (opening and screen in (None, *self.screen_stack[:1])):
            self.fatal = error
            return False
        if opening and screen is not None:
            self.broken.add(screen)
        self.call_later(self.say_mishap, error)
        return True

    def say_mishap(self, error: Exception) -> None:
        while any(screen in self.broken for screen in self.screen_stack):
            self.pop_screen()
        self.notice(str(mishap(error)))

    def _handle_exception(self, error: Exception) -> None:
        if error is self.fatal or self.is_headless or not self.survives(self, Idle(), error):
            super()._handle_exception(error)

    def panic(self, *renderables: RenderableType) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, Exception):
            super().panic(*renderables)
        elif self.is_headless or not self.survives(active_message_pump.get(), Compose(), error):
            super()._handle_exception(error)  # Textual's panic would print local variables: passwords among them

    def _fatal_error(self) -> None:
        self.keep_drafts()
        error = sys.exc_info()[1] or self._exception
        path = None if error is None else keep_traceback(error)
        said = traceback.format_exc() if path is None else str(Say("Details: {path}", path=path))
        text = Say("Hookrow ended because of an error of its own. What was typed in a form is kept as a draft.")
        self._exit_renderables.append(Styled(f"{text}\n{said}"))
        self._close_messages_no_wait()

    def _print_error_renderables(self) -> None:
        self.error_console.print(*self._exit_renderables, soft_wrap=True)  # a path is not broken at the screen's edge
        self._exit_renderables.clear()

    async def on_unmount(self) -> None:
        self.ahead.end()
        if self.follower is not None:
            await asyncio.to_thread(self.follower.end)
        if self.engine is not None:
            await asyncio.to_thread(self.engine.close)  # it has a loop of its own to end, and this one is running
