"""What is kept of a receiver's answer, without the hook's secrets and without private values. Pure.

Receivers echo: a debug page prints the request with its password, a redirect repeats the token of our URL. The answer
is obeyed as it came; what stands in the log, on screens and in messages goes through a `Concealer` first.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import unquote_plus, urlsplit

from hookrow.delivery.message import basic_auth
from hookrow.delivery.reply import Refusal, ReplyOutcome
from hookrow.delivery.replyjson import NotJson, strict_loads
from hookrow.delivery.spellings import Hidden, TooMuch, raw, views
from hookrow.lang import Plural, Text
from hookrow.payload import dumps, get_pointer, pointer_parts, pointer_to
from hookrow.reasons.reason import Reason
from hookrow.secrets.secret import MASK

__all__ = ["Concealer", "hidden_secrets", "is_name", "is_private", "private_targets", "public_changes", "url_tokens"]

SHORTEST = 4
"""Characters of a private value: a shorter one occurs in any text by chance, so it is known where it stands alone."""
SHORTEST_SECRET = 6
"""Characters of a secret that is masked inside a reply; a reply that holds a shorter one is not kept."""
HIDDEN = "***"
PLACES = frozenset({"location", "content-location", "refresh", "link"})
"""Response headers that hold URLs: tokens travel in the query of anybody's."""
QUERY = re.compile(r"(?<=[?#])[^\s\"'<>]+")
URL_WITH_QUERY = re.compile(r"([^\s\"'<>]*/[^\s\"'<>?#]*[?#])[^\s\"'<>]+")
USERINFO = re.compile(r"(?<=//)[^/?#\s]*@")
NO_SAMPLE: Mapping[str, Any] = {}
ABSENT: Any = object()
LONG = 1000
"""Characters of a header's value that may have been cut."""


def url_tokens(url: str) -> list[str]:
    """The values of a URL's query, as they stand there and decoded; of a part without a name the whole."""
    found = []
    for pair in urlsplit(url).query.split("&"):
        name, equals, value = pair.partition("=")
        token = value if equals else name
        found += [token, unquote_plus(token)]
    return [token for token in dict.fromkeys(found) if len(token) >= SHORTEST_SECRET]


def hidden_secrets(login: str, secrets: Mapping[str, str], urls: Iterable[str]) -> tuple[Hidden, ...]:
    """What of a hook must not be kept: its secrets, login and password as they are sent together, its URLs' tokens.

    Args:
        secrets: in clear, by field.
    """
    values = [value for value in secrets.values() if value]
    if password := secrets.get("auth_password"):
        values += [f"{login}:{password}", basic_auth(login, password).removeprefix("Basic ")]
    for value in list(values):
        values += parts(value)
    for url in urls:
        values += url_tokens(url)
    return tuple(Hidden(value, MASK) for value in sorted(set(values), key=len, reverse=True))


def parts(value: str) -> list[str]:
    """What of a secret a receiver may name alone: a key without its prefix, a token without its scheme."""
    if value.startswith("whsec_"):
        return [value.removeprefix("whsec_")]
    scheme, _, token = value.partition(" ")
    if not token or " " in token:
        return []
    found = [token]
    if scheme.lower() == "basic":
        try:
            pair = b64decode(token, validate=True).decode()
        except ValueError:
            return found
        found += [pair, pair.partition(":")[2]]
    return [each for each in found if each]


class Concealer:
    """Knows a hook's secrets and the values at an event's private pointers, and takes them out of what is kept."""

    def __init__(
        self, pointers: Iterable[str] = (), secrets: Sequence[Hidden] = (), sample: Mapping[str, Any] = NO_SAMPLE
    ) -> None:
        """`sample` is the event's: the keys that it has at private pointers are names, whatever they look like."""
        self.pointers: Final = tuple(pointers)
        self.names: Final = frozenset(
            name for pointer in self.pointers for name in keys(get_pointer(sample, pointer, None))
        )
        self.values: dict[str, Hidden] = {}
        self.shown: bool = False
        """Whether the hook was shown a private value; then only what can be looked through for certain is kept."""
        self.secrets: tuple[Hidden, ...] = ()
        self.short: tuple[Hidden, ...] = ()
        self.long: list[Hidden] = []
        """What is looked for anywhere in a text, longest first."""
        self.last: tuple[tuple[tuple[str, str], ...], str] = (), "[]"
        """The headers that were kept last, and how."""
        if secrets:
            self.beware(secrets)

    def beware(self, secrets: Sequence[Hidden]) -> None:
        """Take note of secrets besides those that are known."""
        if not secrets:
            return
        known = {each.value for each in (*self.secrets, *self.short)}
        new = [each for each in secrets if each.value not in known]
        self.secrets += tuple(each for each in new if len(each.value) >= SHORTEST_SECRET)
        self.short += tuple(each for each in new if len(each.value) < SHORTEST_SECRET)
        self.arrange()

    def learn(self, payload: Mapping[str, Any]) -> None:
        """Take note of a payload's private values, before a reply to it is kept."""
        known = len(self.values)
        for pointer in self.pointers:
            found = get_pointer(payload, pointer, None)
            for value in (*leaves(found), *(key for key in keys(found) if key not in self.names and not is_name(key))):
                self.shown = True
                if not isinstance(value, bool) and (text := str(value)) not in self.values:
                    self.values[text] = Hidden(text, HIDDEN)
        if len(self.values) > known:
            self.arrange()

    def arrange(self) -> None:
        private = [each for each in self.values.values() if len(each.value) >= SHORTEST]
        self.long = sorted((*private, *self.secrets), key=lambda one: len(one.value), reverse=True)
        self.last = (), "[]"

    @property
    def idle(self) -> bool:
        """Whether there is nothing to look for."""
        return not (self.shown or self.secrets or self.short)

    # -- text ---------------------------------------------------------------------------------------------------------

    def text(self, text: str, *, is_raw: bool = False) -> str:
        """The text without private values and secrets in any of their spellings.

        Args:
            is_raw: the text is bytes, read as Latin-1.
        """
        if self.idle:
            return text
        if text in self.values:
            return HIDDEN
        for each in self.long:
            text = each.out_of(text)
        for each in self.short:
            if each.value in text:
                text = re.sub(rf"(?<!\w){re.escape(each.value)}(?!\w)", each.mask, text)
        found = self.found(text if is_raw else raw(text), self.long)
        return text if found is None else found

    def found(self, text: str, wanted: Iterable[Hidden]) -> str | None:
        """The mask of a value that a raw text holds in a spelling that is not an usual one, or None."""
        try:
            for view in views(text):
                for each in wanted:
                    for needle in each.plain:
                        if needle in view:
                            return each.mask
        except TooMuch:
            return HIDDEN
        return None

    def cut(self, text: str, *, is_raw: bool = False) -> str:
        """The same of a text that may have been cut in the middle of a value."""
        text = self.text(text, is_raw=is_raw)
        for each in (*self.values.values(), *self.secrets):
            text = each.off_the_end(text)
        return text

    def said(self, said: Text) -> Text:
        """A message for people whose values may come from outside."""
        values = {name: self.value(value) for name, value in said.values.items()}
        if isinstance(said, Plural):
            return Plural(said.message, said.many, values.pop("n"), domain=said.domain, **values)
        if isinstance(said, Reason):
            return Reason(said.code, **values)
        return Text(said.message, domain=said.domain, **values)

    def value(self, value: Any) -> Any:
        """A value of such a message."""
        if isinstance(value, Text):
            return self.said(value)
        return self.cut(URL_WITH_QUERY.sub(rf"\g<1>{MASK}", value)) if isinstance(value, str) else value

    # -- JSON ---------------------------------------------------------------------------------------------------------

    def json(self, value: Any) -> Any:
        """A JSON value without private values and secrets; the very same one where it holds none."""
        if self.idle or value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(name): self.json(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.json(each) for each in value]
        return HIDDEN if self.holds_number(value) else value

    def holds_number(self, value: float) -> bool:
        """Whether a private value is this number in whatever form, or stands in it."""
        digits = str(value)
        return any(each.is_in(digits) for each in self.long) or any(same_number(text, value) for text in self.values)

    def holds(self, value: Any) -> bool:
        """Whether a JSON value holds a private one, or a secret."""
        return not self.idle and bool(self.json(value) != value)

    def held(self, pointer: str, value: Any, fired: Mapping[str, Any]) -> str | None:
        """What becomes private where a hook put this value: the pointer, or what of it holds a key that is private.

        Args:
            fired: the payload as it was fired; the keys in it are the caller's own, and stand in the log.
        """
        path = tuple(pointer_parts(pointer))
        for depth in range(1, len(path)):
            if self.hides(path[depth]) and get_pointer(fired, pointer_to(path[: depth + 1]), ABSENT) is ABSENT:
                return pointer_to(path[:depth])
        return pointer if self.holds(value) else None

    def hides(self, key: str) -> bool:
        """Whether a key that a hook brought in is a private value, or, where it is no field's name, holds one.

        With it goes the object around it, so a name is never looked through, and the hook's own secrets, which may be
        words of its URL, don't count.
        """
        if is_name(key):
            return len(key) >= SHORTEST and key in self.values
        return any(each.is_in(raw(key)) for each in self.long if each.mask == HIDDEN)

    # -- what an attempt keeps ----------------------------------------------------------------------------------------

    def body(self, content: bytes | None, *, whole: bool = True) -> bytes | None:
        """A response's body as it may be kept; None where only its length may be.

        Of a hook that was shown private values only unambiguous JSON is kept, written anew; everything else may hold
        them in a spelling that nobody thought of.

        Args:
            whole: False where the body was cut.
        """
        if content is None or self.idle:
            return content
        kept = self.anew(content) if self.shown else content
        if kept is None:
            return None
        text = kept.decode("latin-1")
        plain = text.replace("\0", "")  # as UTF-16 has it
        if whole and self.found(plain, (*self.secrets, *self.short)) is None:
            return kept
        if self.found(plain, self.short) is not None:
            return None
        for each in self.secrets:
            text = each.out_of(text)
            if not whole:
                text = each.off_the_end(text)
        if self.found(text.replace("\0", ""), self.secrets) is None:
            return masked_bytes(text)
        return self.anew(content)

    def anew(self, content: bytes) -> bytes | None:
        """A body of JSON, written anew without what must not be kept; None where it is no JSON."""
        try:
            return dumps(self.json(strict_loads(content))).encode()
        except NotJson:
            return None

    def headers(self, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """A response's headers as they may be kept."""
        pairs = [(name, place(value) if name.lower() in PLACES else value) for name, value in headers]
        if self.idle:
            return pairs
        joined = "\0".join(f"{name}\0{value}" for name, value in pairs)
        cut = any(len(value) >= LONG for _, value in pairs)
        if not cut and self.found(joined, (*self.long, *self.short)) is None and not self.values:
            return pairs
        return [(self.cut(name), self.header_value(value)) for name, value in pairs]

    def headers_text(self, headers: tuple[tuple[str, str], ...]) -> str:
        """The same as JSON; what came last time need not be looked through again."""
        if headers != self.last[0]:
            self.last = headers, dumps(self.headers(headers))
        return self.last[1]

    def header_value(self, value: str) -> str:
        return MASK if self.found(value, self.short) is not None else self.cut(value, is_raw=True)

    def answer(self, answer: ReplyOutcome) -> ReplyOutcome:
        """The answer with the words that people read concealed; what it changes and gives stays as it is."""
        veto = answer.veto
        if veto is None and answer.detail is None and not answer.warnings:
            return answer
        if veto is not None:
            errors = tuple({key: self.text(part) for key, part in error.items()} for error in veto.errors)
            veto = Refusal(self.cut(veto.message), self.cut(veto.code), veto.status, errors)
        return replace(
            answer,
            veto=veto,
            detail=None if answer.detail is None else self.said(answer.detail),
            warnings=tuple(self.cut(each) if isinstance(each, str) else self.said(each) for each in answer.warnings),
        )


def masked_bytes(text: str) -> bytes:
    """Bytes that were looked through as Latin-1, with masks between them that are none of it."""
    return b"".join(
        part.encode("latin-1") if at % 2 == 0 else MASK.encode() for at, part in enumerate(re.split(f"({MASK})", text))
    )


def place(value: str) -> str:
    """A header that holds a URL, without credentials, and its query and fragment masked."""
    return QUERY.sub(MASK, USERINFO.sub("", value))


def same_number(text: str, value: float) -> bool:
    try:
        return float(text) == value
    except (ValueError, OverflowError):
        return False


def leaves(value: Any) -> Iterator[str | int | float | bool]:
    """The strings, numbers and truth values in a private value."""
    if isinstance(value, dict):
        for each in value.values():
            yield from leaves(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from leaves(each)
    elif isinstance(value, str | int | float) and value != "":
        yield value


def keys(value: Any) -> Iterator[str]:
    """The keys of the objects in a private value."""
    if isinstance(value, dict):
        yield from filter(None, value)
    if isinstance(value, dict | list | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            yield from keys(each)


def is_name(key: str) -> bool:
    """Whether a key names a field, and is not a value by which somebody is looked up: a card, a phone, an e-mail."""
    return sum(map(str.isdigit, key)) < SHORTEST and "@" not in key[1:]


def private_targets(private: Sequence[str], moved: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """The private pointers, and those to which a patch copied or moved what is private or holds it.

    None lies in another one: its last keys may be private themselves.
    """
    found = list(private)
    for source, target in moved:
        if is_private(source, found):
            found.append(target)
    return tuple(each for each in dict.fromkeys(found) if not any(each.startswith(f"{above}/") for above in found))


def public_changes(changes: Sequence[tuple[str, Any, Any]], private: Sequence[str]) -> Sequence[tuple[str, Any, Any]]:
    """What was changed, without the values of private fields, and without the keys in them."""
    found: dict[str, tuple[str, Any, Any]] = {}
    for pointer, old, new in changes:
        whole = next((each for each in private if pointer.startswith(f"{each}/")), pointer)
        found[whole] = (whole, None, None) if is_private(whole, private) else (pointer, old, new)
    return tuple(found.values())


def is_private(pointer: str, private: Sequence[str]) -> bool:
    """Whether a pointer names something private, a part of it, or what holds it."""
    return any(pointer == each or pointer.startswith(f"{each}/") or each.startswith(f"{pointer}/") for each in private)
