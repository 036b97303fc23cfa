"""The signs that are drawn: as Unicode has them, and as ASCII where a terminal has no more."""

from __future__ import annotations

from dataclasses import dataclass

from hookrow.words import Sign

__all__ = ["ASCII", "UNICODE", "Glyphs"]


@dataclass(frozen=True)
class Glyphs:
    """The signs that stand beside the words."""

    on: str = "●"
    off: str = "○"
    not_yet: str = "◷"
    expired: str = "◌"
    paused: str = "‖"
    deleted: str = "✗"
    focus: str = "▌"
    down: str = "▼"
    rule: str = "─"
    secret: str = "•"
    arrow: str = "→"
    ok: str = "✓"
    bad: str = "✗"
    veto: str = "⊘"
    bar: str = "█"
    bar_from: str = "▐"
    bar_to: str = "▌"
    thumb: str = "▂"
    corners: str = "╭╮╰╯"
    side: str = "│"
    more: str = "…"
    changed: str = "±"
    quiet: str = "·"
    again: str = "↻"

    def sign(self, sign: Sign) -> str:
        """The sign of an outcome, one character."""
        return {
            "ok": self.ok,
            "changed": self.changed,
            "veto": self.veto,
            "bad": self.bad,
            "wait": self.arrow[-1],
            "parked": self.paused,
            "quiet": self.quiet,
        }[sign]

    def state(self, state: str) -> str:
        """The sign of a hook's state."""
        return {
            "on": self.on,
            "off": self.off,
            "not_yet_valid": self.not_yet,
            "expired": self.expired,
            "paused": self.paused,
        }[state]


UNICODE = Glyphs()


ASCII = Glyphs(
    on="*",
    off="o",
    not_yet="~",
    expired="x",
    paused="=",
    deleted="x",
    focus=">",
    down="v",
    rule="-",
    secret="*",
    arrow="->",
    ok="+",
    bad="x",
    veto="!",
    bar="#",
    bar_from="[",
    bar_to="]",
    thumb="_",
    corners="++++",
    side="|",
    more="...",
    changed="~",
    quiet="-",
    again="@",
)
