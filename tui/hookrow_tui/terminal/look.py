"""How the interface looks on this terminal: theme, glyphs, mouse. Colour is never the only sign of anything."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from textual.theme import Theme

from hookrow_tui.presenters.glyphs import ASCII, UNICODE, Glyphs

__all__ = ["DARK", "LIGHT", "OURS", "PLAIN", "Look", "choose"]


DARK = Theme(
    name="hookrow-dark",
    primary="#7fb4ff",
    secondary="#9ecbff",
    warning="#ffc66d",
    error="#ff8f80",
    success="#8fd694",
    accent="#ffd580",
    foreground="#e6e6e6",
    background="#14171c",
    surface="#242a33",
    panel="#323a47",
    dark=True,
    variables={
        "bright": "#ffffff",
        "quiet": "#a3adba",
        "cursor": "#2f4a6d",
        "cursor-text": "#ffffff",
        "banner": "#ffc66d",
        "banner-text": "#14171c",
    },
)
LIGHT = Theme(
    name="hookrow-light",
    primary="#0b4f9e",
    secondary="#24588f",
    warning="#7a4a00",
    error="#a3190c",
    success="#1b6126",
    accent="#6b4500",
    foreground="#1a1d21",
    background="#fbfbf9",
    surface="#e6e7e2",
    panel="#d3d5cf",
    dark=False,
    variables={
        "bright": "#000000",
        "quiet": "#4e545c",
        "cursor": "#b9d3f2",
        "cursor-text": "#000000",
        "banner": "#7a4a00",
        "banner-text": "#fbfbf9",
    },
)


OURS = {theme.name: theme for theme in (DARK, LIGHT)}
PLAIN = {
    "bright": "ansi_default",
    "quiet": "ansi_default",
    "cursor": "ansi_cyan",
    "cursor-text": "ansi_black",
    "banner": "ansi_yellow",
    "banner-text": "ansi_black",
}
"""Our variables where the terminal's own palette is used."""


@dataclass(frozen=True)
class Look:
    """What was chosen for this terminal. `mono` asks for cursors in reverse video; `colours` are a person's own."""

    theme: str
    glyphs: Glyphs
    mono: bool
    mouse: bool
    encoding: str
    colours: Mapping[str, str] = field(default_factory=dict)

    def coloured(self, theme: Theme) -> Theme:
        """One of our themes with the person's own colours."""
        plain: Any = {name: code for name, code in self.colours.items() if name not in theme.variables}
        return replace(theme, **plain, variables={**theme.variables, **self.colours})


def choose(
    environ: Mapping[str, str] = os.environ,
    encoding: str | None = None,
    *,
    wished: str = "",
    colours: Mapping[str, str] | None = None,
) -> Look:
    """The look for these environment variables, the encoding of the terminal's stream, and a person's own wishes.

    Below 256 colours the terminal's own palette is used; `HOOKROW_THEME=light|dark|ansi` decides where guessing fails.
    The mouse is off over SSH: after a lost line its codes would flood the shell.
    """
    term = environ.get("TERM", "")
    spoken = encoding or getattr(sys.__stderr__, "encoding", None) or "utf-8"
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or ""
    utf8 = spoken.lower().replace("-", "") == "utf8" and locale not in ("C", "POSIX")
    rich = "256color" in term or environ.get("COLORTERM", "") in ("truecolor", "24bit")
    light = environ.get("COLORFGBG", "").rpartition(";")[2] in ("7", "15")
    wish = environ.get("HOOKROW_THEME") or wished
    if wish == "ansi" or not rich or "NO_COLOR" in environ:
        theme = "ansi-light" if light and wish != "dark" else "ansi-dark"
    else:
        theme = LIGHT.name if wish == "light" or (light and wish != "dark") else DARK.name
    return Look(
        theme=theme,
        glyphs=UNICODE if utf8 and term != "linux" else ASCII,
        mono="NO_COLOR" in environ,
        mouse="SSH_CONNECTION" not in environ,
        encoding=spoken,
        colours=colours or {},
    )
