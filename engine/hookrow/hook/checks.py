"""What each field of a hook accepts: one function a field, from a value or typed text to the value that is kept.

docs/reference/fields.md lists the fields. Every function raises `Unfit` with one sentence that names what is allowed.
"""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit, urlunsplit

from hookrow.lang import Text
from hookrow.secrets.secret import MASK

__all__ = [
    "CHECKS",
    "EMPTY_SECRET",
    "HEADER_NAME",
    "RESERVED_HEADERS",
    "RESERVED_PREFIXES",
    "Unfit",
    "check_flag",
    "header_parts",
    "is_empty",
    "is_other_origin",
    "is_reserved",
    "origin",
    "public_url",
    "readable",
    "take_userinfo",
    "trim",
]

RESERVED_HEADERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "cookie",
        "cookie2",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Header names that belong to the exchange itself (lower case); a hook can't set them (docs/receivers.md)."""

RESERVED_PREFIXES = ("content-", "hook-", "proxy-", "webhook-")
"""Families of header names that a hook can't set."""

EMPTY_SECRET = Text("An empty secret is not allowed: enter a value, or remove the secret.")
INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"
YES = frozenset({"да", "yes", "true", "on", "1", "y", "д"})
NO = frozenset({"нет", "no", "false", "off", "0", "n", "н"})
# Patterns are text, compiled at first use: the command line's --help imports this module too.
CONTROL = r"[\x00-\x1f\x7f-\x9f\u2028\u2029]"
BODY_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
SURROGATE = r"[\ud800-\udfff]"
HEADER_NAME = r"[0-9A-Za-z_-]+"
"""Narrower than RFC 9110, by which ` and $ may stand in a name: names are pasted into shells."""
PLACE = r"(\[[^\[\]]+\]|[^\[\]:]+)(:[0-9]*)?"
HOST = r"[\w-]{1,63}(\.[\w-]{1,63})*\.?"
POINTER = r"(/([^~/]|~[01])*)*"


class Unfit(ValueError):
    """A value that a field does not accept; `text` says what it does."""

    def __init__(self, text: Text) -> None:
        super().__init__(text)
        self.text = text


def trim(text: str) -> str:
    """Without white space at both ends, including what a paste brings along unseen (NBSP, ZWSP, BOM)."""
    while text != (text := text.strip().strip(INVISIBLE)):
        pass
    return text


def readable(value: object) -> object:
    """What can be checked of a value: a secret's own text, None for a secret that is kept sealed or not set."""
    if not hasattr(value, "is_set"):
        return value
    if getattr(value, "is_kept", False) or not value.is_set:
        return None
    inside: object = getattr(value, "value", None)
    return inside


def is_empty(value: object) -> bool:
    """Whether a secret is given and holds nothing: anybody can guess it. None gives none."""
    if hasattr(value, "is_set"):
        inside = readable(value)
        return not value.is_set or (isinstance(inside, str) and not trim(inside))
    return isinstance(value, str) and not trim(value)


def words(value: object) -> str:
    """Any text that a database and JSON can hold."""
    if not isinstance(value, str):
        raise Unfit(Text("It must be text."))
    if re.search(SURROGATE, value):
        raise Unfit(Text("It contains a lone surrogate (half of a character)."))
    return value


def line(value: object) -> str:
    """One line of text, trimmed."""
    text = trim(words(value))
    if re.search(CONTROL, text):
        raise Unfit(Text("It must be one line without control characters."))
    return text


def at_most(text: str, limit: int) -> str:
    if len(text) > limit:
        raise Unfit(Text("At most {limit} characters; it has {length}.", limit=limit, length=len(text)))
    return text


def check_name(value: object) -> str:
    text = line(value)
    if not 1 <= len(text) <= 120:
        raise Unfit(Text("1 to 120 characters; it has {length}.", length=len(text)))
    return text


def split_url(text: str) -> SplitResult:
    """The parts of a URL whose port and brackets make sense."""
    unreadable = Text("Not a URL: its host or port can't be read; a port is 1 to 65535.")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise Unfit(unreadable) from None
    if parts.scheme not in ("http", "https") or not text[len(parts.scheme) :].startswith("://"):
        raise Unfit(Text("It must begin with http:// or https://."))
    if not parts.hostname:
        raise Unfit(Text("The host is missing."))
    if not re.fullmatch(PLACE, parts.netloc.rpartition("@")[2]):
        raise Unfit(unreadable)
    if port == 0 or parts.netloc.endswith(":"):
        raise Unfit(Text("The port must be 1 to 65535."))
    return parts


def check_url(value: object) -> str:
    """An absolute http or https URL; a user and password in it are still there (see `take_userinfo`)."""
    text = trim(words(value))
    if re.search(r"\s", text) or re.search(CONTROL, text) or any(mark in text for mark in INVISIBLE):
        raise Unfit(Text("A URL can't contain white space or control characters."))
    if "\\" in text:
        raise Unfit(Text("A URL can't contain a backslash."))
    at_most(text, 2000)
    parts = split_url(text)
    host = parts.hostname or ""
    if ":" in host:
        import ipaddress

        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise Unfit(Text("Not an IPv6 address between the brackets.")) from None
    elif len(host) > 253 or not re.fullmatch(HOST, host) or not is_sendable(host):
        raise Unfit(Text("Invalid host name."))
    return parts.scheme + text[len(parts.scheme) :]


def is_sendable(host: str) -> bool:
    """Whether a host can be written as HTTP and DNS want it: four plain numbers, or a name that IDNA takes."""
    if re.fullmatch(r"[0-9]+(\.[0-9]+){3}", host, re.ASCII):
        import ipaddress

        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            return False
    elif not host.isascii() or "xn--" in host.lower():
        import idna

        try:
            idna.decode(idna.encode(host.lower()))
        except UnicodeError:
            return False
    return True


def take_userinfo(url: str) -> tuple[str, str | None, str | None]:
    """The URL without user and password, and both of them, percent-decoded (None where it holds none).

    Raises:
        Unfit: they are no UTF-8.
    """
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url, None, None
    info, _, rest = parts.netloc.rpartition("@")
    login, colon, password = info.partition(":")
    try:
        decoded = unquote_to_bytes(login).decode(), unquote_to_bytes(password).decode() if colon else None
    except UnicodeDecodeError:
        raise Unfit(Text("The login or password in the URL is not UTF-8.")) from None
    return urlunsplit(parts._replace(netloc=rest)), *decoded


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a checked URL: whose address it is (RFC 6454)."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80}.get(parts.scheme, 443)


def is_other_origin(before: str, after: str) -> bool:
    """Whether requests would go to somebody else; http → https of one host with default ports is the same one."""
    old, new = origin(before), origin(after)
    return old != new and (old, new) != (("http", old[1], 80), ("https", old[1], 443))


def check_event(value: object) -> str:
    text = line(value)
    if not re.fullmatch(r"[a-z][a-z0-9_.]{0,63}", text):
        raise Unfit(
            Text("An event's code: a lower-case Latin letter, then up to 63 lower-case letters, digits, _ or dots.")
        )
    return text


def check_position(value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", text := trim(value)):
        value = int(text)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 9999:
        raise Unfit(Text("A whole number from 0 to 9999."))
    return value


def check_timeout(value: object) -> float:
    """Seconds; a comma is as good as a point."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}([.,][0-9]{1,9})?", text := trim(value)):
        value = float(text.replace(",", "."))
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.1 <= value <= 30:
        raise Unfit(Text("Seconds, from 0.1 to 30."))
    return float(value)


def check_flag(value: object) -> bool:
    """True or false, also in words of either language."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = trim(value).lower()
        if word in YES | NO:
            return word in YES
    raise Unfit(Text("Yes or no."))


def check_body(value: object) -> str:
    """A template of several lines; whether it compiles is the template's own check."""
    text = words(value).replace("\r\n", "\n")
    if re.search(BODY_CONTROL, text):
        raise Unfit(Text("It contains control characters other than line breaks and tabs."))
    return at_most(text, 65_536) if trim(text) else ""


def check_login(value: object) -> str:
    """RFC 7617: a colon would move the border between login and password."""
    text = line(value)
    if ":" in text:
        raise Unfit(Text("A login can't contain a colon (RFC 7617)."))
    return at_most(text, 255)


def check_password(value: object) -> str:
    """RFC 7617 allows no control characters; spaces at the ends may be meant."""
    text = words(value).removeprefix("\ufeff")
    if re.search(CONTROL, text):
        raise Unfit(Text("A password can't contain line breaks or control characters (RFC 7617)."))
    return at_most(text, 1000)


def is_reserved(name: str) -> bool:
    """Whether a header of this name belongs to the exchange or to Hookrow itself."""
    lower = name.lower().replace("_", "-")  # WSGI servers make one of both
    return lower in RESERVED_HEADERS or lower.startswith(RESERVED_PREFIXES)


def header_parts(header: str) -> tuple[str, str]:
    """Name and value of a checked `Name: value`."""
    name, _, value = header.partition(":")
    return name, value.lstrip(" \t")


def check_header(value: object) -> str:
    """One `Name: value`, the name a token of RFC 9110, as it goes over the wire."""
    text = words(value)
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", text):
        raise Unfit(Text("One header only, without line breaks or control characters."))
    name, content = header_parts(text)
    content = content.removeprefix("\ufeff")
    if ":" not in text or not re.fullmatch(HEADER_NAME, name):
        raise Unfit(Text("Write it as Name: value; the name has Latin letters, digits, hyphens and underscores only."))
    if is_reserved(name):
        raise Unfit(Text("{name} is set by the exchange itself; choose another header.", name=name))
    if not content.isascii():
        raise Unfit(Text("The value must be ASCII: encode other letters in percent or base64 form."))
    if not content or content != content.rstrip():
        raise Unfit(Text("The value may neither be empty nor end with white space."))
    at_most(text, 4000)
    return f"{name}: {content}"


def check_key(value: object) -> str:
    text = line(value)
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", text):
        raise Unfit(Text("1 to 64 lower-case Latin letters, digits and hyphens; the first is not a hyphen."))
    return text


def check_condition(value: object) -> str:
    return at_most(line(value), 1000)


def check_on_failure(value: object) -> str:
    text = line(value)
    if text not in ("continue", "stop"):
        raise Unfit(Text("continue or stop."))
    return text


def check_message(value: object) -> str:
    return at_most(line(value), 300)


def check_signing_secret(value: object) -> str:
    """Standard Webhooks: `whsec_` and the base64 of 24 to 64 bytes."""
    text = line(value).removeprefix("\ufeff")
    sentence = Text("whsec_ followed by the base64 of 24 to 64 bytes (Standard Webhooks).")
    if not text.startswith("whsec_"):
        raise Unfit(sentence)
    try:
        size = len(a2b_base64(text[6:].encode(), strict_mode=True))
    except (Base64Error, UnicodeEncodeError):
        raise Unfit(sentence) from None
    if not 24 <= size <= 64:
        raise Unfit(sentence)
    return text


def check_order_key(value: object) -> str:
    text = line(value)
    if not re.fullmatch(POINTER, text):
        raise Unfit(Text("A JSON Pointer such as /order/id (RFC 6901)."))
    return at_most(text, 300)


CHECKS: dict[str, Callable[[object], object]] = {
    "name": check_name,
    "url": check_url,
    "event": check_event,
    "position": check_position,
    "timeout": check_timeout,
    "active": check_flag,
    "fire_and_forget": check_flag,
    "wait_for_response": check_flag,
    "response_has_data": check_flag,
    "body": check_body,
    "auth_login": check_login,
    "auth_password": check_password,
    "custom_header": check_header,
    "key": check_key,
    "condition": check_condition,
    "on_failure": check_on_failure,
    "fallback_message": check_message,
    "signing_secret": check_signing_secret,
    "order_key": check_order_key,
    "shadow": check_flag,
}
"""The check of every field but the two moments, which need a zone (see `hookrow.hook.dates`)."""


@lru_cache(1024)
def public_url(url: str) -> str:
    """The URL as the log keeps it: no credentials, and the values of the query masked, since tokens travel there."""
    parts = urlsplit(url)
    query = "&".join(
        f"{name}={MASK}" if equals else name and MASK
        for name, equals, _ in (pair.partition("=") for pair in parts.query.split("&"))
    )
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))
