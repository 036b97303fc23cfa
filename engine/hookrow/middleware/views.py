"""What hooks see of a request's body: a JSON object, or a form's fields as texts; else why they can't see it.

The client chooses the spelling of a body, and its handler may understand more than one; so whatever could be read in
two ways is unseen, and never read in one of them (docs/middleware.md, "Requests that hooks can't see").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus

from hookrow.delivery.replyjson import NotJson, strict_loads
from hookrow.lang import Text
from hookrow.payload import Json, JsonObject
from hookrow.reasons.reason import Reason

__all__ = ["BodyKind", "Unseen", "content_kind", "json_of", "too_large", "view"]

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
PARAMETER = rf'\s*;\s*({TOKEN})=({TOKEN}|"[^"\\\x00-\x1f\x7f]*")'
CONTENT_TYPE = re.compile(rf"\s*({TOKEN}/{TOKEN})((?:{PARAMETER})*)\s*;?\s*")
FIELD = re.compile(r'form-data\s*;\s*name="([^"\\]*)"\s*', re.IGNORECASE)
FILE = re.compile(r'form-data\s*;\s*name="[^"\\]*"\s*;\s*filename\*?=.*', re.IGNORECASE)
UNESCAPED = re.compile(r'[^!-~]|["<>\\^`{|}]|%(?![0-9A-Fa-f]{2})')
"""What a form must escape (WHATWG URL): with it the same bytes might be JSON to a handler that asks for no type."""
MOST_FIELDS = 1000


@dataclass(frozen=True, slots=True)
class Unseen:
    """Why hooks can't see a body: the status with which the call is refused (400, 411, 413, 415), and the reason."""

    status: int
    text: Text | str


@dataclass(frozen=True, slots=True)
class BodyKind:
    """How a body is written: `json`, `form` or `multipart`, the last with its boundary."""

    name: str
    boundary: str = ""

    @property
    def form(self) -> bool:
        """Whether it is a form, in either spelling."""
        return self.name != "json"


def too_large(limit: int) -> Unseen:
    """Longer than hooks can see."""
    return Unseen(413, Reason("body_too_long", limit=limit))


def content_kind(headers: Iterable[tuple[str, str]]) -> BodyKind | Unseen:
    """How the body is written, by the headers (names in lower case)."""
    pairs = list(headers)
    for encoding in (value.strip().lower() for name, value in pairs if name == "content-encoding"):
        if encoding not in ("", "identity"):
            return Unseen(415, Reason("body_encoded", encoding=encoding[:60]))
    types = [value for name, value in pairs if name == "content-type"]
    if len(types) != 1:
        return Unseen(415, Reason("content_types", n=len(types)))
    found = CONTENT_TYPE.fullmatch(types[0])
    parameters = [] if found is None else re.findall(PARAMETER, found[2])
    values = {name.lower(): value.strip('"') for name, value in parameters}
    if found is None or len(values) != len(parameters):
        return Unseen(415, Reason("content_type_unreadable", type=types[0][:100]))
    if values.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        return Unseen(415, Reason("charset_not_taken", charset=values["charset"][:60]))
    kind = found[1].lower()
    if kind == "application/json" or kind.endswith("+json"):
        return BodyKind("json")
    if kind == "application/x-www-form-urlencoded":
        return BodyKind("form")
    if kind == "multipart/form-data" and values.get("boundary"):
        return BodyKind("multipart", values["boundary"])
    return Unseen(415, Reason("content_type_not_taken", type=kind[:100]))


def view(kind: BodyKind, body: bytes) -> JsonObject | Unseen:
    """The body as hooks see it. An empty one is an empty object."""
    if not body:
        return {}
    try:
        if kind.name == "json":
            value = strict_loads(body)
        else:
            pairs = form_fields(body) if kind.name == "form" else multipart_fields(body, kind.boundary)
            value = once(pairs)
    except NotJson as fault:
        return Unseen(400, fault.text)
    except UnicodeDecodeError as fault:
        return Unseen(400, Reason("json_not_utf8", at=fault.start))
    except ValueError:
        return Unseen(400, Reason("form_unreadable"))
    if not isinstance(value, dict):
        return Unseen(400, Reason("body_no_object"))
    return value


def json_of(body: bytes | None) -> Json:
    """A response as JSON; None where it is none that can be seen."""
    if body is None:
        return None
    try:
        return strict_loads(body)
    except NotJson:
        return None


def once(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The fields, none of which may come twice: the handler might take the other one."""
    fields: dict[str, str] = {}
    for name, text in pairs:
        if name in fields:
            raise NotJson(Reason("field_twice", name=name[:60]))
        fields[name] = text
    return fields


def form_fields(body: bytes) -> list[tuple[str, str]]:
    """The fields of `application/x-www-form-urlencoded`. Raises ValueError where it is none."""
    text = body.decode("ascii")
    if UNESCAPED.search(text) or ";" in text:
        raise ValueError("a form escapes these characters")
    parts = [part.partition("=") for part in text.split("&") if part]
    if len(parts) > MOST_FIELDS:
        raise ValueError("more fields than anybody sends")
    return [(unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")) for name, _, value in parts]


def multipart_fields(body: bytes, boundary: str) -> list[tuple[str, str]]:
    """The fields of `multipart/form-data` that are no files. Raises ValueError where parsers could differ."""
    mark = f"--{boundary}".encode("ascii")
    ending = next((each for each in (mark + b"--\r\n", mark + b"--") if body.endswith(each)), None)
    if ending is None:
        raise ValueError("breaks off")
    if body == ending:
        return []
    # Every delimiter stands on a line of its own, and nothing before the first: some parsers take less for one.
    first, *parts = (b"\r\n" + body.removesuffix(ending)).split(b"\r\n" + mark + b"\r\n")
    if first or not parts or not parts[-1].endswith(b"\r\n"):
        raise ValueError("not where a part begins or ends")
    parts[-1] = parts[-1].removesuffix(b"\r\n")
    if len(parts) > MOST_FIELDS or any(mark in part for part in parts):
        raise ValueError("a delimiter inside a line")
    fields = []
    for part in parts:
        head, empty, data = part.partition(b"\r\n\r\n")
        if not empty:
            raise ValueError("a part without a body")
        name = part_name(head.decode("utf-8"))
        if name is not None:
            fields.append((name, data.decode("utf-8")))
    return fields


def part_name(head: str) -> str | None:
    """The name of a field; None for a file. Raises ValueError for a part that parsers could read differently."""
    headers = {}
    for line in head.split("\r\n"):
        name, colon, value = line.partition(":")
        if (
            not colon
            or not re.fullmatch(TOKEN, name)
            or name.lower() in headers
            or re.search(r"[\x00-\x08\n-\x1f]", value)
        ):
            raise ValueError("an odd header")
        headers[name.lower()] = value.strip()
    disposition, kind = headers.pop("content-disposition", ""), headers.pop("content-type", "text/plain")
    if FILE.fullmatch(disposition):
        return None
    found = FIELD.fullmatch(disposition)
    if found is None or headers or not re.fullmatch(r"text/plain(\s*;\s*charset=\"?utf-?8\"?)?", kind, re.IGNORECASE):
        raise ValueError("an odd part")
    return found[1]
