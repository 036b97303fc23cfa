"""Everything that a key can do, declared once: bindings, key bar, help and command palette are made of this registry.

An action `hooks.new` runs the Textual action `new` of its screen. Letters work in the Russian layout too (see
`hookrow_tui.terminal.terminal`). None stands on a key that terminal multiplexers take (ctrl+a, ctrl+b, ctrl+o, ctrl+t).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from textual.binding import Binding

from hookrow.lang import Text
from hookrow_tui.words import Say

__all__ = ["ACTIONS", "GROUPS", "Action", "Group", "actions_of", "bar_of", "bindings", "box_bindings", "cap_of"]

Group = Literal[
    "everywhere",
    "hooks",
    "form",
    "log",
    "deeds",
    "history",
    "deleted",
    "overview",
    "why",
    "unusable",
    "dialog",
    "question",
    "prompt",
    "pick",
    "replay",
    "conflict",
]

NO_TEXT = re.compile(r"f\d+|ctrl\+.+|pageup|pagedown|insert\Z")
"""Keys that no field, of the form or of a box, takes as text."""
HERE = Say("HERE")
GROUPS: dict[Group, Say] = {
    "everywhere": Say("EVERYWHERE"),
    "hooks": Say("LIST OF HOOKS"),
    "form": Say("FORM"),
    "log": Say("LOG"),
    "deeds": Say("WHO DID WHAT"),
    "history": Say("HISTORY"),
    "deleted": Say("DELETED HOOKS"),
    "overview": Say("OVERVIEW"),
    "why": Say("WHY"),
    "unusable": Say("NO DATABASE"),
    "dialog": HERE,
    "question": HERE,
    "prompt": HERE,
    "pick": HERE,
    "replay": HERE,
    "conflict": HERE,
}


@dataclass(frozen=True)
class Action:
    """One thing that a person can do.

    `keys` are Textual's key names; without `bound` the focused widget or the screen handles them itself. `cap` is how
    the keys are drawn in the key bar, `caps` in the help. `bar` orders the key bar: the smaller, the longer it stays
    when the screen is narrow; 0 keeps it out. An action without `help` shares the help line of the one before it.
    `writes` marks what a person who may only read can't do.
    """

    id: str
    group: Group
    keys: tuple[str, ...]
    label: Text
    cap: str | Text = ""
    caps: str | Text = ""
    help: Text | None = None
    bar: int = 0
    bound: bool = True
    writes: bool = False

    @property
    def name(self) -> str:
        """The Textual action on the screen (`action_…`)."""
        return self.id.partition(".")[2]


ACTIONS: tuple[Action, ...] = (
    Action("app.help", "everywhere", ("f1", "question_mark"), Say("Help"), "F1", "F1  ?", Say("this help"), 1000),
    Action(
        "app.leave", "everywhere", ("f10", "ctrl+q", "q"), Say("Quit"), "F10", "F10 ^Q q", Say("quit; Ctrl+C asks"), 900
    ),
    Action("app.ask_to_leave", "everywhere", ("ctrl+c",), Say("Quit?"), "^C", bound=False),
    Action("app.back", "everywhere", ("escape",), Say("Back"), "Esc", "Esc", Say("back, close"), bound=False),
    Action(
        "app.next",
        "everywhere",
        ("tab", "shift+tab"),
        Say("Next"),
        "Tab",
        "Tab ⇧Tab",
        Say("next field, previous"),
        bound=False,
    ),
    Action(
        "app.rows",
        "everywhere",
        ("up", "down", "j", "k"),
        Say("Line"),
        "↑ ↓",
        "↑ ↓ j k",
        Say("line down, up"),
        bound=False,
    ),
    Action(
        "app.page",
        "everywhere",
        ("pageup", "pagedown"),
        Say("Page"),
        "PgDn",
        "PgUp PgDn",
        Say("a page; form: the second"),
        bound=False,
    ),
    Action(
        "app.ends",
        "everywhere",
        ("home", "end"),
        Say("First / last"),
        "Home",
        "Home End",
        Say("first, last"),
        bound=False,
    ),
    Action("app.find", "everywhere", ("slash", "ctrl+f"), Say("Find"), "/", "/", Say("find, filter"), bound=False),
    Action("app.commands", "everywhere", ("colon", "semicolon"), Say("Commands"), ":", ":", Say("commands by name")),
    Action("app.repaint", "everywhere", ("ctrl+l",), Say("Repaint"), "Ctrl+L", "Ctrl+L", Say("repaint the screen")),
    Action(
        "app.suspend_process",
        "everywhere",
        ("ctrl+z",),
        Say("To background"),
        "Ctrl+Z",
        "Ctrl+Z",
        Say("to background (fg)"),
    ),
    # The list of hooks
    Action("hooks.open", "hooks", ("enter", "f4"), Say("Open"), Say("Enter"), Say("Enter"), Say("open the hook"), 10),
    Action("hooks.new", "hooks", ("n", "f7"), Say("New"), "n", "n  c", Say("new, copy"), 20, writes=True),
    Action("hooks.copy", "hooks", ("c", "f6"), Say("Copy"), "c", bar=90, writes=True),
    Action(
        "hooks.turn",
        "hooks",
        ("space", "f9"),
        Say("On/off"),
        Say("Space"),
        Say("Space"),
        Say("on / off"),
        30,
        writes=True,
    ),
    Action("hooks.log", "hooks", ("l", "f3"), Say("Log"), "l", bar=40),
    Action("hooks.find", "hooks", ("slash", "ctrl+f"), Say("Find"), "/", bar=50),
    Action(
        "hooks.later", "hooks", ("J",), Say("Position"), "J K", "J  K", Say("later / earlier in chain"), 70, writes=True
    ),
    Action("hooks.earlier", "hooks", ("K",), Say("Earlier in the chain"), writes=True),
    Action("hooks.remove", "hooks", ("d", "delete", "f8"), Say("Delete"), "d", "d  Del", Say("delete"), writes=True),
    Action(
        "hooks.undo",
        "hooks",
        ("u",),
        Say("Undo your last change"),
        "u",
        "u  D",
        Say("undo; the deleted ones"),
        writes=True,
    ),
    Action("hooks.mark", "hooks", ("m", "insert"), Say("Mark"), "m", "m M A Esc", Say("mark: row, range, all"), 87),
    Action("hooks.mark_range", "hooks", ("M",), Say("Mark as far as this row")),
    Action("hooks.mark_all", "hooks", ("A",), Say("Mark all that is shown")),
    Action("hooks.export", "hooks", ("e",), Say("Export to a file"), "e", "e  o", Say("export; overview")),
    Action("hooks.overview", "hooks", ("o",), Say("Overview"), "o", bar=88),
    Action("hooks.deleted", "hooks", ("D",), Say("Deleted hooks"), "D"),
    Action("hooks.test", "hooks", ("t", "f5"), Say("Test"), "t", "t", Say("send a test request"), 80),
    Action("hooks.pause", "hooks", ("p",), Say("Pause / resume"), "p", "p  P", Say("pause; end a trial"), writes=True),
    Action("hooks.promote", "hooks", ("P",), Say("Promote or drop what is tried"), "P", writes=True),
    Action("hooks.why", "hooks", ("w", "f2"), Say("Why"), "w", "w h F2 F11", Say("why it ran or not; history"), 55),
    Action("hooks.history", "hooks", ("h", "f11"), Say("History"), "h", bar=85),
    Action("hooks.log_help", "hooks", (), Say("Log"), "l", "l  L", Say("log of this hook, of all"), bound=False),
    Action("hooks.whole_log", "hooks", ("L",), Say("Log of all hooks"), "L"),
    # The form
    Action(
        "form.save",
        "form",
        ("f2", "ctrl+s"),
        Say("Save and close"),
        "F2",
        "F2  Ctrl+S",
        Say("save and close"),
        10,
        writes=True,
    ),
    Action("form.next", "form", ("tab",), Say("Next"), "Tab", bar=20, bound=False),
    Action("form.preview", "form", ("f3",), Say("Names, result"), "F3", bar=56),
    Action("form.zoom", "form", ("f6",), Say("Whole screen"), "F6", bar=65),
    Action("form.seek", "form", ("f7",), Say("Find in the body"), "F7", bar=75),
    Action("form.editor", "form", ("f4",), Say("Edit body"), "F4", "F3 F4 F6 F7", Say("names; edit; whole; find"), 60),
    Action("form.test", "form", ("f5",), Say("Test"), "F5", "F5  F11", Say("test; try in shadow"), 30),
    Action("form.try", "form", ("f11", "f12"), Say("Try in shadow"), "F11", bar=85, writes=True),
    Action("form.fault", "form", ("f8",), Say("Next mistake"), "F8", "F8  F9", Say("next mistake; go to"), 80),
    Action("form.jump", "form", ("f9",), Say("Go to"), "F9", bar=55),
    Action("form.page", "form", ("pagedown", "pageup"), Say("More"), "PgDn", bar=40),
    Action("form.back", "form", ("escape",), Say("Back"), "Esc", "Esc", Say("back (asks if changed)"), 50),
    # The log
    Action("log.follow", "log", ("f", "end", "f6"), Say("Follow"), "f", "f  End", Say("follow the newest"), 10),
    Action("log.find", "log", ("slash", "ctrl+f", "f7"), Say("Filter"), "/", bar=20),
    Action("log.tab('1')", "log", ("1",), Say("Tab"), "1-4", "1 2 3 4", Say("request reply times chain"), 30),
    Action("log.tab('2')", "log", ("2",), Say("Response")),
    Action("log.tab('3')", "log", ("3",), Say("Times")),
    Action("log.tab('4')", "log", ("4",), Say("Chain")),
    Action("log.replay", "log", ("r", "f5"), Say("Replay"), "r", "r", Say("redeliver, replay"), 40, writes=True),
    Action("log.whole", "log", ("v", "f3"), Say("Whole"), "v", bar=50),
    Action("log.back", "log", ("escape",), Say("Back"), "Esc", bar=60),
    Action("log.copy", "log", ("y",), Say("Copy text"), "y", bar=70),
    Action(
        "log.error_before",
        "log",
        ("left_square_bracket",),
        Say("Errors"),
        "[ ]",
        "[  ]",
        Say("error before / after"),
        80,
    ),
    Action("log.error_after", "log", ("right_square_bracket",), Say("Next error")),
    Action("log.mark", "log", ("m", "f9"), Say("Mark"), "m", "m  M", Say("mark / only the marked"), 90),
    Action("log.only_marked", "log", ("M",), Say("Only the marked")),
    Action("log.deeds", "log", ("d",), Say("Who did what"), "d", "d", Say("who did what by hand")),
    Action("log.copy_help", "log", (), Say("Copy text"), "y", "y v w W", Say("copy; whole; file; all"), bound=False),
    Action("log.write", "log", ("w",), Say("Write to a file"), "w"),
    Action("log.write_all", "log", ("W",), Say("Write all that is shown (JSONL)"), "W"),
    # The history of a hook, and why it runs or not: their help is their key bar
    Action(
        "history.rollback",
        "history",
        ("enter", "r", "f5"),
        Say("Restore this revision"),
        Say("Enter"),
        bar=10,
        writes=True,
    ),
    Action("history.pane", "history", ("tab", "shift+tab"), Say("Changes"), "Tab", bar=20),
    Action("overview.stretch('hour')", "overview", ("1",), Say("Hour"), "1", bar=10),
    Action("overview.stretch('day')", "overview", ("2",), Say("24 hours"), "2", bar=20),
    Action("overview.stretch('week')", "overview", ("3",), Say("7 days"), "3", bar=30),
    Action("overview.back", "overview", ("escape",), Say("Back"), "Esc", bar=40),
    Action("deeds.pane", "deeds", ("tab", "shift+tab"), Say("Details"), "Tab", bar=10),
    Action("deeds.back", "deeds", ("escape",), Say("Back"), "Esc", bar=20),
    Action("deleted.restore", "deleted", ("enter", "r", "f5"), Say("Restore"), Say("Enter"), bar=10, writes=True),
    Action("deleted.pane", "deleted", ("tab", "shift+tab"), Say("Fields"), "Tab", bar=20),
    Action("deleted.back", "deleted", ("escape",), Say("Back"), "Esc", bar=30),
    Action("history.back", "history", ("escape",), Say("Back"), "Esc", bar=30),
    Action("why.open", "why", ("enter", "f4"), Say("Open"), Say("Enter"), bar=10),
    Action("why.log", "why", ("l", "f3"), Say("Log"), "l", bar=20),
    Action("why.together", "why", ("g",), Say("Gates together"), "g", bar=25, writes=True),
    Action("why.pane", "why", ("tab", "shift+tab"), Say("Details"), "Tab", bar=30),
    Action("why.back", "why", ("escape",), Say("Back"), "Esc", bar=40),
    # Where the database can't be used
    Action("unusable.again", "unusable", ("r", "f5"), Say("Try again"), "r", bar=10),
    # Boxes over a page: what the focused widget or the box itself handles
    Action("dialog.close", "dialog", ("escape",), Say("Close"), "Esc", bar=10, bound=False),
    Action("dialog.scroll", "dialog", ("up", "down"), Say("Scroll"), "↑ ↓ PgDn", bar=20, bound=False),
    Action("question.choose", "question", ("left", "right"), Say("Other answer"), "← →", bar=10, bound=False),
    Action("question.take", "question", ("enter",), Say("Choose"), Say("Enter"), bar=20, bound=False),
    Action("question.close", "question", ("escape",), Say("Go back"), "Esc", bar=30, bound=False),
    Action("prompt.take", "prompt", ("enter",), Say("Done"), Say("Enter"), bar=10, bound=False),
    Action("prompt.close", "prompt", ("escape",), Say("Go back"), "Esc", bar=20, bound=False),
    Action("pick.type", "pick", (), Say("Type a part of it"), "abc", bar=10, bound=False),
    Action("pick.move", "pick", ("up", "down"), Say("Up, down"), "↑ ↓", bar=20, bound=False),
    Action("pick.take", "pick", ("enter",), Say("Choose"), Say("Enter"), bar=30, bound=False),
    Action("pick.close", "pick", ("escape",), Say("Close"), "Esc", bar=40, bound=False),
    Action("replay.go", "replay", ("f5",), Say("Send again"), "F5", bar=10),
    Action("replay.next", "replay", ("tab",), Say("Next"), "Tab", bar=20, bound=False),
    Action("replay.edit", "replay", ("f4",), Say("Data in editor"), "F4", bar=30),
    Action("replay.close", "replay", ("escape",), Say("Cancel"), "Esc", bar=40, bound=False),
    Action("conflict.swap", "conflict", ("space",), Say("Other side"), Say("Space"), bar=10, bound=False),
    Action("conflict.next", "conflict", ("tab",), Say("Next"), "Tab", bar=20, bound=False),
    Action("conflict.take", "conflict", ("enter",), Say("Choose"), Say("Enter"), bar=30, bound=False),
    Action("conflict.close", "conflict", ("escape",), Say("Go back"), "Esc", bar=40, bound=False),
)


def cap_of(id: str) -> str:
    """How an action's key is drawn, for a sentence that names it."""
    return next(str(each.cap) for each in ACTIONS if each.id == id)


def actions_of(group: Group) -> tuple[Action, ...]:
    """The actions of one group, in the order of the help."""
    return tuple(action for action in ACTIONS if action.group == group)


def bindings(group: Group) -> list[Binding]:
    """What a screen (or, for `everywhere`, the app) declares as its BINDINGS."""
    return [
        Binding(",".join(action.keys), action.name, show=False)
        for action in actions_of(group)
        if action.bound and action.keys
    ]


def box_bindings() -> list[Binding]:
    """What every box declares besides its own: Textual looks no further than a modal screen. Letters are the box's."""
    return [
        Binding(key, f"app.{action.name}", show=False)
        for action in actions_of("everywhere")
        for key in action.keys
        if action.bound and NO_TEXT.match(key)
    ]


def bar_of(groups: Iterable[Group]) -> list[Action]:
    """The actions that the key bar of a screen offers, the most important first."""
    wanted = set(groups) | {"everywhere"}
    return sorted((each for each in ACTIONS if each.bar and each.group in wanted), key=lambda each: each.bar)
