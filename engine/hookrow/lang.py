"""Text for people, in Russian and English: translated when shown, not when made.

An error raised in a worker thread of an English service may be read by a Russian administrator; so a message keeps its
English words (the gettext msgid) and its values apart until somebody asks for `str()`.
"""

from __future__ import annotations

import gettext
import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Final, Literal

__all__ = ["Both", "Language", "Plural", "Speech", "Text", "current", "detect", "quoted", "use"]

Language = Literal["ru", "en"]


class Speech:
    """The language that this process speaks; `use` sets it once at start."""

    language: Language = "en"
    typed: Callable[[str], str] | None = None
    """Puts commands that a text names as they are typed where this process was called; None: as they stand."""


def use(language: Language) -> None:
    """Set the language of every text shown by this process from now on."""
    Speech.language = language


def current() -> Language:
    """The language in use."""
    return Speech.language


def detect(option: str | None = None, environ: Mapping[str, str] | None = None) -> Language:
    """The language: the option, else HOOKROW_LANG, else a locale that begins with ru, else English."""
    env = os.environ if environ is None else environ
    for chosen in (option, env.get("HOOKROW_LANG")):
        if chosen:
            return "ru" if chosen.lower().startswith("ru") else "en"
    locale = env.get("LC_ALL") or env.get("LC_MESSAGES") or env.get("LANG") or ""
    return "ru" if locale.lower().startswith("ru") else "en"


def catalogue(domain: str, language: Language) -> gettext.NullTranslations:
    """The compiled messages of a package (`hookrow`, `hookrow_tui`); English is the msgid itself."""
    try:
        return opened(domain, language)
    except OSError:  # no descriptor is left: what is to be said is said all the same
        return gettext.NullTranslations()


@cache
def opened(domain: str, language: Language) -> gettext.NullTranslations:
    """The same, from its file."""
    if language == "en":
        return gettext.NullTranslations()
    folder = Path(__file__).parent / "locale"
    if domain != "hookrow":
        spec = __import__(domain)
        folder = Path(spec.__path__[0]) / "locale"
    return gettext.translation(domain, folder, [language], fallback=True)


def quoted(text: object) -> str:
    """A name or a saying in the quotation marks of the language in use: "Cups", «Кружки „Утро“»."""
    return f"«{inner(text)}»" if current() == "ru" else f'"{text}"'


def inner(text: object) -> str:
    """A text that stands within «…», its own quotation marks made the inner ones."""
    return str(text).replace("«", "„").replace("»", "“")


def filled(message: str, values: Mapping[str, object], language: Language) -> str:
    """The message with its values, texts among them in this language; one within «…» gets inner quotation marks."""
    spoken = {name: each.said(language) if isinstance(each, Text) else each for name, each in values.items()}
    return message.format(**{k: inner(v) if f"«{{{k}}}»" in message else v for k, v in spoken.items()})


def as_typed(message: str) -> str:
    """The message with the commands in it as they are typed here."""
    return message if Speech.typed is None else Speech.typed(message)


class Text:
    """A message with its values, translated by `str()`.

    Values may be texts themselves. They are put in with `str.format`, never into the msgid.
    """

    __slots__ = ("domain", "message", "values")

    def __init__(self, message: str, /, *, domain: str = "hookrow", **values: object) -> None:
        self.message: Final = message
        self.domain: Final = domain
        self.values: dict[str, object] = values

    def __str__(self) -> str:
        return self.said(current())

    def said(self, language: Language) -> str:
        """The text in this language, the texts among its values too."""
        found = as_typed(catalogue(self.domain, language).gettext(self.message))
        return filled(found, self.values, language) if self.values else found

    def __repr__(self) -> str:
        return f"Text({self.message!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Text) and (self.message, self.values) == (other.message, other.values)

    def __hash__(self) -> int:
        return hash(self.message)


class Plural(Text):
    """A message whose form depends on a count, given as the value `n`."""

    __slots__ = ("many",)

    def __init__(self, one: str, many: str, /, n: int, *, domain: str = "hookrow", **values: object) -> None:
        super().__init__(one, domain=domain, n=n, **values)
        self.many: Final = many

    def said(self, language: Language) -> str:
        """The text in this language, in the form for its number."""
        n = self.values["n"]
        assert isinstance(n, int)
        found = catalogue(self.domain, language).ngettext(self.message, self.many, n)
        return filled(as_typed(found), self.values, language)


class Both:
    """A short text declared in both languages where it is defined: a field's label, an event's title."""

    __slots__ = ("en", "ru")

    def __init__(self, en: str, ru: str) -> None:
        self.en: Final = en
        self.ru: Final = ru

    def __str__(self) -> str:
        return self.ru if current() == "ru" else self.en

    def __repr__(self) -> str:
        return f"Both({self.en!r}, {self.ru!r})"
