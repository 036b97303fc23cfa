"""The log's filter as people type it: `код:5xx за:1ч хук:"Чёрный список" договор`, with English twins of every key.

Pure: no screen, no database. A filter that was shown reads back as the same one, in either language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any

from hookrow.clock import from_ms
from hookrow.errors import HookrowError
from hookrow.hook.checks import Unfit
from hookrow.hook.dates import parse as parse_moment
from hookrow.hook.dates import show as show_moment
from hookrow.lang import current
from hookrow.records import LogFilter
from hookrow.words import DIFFERS, OUTCOMES, PROBLEM, REASONS, WOULD, Listing, outcome_code, read_word, word
from hookrow_tui.words import Say

__all__ = ["NotAFilter", "completions", "parse", "rest_of", "show"]

ALL = frozenset({"все", "всё", "all", "—", "*"})
STATUS = re.compile(r"[1-5](xx|[0-9][0-9])")
KEY = re.compile(r"([^\W\d]+):(?!//)")  # an address is a word
OPENS = {'"': '"', "«": "»"}


class NotAFilter(HookrowError):
    """A text that no filter can be read from; one sentence says why, and what is understood."""


@dataclass(frozen=True, slots=True)
class Typed:
    """When and where a filter was typed: milliseconds since 1970 UTC, the zone of the settings, who knows the hooks."""

    now_ms: int
    zone: tzinfo
    find_hook: Callable[[str], int]


@dataclass(frozen=True, slots=True)
class FilterKey:
    """One key of the grammar: the filter's field, its names, and how its value is read."""

    field: str
    english: tuple[str, ...]
    russian: tuple[str, ...]
    read: Callable[[str, Typed], Any]


def any_text(value: str, typed: Typed) -> str:
    return value


def read_outcome(value: str, typed: Typed) -> str:
    found = outcome_code(value)
    if found is not None:
        return found
    known = Listing([PROBLEM, DIFFERS, *OUTCOMES.values()])
    raise NotAFilter(Say('There is no outcome "{value}". Known: {known}.', value=value, known=known))


def read_would(value: str, typed: Typed) -> str:
    found = read_word(WOULD, value)
    if found is not None:
        return found
    known = Listing(WOULD.values())
    raise NotAFilter(Say('There is no answer "{value}" of a hook in shadow. Known: {known}.', value=value, known=known))


def read_code(value: str, typed: Typed) -> str:
    code = value.lower().replace("х", "x")  # the Cyrillic letter looks the same
    if not STATUS.fullmatch(code):
        raise NotAFilter(Say('"{value}" is not a response status. Examples: 409, 5xx.', value=value))
    return code


def read_hook(value: str, typed: Typed) -> int:
    return typed.find_hook(value)


def hook_number(ref: str) -> int:
    """The hook's id where nobody is there to ask for its key or name."""
    if not re.fullmatch(r"[0-9]{1,18}", ref):
        raise NotAFilter(Say('"{value}" is not a hook\'s ID.', value=ref))
    return int(ref)


def read_since(value: str, typed: Typed) -> int:
    return read_moment(value, typed, end=False)


def read_until(value: str, typed: Typed) -> int:
    return read_moment(value, typed, end=True)


def read_moment(value: str, typed: Typed, *, end: bool) -> int:
    """A moment, or how long ago it was; in milliseconds. Of a date alone `end` is the end of that day."""
    try:
        moment = parse_moment(value, now=from_ms(typed.now_ms), zone=typed.zone, end=end, use="log").value
    except Unfit as fault:
        raise NotAFilter(fault.text) from None
    assert moment is not None, "a key without a value is refused before"
    return round(moment.timestamp() * 1000)


PARTS = (
    FilterKey("event", ("event",), ("событие",), any_text),
    FilterKey("outcome", ("outcome",), ("итог",), read_outcome),
    FilterKey("code", ("code", "status"), ("код",), read_code),
    FilterKey("would", ("would",), ("наблюдение",), read_would),
    FilterKey("hook", ("hook",), ("хук",), read_hook),
    FilterKey("since_ms", ("since",), ("с", "за"), read_since),
    FilterKey("until_ms", ("until",), ("по", "до"), read_until),
)
NAMED = {name: part for part in PARTS for name in (*part.english, *part.russian)}


def parse(text: str, *, now_ms: int, zone: tzinfo = UTC, find_hook: Callable[[str], int] = hook_number) -> LogFilter:
    """The filter that was typed; empty text is everything. Words without a key are looked for in the payload.

    Args:
        now_ms: when it was typed, milliseconds since 1970 UTC.
        zone: in which moments without an offset are read.
        find_hook: the id of a hook by its id, key or exact name; what it raises goes through.

    Raises:
        NotAFilter: a key that does not exist, a value that it does not take, a quote that is not closed.
    """
    typed = Typed(now_ms, zone, find_hook)
    found: dict[str, Any] = {}
    words: list[str] = []
    for key, value, bare in tokens(text):
        if key is None:
            words.append(value)
            continue
        part = NAMED.get(key.lower())
        if part is None:
            known = ", ".join(f"{name_of(part)}:" for part in PARTS)
            raise NotAFilter(Say('There is no key "{key}". Known: {known}', key=key, known=known))
        if not value:
            raise NotAFilter(Say('"{key}:" has no value.', key=key))
        if part.field in found:
            raise NotAFilter(Say('"{key}:" is given twice.', key=key))
        found[part.field] = None if bare and value.lower() in ALL else part.read(value, typed)
    return LogFilter(**found, search=" ".join(words) or None)


def name_of(part: FilterKey) -> str:
    """The key's name in the language in use."""
    return (part.russian if current() == "ru" else part.english)[0]


def tokens(text: str) -> Iterator[tuple[str | None, str, bool]]:
    """The text's parts: a key or None, its value or a word, and whether that stood without quotes."""
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        key = None
        if found := KEY.match(text, at):
            key, at = found[1], found.end()
            after = skip_space(text, at)
            if after == len(text) or (after > at and KEY.match(text, after)):
                yield key, "", True
                continue
            at = after
        bare = text[at] not in OPENS
        value, at = token(text, at)
        yield key, value, bare


def skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def token(text: str, at: int) -> tuple[str, int]:
    """The word or quoted text that begins here, and where it ends."""
    closing = OPENS.get(text[at])
    if closing is None:
        end = at
        while end < len(text) and not text[end].isspace():
            end += 1
        return text[at:end], end
    value: list[str] = []
    at += 1
    while at < len(text):
        sign = text[at]
        if sign == closing:
            return "".join(value), at + 1
        if sign == "\\" and at + 1 < len(text):
            at += 1
            sign = text[at]
        value.append(sign)
        at += 1
    raise NotAFilter(Say("A quote is not closed."))


def show(filter: LogFilter, *, zone: tzinfo = UTC, hook_name: Callable[[int], str] = str) -> str:
    """The filter as it would be typed in the language in use: `parse` reads it back as the same one.

    `hook_name` gives what `find_hook` finds the hook by.
    """
    shown = []
    for part in PARTS:
        value = getattr(filter, part.field)
        if value is None:
            continue
        if part.field in ("since_ms", "until_ms"):
            value = show_moment(from_ms(value), zone)
        elif part.read is read_hook:
            value = hook_name(value)
        elif part.read is read_outcome:
            value = word({**REASONS, **OUTCOMES, PROBLEM.code: PROBLEM, DIFFERS.code: DIFFERS}, value)
        elif part.read is read_would:
            value = word(WOULD, value)
        shown.append(f"{name_of(part)}:{quoted(str(value))}")
    if filter.search:
        shown.append(filter.search if plain_words(filter.search) else quoted(filter.search, always=True))
    return " ".join(shown)


def plain_words(text: str) -> bool:
    """Whether these words read back as themselves without quotes."""
    return text == " ".join(text.split()) and not any(word[0] in OPENS or KEY.match(word) for word in text.split(" "))


def quoted(value: str, *, always: bool = False) -> str:
    """The value in quotes, where it would not read back as itself without."""
    bare = value and value.lower() not in ALL and value[0] not in OPENS and not any(sign.isspace() for sign in value)
    if bare and not always:
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def rest_of(text: str) -> str:
    """What was typed besides the event and the outcome, which have places of their own on the screen."""
    kept = []
    for key, value, _ in tokens(text):
        part = NAMED.get(key.lower()) if key else None
        if part is None or part.field not in ("event", "outcome"):
            kept.append(f"{key}:{quoted(value)}" if key else value)
    return " ".join(kept)


AGO = {"ru": ("1ч", "24ч", "7д", "сегодня", "вчера"), "en": ("1h", "24h", "7d", "today", "yesterday")}
CODES = ("5xx", "4xx", "200", "404", "409", "500")


def completions(text: str, *, hooks: Sequence[str], events: Sequence[str]) -> list[str]:
    """What a filter that is being typed may become: the rest of its last word, a key or a key's value.

    Args:
        hooks: the names of the hooks.
        events: the codes of the events.
    """
    open_key = re.search(r"([^\W\d]+):((?:\"[^\"]*|«[^»]*|\S*))$", text)
    if open_key is None:
        start = len(text) - len(text.split(" ")[-1])
        keys = [name for part in PARTS for name in (part.russian if current() == "ru" else part.english)]
        typed = text[start:].lower()
        return [f"{text[:start]}{text[start:]}{key[len(typed) :]}:" for key in keys if typed and key.startswith(typed)]
    part, typed = NAMED.get(open_key[1].lower()), open_key[2]
    if part is None:
        return []
    values = {
        "event": events,
        "outcome": [str(each) for each in (PROBLEM, DIFFERS, *OUTCOMES.values(), *REASONS.values())],
        "code": CODES,
        "would": [str(each) for each in WOULD.values()],
        "hook": hooks,
        "since_ms": AGO[current()],
        "until_ms": AGO[current()],
    }[part.field]
    before, bare = text[: open_key.start(2)], typed.lstrip('"«')
    if bare == typed:  # without quotes a value ends at a blank: outcomes are read without, of a name a part is enough
        values = [
            each.replace(" ", "") if part.field in ("outcome", "would") else each.split(" ")[0] for each in values
        ]
    found = [value for value in values if value.lower().startswith(bare.lower()) and value.lower() != bare.lower()]
    return [before + typed + rest_of_value(value, bare, quoted_by=typed[:1]) for value in found]


def rest_of_value(value: str, typed: str, *, quoted_by: str) -> str:
    """What is still to be written of a value; a quote that was opened is closed."""
    rest = value[len(typed) :]
    return rest + OPENS[quoted_by] if quoted_by in OPENS else rest
